"""Reachers with a goal: planar arms of 1 to 7 links whose tips are told where to be."""

from __future__ import annotations

import math
from numbers import Integral

import mujoco
import numpy as np

from morphzoo.columns import TASK, Column, columns_of
from morphzoo.envs.bodies import add_motor, attach, name_parts, xml_folder
from morphzoo.envs.failures import install_warning_handler
from morphzoo.envs.goals.goal_env import GoalEnv, GoalVectorEnv
from morphzoo.envs.goals.goal_task import GoalTask, add_marker
from morphzoo.envs.task import Array, Fields, array_namespace

MAX_LINKS = 7
LINK = 0.1  # length of a link (m)
GEAR = 200.0  # torque of a motor at control 1 (N m)

_HEIGHT = 0.02  # of the marker: that of the plane in which the arm moves (m)
_VELOCITY_NOISE = 0.005  # (rad/s)


def reacher(num_links: int, threshold: float) -> mujoco.MjModel:
    """Build a planar arm of links that are hinged end to end, with a site `tip` at its end.

    Args:
        num_links: number of links and motors, 1 to 7.
        threshold: radius of the goal's marker (m).

    Returns:
        The compiled model: hinges `hinge_0`, `hinge_1`, ... and motors of the same names.

    Raises:
        ValueError: if there are too few links or too many, or the threshold is not positive.

    Source: the Reachers of NerveNet (Wang et al., ICLR 2018): length, radius, ranges, armature,
        damping, gear and integrator.
    """
    whole = isinstance(num_links, Integral) and not isinstance(num_links, bool)
    if not whole or not 1 <= num_links <= MAX_LINKS:
        raise ValueError(
            f"num_links: expected a whole number from 1 to {MAX_LINKS}, found {num_links!r}."
        )
    install_warning_handler()
    spec = mujoco.MjSpec.from_file(str(xml_folder() / "reacher.xml"))
    spec.modelname = f"reacher-{num_links}"
    body, place = spec.body("socket"), (0.0, 0.0, 0.0)
    for number in range(num_links):
        part = mujoco.MjSpec.from_file(str(xml_folder() / "reacher_link.xml"))
        body, place = attach(part.body("link_"), body, place, number), (LINK, 0.0, 0.0)
    body.add_site(name="tip", pos=place, size=[0.012] * 3, rgba=[0.36, 0.55, 0.71, 1.0])
    name_parts(spec)
    spec.joint("hinge_0").range = [-3.14, 3.14]
    for number in range(num_links):
        add_motor(spec, f"hinge_{number}", GEAR)
    add_marker(spec, threshold, _HEIGHT)
    reach = LINK * num_links
    spec.worldbody.add_camera(
        name="overview", pos=[0.0, 0.0, 2.9 * reach], xyaxes=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    )
    spec.stat.extent = 2 * reach
    spec.stat.center = [0.0, 0.0, 0.0]
    return spec.compile()


class ReacherTask(GoalTask):
    """Observation, reward, start and goals of the Reachers: `ReacherEnv` is the page.

    Attributes:
        num_links: number of links.
    """

    def __init__(
        self,
        num_links: int = 2,
        *,
        threshold: float = 0.05,
        reset_noise_scale: float = 0.1,
        frame_skip: int = 2,
    ) -> None:
        """Build the arm; the arguments are described in `ReacherEnv`."""
        if not 0.0 <= reset_noise_scale < np.inf:
            raise ValueError(
                f"reset_noise_scale: expected 0 or a positive number, found {reset_noise_scale!r}."
            )
        model = reacher(num_links, threshold)
        self.num_links = int(num_links)
        self._reset_noise_scale = reset_noise_scale
        self._tip = int(model.site("tip").id)
        columns = columns_of(model, "qpos", range(model.nq))
        columns += columns_of(model, "qvel", range(model.nv))
        columns += tuple(Column(TASK, component=k, name=f"tip[{k}]") for k in range(2))
        super().__init__(
            model,
            columns,
            fields=("qpos", "qvel", "site_xpos"),
            goal_size=2,
            threshold=threshold,
            frame_skip=frame_skip,
        )

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a start near the stretched arm at rest: `(qpos, qvel)` in rad and rad/s."""
        scale, size = self._reset_noise_scale, self.num_links
        velocity = _VELOCITY_NOISE if scale else 0.0
        return rng.uniform(-scale, scale, size), rng.uniform(-velocity, velocity, size)

    def draw_goal(self, rng: np.random.Generator) -> np.ndarray:
        """Return where the tip is in a pose that is drawn, float64[2]: always within reach."""
        low, high = self.model.jnt_range.T
        angles = np.cumsum(rng.uniform(low, high))
        return LINK * np.array([sum(map(math.cos, angles)), sum(map(math.sin, angles))])

    def state(self, fields: Fields) -> Array:
        """Return angles, velocities and the tip's x and y, `float64[n, 2 links + 2]`."""
        qpos = fields["qpos"]
        parts = [qpos, fields["qvel"], self.achieved(fields)]
        return array_namespace(qpos).concatenate(parts, axis=1)

    def achieved(self, fields: Fields) -> Array:
        """Return where the tip is, `float64[n, 2]` (m)."""
        return 1.0 * fields["site_xpos"][:, self._tip, :2]


