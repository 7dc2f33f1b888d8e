"""When MuJoCo has failed a simulation, and how to keep its log file out of the user's folder.

MuJoCo never reports a broken simulation to its caller. It resets a state with a NaN, infinite or
huge number to the model's defaults and goes on, it replaces a bad control by zero, and it counts
what happened in ``MjData.warning``. So a failed simulation usually looks perfectly finite, and only
the counters tell. They say nothing, on the other hand, about what the last substep produced: MuJoCo
looks at that when the next step begins. :func:`physics_failed` therefore reads both.
"""

import mujoco
import numpy as np

DEFAULT_LOG = "MUJOCO_LOG.TXT"
# mju_isBad, the engine's own test, calls a number bad that is NaN or larger than this (mjMAXVAL).
LARGEST = 1e10
# Order of the columns of warning_counts().
WARNINGS = (
    int(mujoco.mjtWarning.mjWARN_BADQPOS),
    int(mujoco.mjtWarning.mjWARN_BADQVEL),
    int(mujoco.mjtWarning.mjWARN_BADQACC),
    int(mujoco.mjtWarning.mjWARN_BADCTRL),
)

_installed = False


def install_warning_handler() -> None:
    """Stop MuJoCo from writing ``MUJOCO_LOG.TXT`` into the working directory, once a process.

    MuJoCo's default handler prints a warning to the console and appends it to that file. The
    console message stays and the file goes. It is a setting of the engine and not a Python
    function, so a batch's native threads may warn without the interpreter's lock. A log file that
    the user has named is left alone, and so is every setting made after the first call.
    """
    global _installed
    if _installed:
        return
    _installed = True
    config = mujoco.MjLogConfig.get()
    if config.logto_file and config.logfile == DEFAULT_LOG:
        config.logto_file = False
        config.set()


def warning_counts(data: mujoco.MjData) -> np.ndarray:
    """Count what MuJoCo found bad in one simulation since its last ``mj_resetData``.

    Args:
        data: the simulation.

    Returns:
        int64[4]: how often a position, velocity, acceleration and control was bad.
    """
    return np.array([data.warning[warning].number for warning in WARNINGS], dtype=np.int64)


def physics_failed(warnings: np.ndarray, *values: np.ndarray) -> np.ndarray:
    """Say which of n simulations MuJoCo has failed, one rule for single and batched environments.

    Args:
        warnings: int64[n, 4], the counters as :func:`warning_counts` orders them, since the start
            of the episode. (They do not simply rise: MuJoCo clears them when it resets a bad state,
            and then counts one. So any count is a failure, and a failed simulation stays failed
            until it is reset.)
        *values: float[n, ...], numbers after the step: qpos, qvel and the observation. A bad number
            here is a failure that MuJoCo will notice in the next step only.

    Returns:
        bool[n].
    """
    failed = np.array(warnings.any(axis=1))
    for value in values:
        # NaN compares false, so this form finds it too.
        fine = np.abs(value) <= LARGEST
        failed |= ~fine.reshape(len(value), -1).all(axis=1)
    return failed