class ReacherEnv(GoalEnv):
    """An arm of 1 to 7 links that brings its tip to a point.

    ## Description

    A chain of links in a plane, each turned by a motor of its own, like NerveNet's Reachers. The
    tip is told a point that is drawn anew for every episode, and must stay there. Bodies of all
    sizes have the same types of nodes, so a policy can be trained on one and run on another.

    `morphzoo/Reacher-{n}-v0` has n links, n = 1 ... 7.

    ## Action Space

    `Box(-1, 1, (n,), float32)`: torques of `hinge_0`, `hinge_1`, ..., 200 N m at 1.

    ## Observation Space

    Gymnasium's goal Dict, all float32. `observation` has 2n+2 numbers:

    | Key | Num (n = 2) | Observation | Joint | Type (Unit) |
    | --- | --- | --- | --- | --- |
    | `observation` | 0, 1 | angles, each from the link before | hinge_0, hinge_1 | angle (rad) |
    | `observation` | 2, 3 | angular velocities | hinge_0, hinge_1 | (rad/s) |
    | `observation` | 4, 5 | x and y of the tip | root | position (m) |
    | `achieved_goal` | 0, 1 | x and y of the tip | | position (m) |
    | `desired_goal` | 0, 1 | x and y of the goal | | position (m) |

    The space of `observation` is a `MorphologySpace`: it carries the robot's graph. It tells
    nothing of the goal.

    ## Rewards

    *reward_goal*: 1 in every step that ends with the tip less than `threshold` from the goal, and 0
    otherwise. So the return is the number of steps at the goal. `info` is described in `GoalEnv`;
    its `x_position` and `y_position` are the tip's.

    ## Starting State

    The arm is stretched along +x; every angle has uniform noise in +-`reset_noise_scale` (rad) and
    every velocity in +-0.005 rad/s. Then the goal is drawn: where the tip is when every angle is
    drawn uniformly from its hinge's range, so that each goal can be reached.

    ## Episode End

    An episode never terminates; it is truncated after 50 steps, 1 s.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/Reacher-3-v0", threshold=0.02)
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `num_links` | **int** | `2` | 1 to 7; the ids fix it |
    | `threshold` | **float** | `0.05` | Distance at which the goal is reached (m) |
    | `reset_noise_scale` | **float** | `0.1` | Noise of the starting angles (rad); with 0 nothing \
moves |
    | `frame_skip` | **int** | `2` | Physics steps of 0.01 s in a step |

    `render_mode` and the other arguments of rendering are those of every Gymnasium MuJoCo
    environment. Without a choice of a camera, the frame shows all that the arm can reach.

    Source: body, step and length of an episode are those of NerveNet's Reachers (Wang et al., ICLR
        2018), counted here by links.
    Differs: the reward is 1 at the goal; theirs is minus the distance and a control cost. Their
        goals are uniform in a square whose corners are out of reach. Observing the tip, and the
        threshold, are ours.

    ## Version History

    - v0: Initial release.
    """

    task_class = ReacherTask


class ReacherVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `ReacherEnv` is the task's page."""

    task_class = ReacherTask
