"""Centipedes with a goal: every size of our own body, sent anywhere around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from morphzoo.envs.bodies import centipede_spec, num_torsos
from morphzoo.envs.centipede_start import CentipedeStart
from morphzoo.envs.goals.arena import Ring
from morphzoo.envs.goals.arena_task import ArenaTask
from morphzoo.envs.goals.goal_env import GoalEnv, GoalVectorEnv
from morphzoo.envs.task import Array, Fields, array_namespace, check_ranges

_MARKER_HEIGHT = 0.5  # (m)


class CentipedeReachTask(ArenaTask):
    """Observation, reward, termination, start and goals: `CentipedeReachEnv` is the page.

    Attributes:
        num_legs: number of legs.
    """

    def __init__(
        self,
        num_legs: int = 6,
        *,
        disabled_legs: Iterable[int] = (),
        goal_distance: tuple[float, float] = (5.0, 5.0),
        threshold: float = 0.5,
        healthy_z_range: tuple[float, float] = (0.35, 1.15),
        reset_noise_scale: float = 0.1,
        frame_skip: int = 5,
    ) -> None:
        """Build body and world; the arguments are described in `CentipedeReachEnv`."""
        spec, arena = centipede_spec(num_legs, disabled_legs), Ring(goal_distance)
        check_ranges(healthy_z_range=healthy_z_range)
        arena.furnish(spec, threshold, _MARKER_HEIGHT)
        model = spec.compile()
        self.num_legs = int(num_legs)
        self._healthy_z_range = healthy_z_range
        torsos = [model.body(f"torso_{k}").id for k in range(num_torsos(num_legs))]
        self._torsos = np.array(torsos)
        self._start = CentipedeStart(
            model,
            num_legs,
            reset_noise_scale,
            self._is_healthy,
            f"healthy_z_range={healthy_z_range}",
        )
        super().__init__(
            model,
            arena,
            reads=("xpos",),
            threshold=threshold,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a start as the Centipede's."""
        return self._start.draw(rng)

    def terminated(self, fields: Fields, variables: Mapping[str, Array]) -> Array:
        """Return `bool[n]`: state not finite, or a torso too low or too high."""
        qpos, qvel = fields["qpos"], fields["qvel"]
        xp = array_namespace(qpos)
        finite = xp.isfinite(qpos).all(-1) & xp.isfinite(qvel).all(-1)
        return ~(finite & self._is_healthy(fields["xpos"]))

    def _is_healthy(self, xpos: Array) -> Array:
        """Return `bool[n]` from body positions `[n, nbody, 3]` (m); false where not finite."""
        low, high = self._healthy_z_range
        z = xpos[:, self._torsos, 2]
        return ((z > low) & (z < high)).all(-1)


class CentipedeReachEnv(GoalEnv):
    """A Centipede of 3 to 100 legs that goes where it is told to, in any direction.

    ## Description

    The goal-reaching sibling of `morphzoo/Centipede-{n}`: the same body (`CentipedeEnv` describes
    it), sent to a point that is drawn anew for every episode, in any direction. Does a policy that
    has learned to reach goals on one body reach them on another?

    `morphzoo/CentipedeReach-v0` has six legs, `morphzoo/CentipedeReach-{n}-v0` has n.

    ## Action Space

    `Box(-1, 1, (A,), float32)`: torques, as fractions of a motor's gear, in the Centipede's order.
    A = 3n-2 for even *n* (16 for six legs) and 3n-3 for odd *n*.

    ## Observation Space

    Gymnasium's goal Dict, all float32. For even *n* `observation` has 6n+9 numbers:

    | Key | Num (n = 6) | Observation | Joint | Type (Unit) |
    | --- | --- | --- | --- | --- |
    | `observation` | 0 - 2 | x, y and height of torso 0 | root | position (m) |
    | `observation` | 3 - 6 | orientation of torso 0: quaternion w, x, y, z | root | quaternion |
    | `observation` | 7 - 22 | angles of the hinges | lefthip_0, ankle_0, ... | angle (rad) |
    | `observation` | 23 - 25 | velocity of torso 0, world frame | root | velocity (m/s) |
    | `observation` | 26 - 28 | angular velocity of torso 0, its own frame | root | (rad/s) |
    | `observation` | 29 - 44 | angular velocities of the hinges | lefthip_0, ... | (rad/s) |
    | `achieved_goal` | 0, 1 | x and y of torso 0 | | position (m) |
    | `desired_goal` | 0, 1 | x and y of the goal | | position (m) |

    The space of `observation` is a `MorphologySpace`: it carries the robot's graph, with the node
    types of every other Centipede. It tells nothing of the goal.

    ## Rewards

    *reward_goal*: 1 in every step that ends with torso 0 less than `threshold` from the goal,
    along the floor, else 0. So the return is the number of steps at the goal. `info` is described
    in `GoalEnv`.

    ## Starting State

    The Centipede's: the reference pose plus uniform noise in +-`reset_noise_scale`; the
    quaternion's y and the torsos' pitch hinges within `reset_noise_scale`/(S-1) with S torsos;
    velocities of `reset_noise_scale` times standard normal noise; starts that would end the episode
    are drawn again. Torso 0 stands at the origin, the
    others along +x. Then the goal is drawn: its distance from the origin uniformly in
    `goal_distance`, and its direction uniformly.

    ## Episode End

    ### Termination

    The episode ends when

    1. a position or velocity is not finite, or MuJoCo has given up on the simulation;
    2. the centre of any torso is at or below 0.35 m, or at or above 1.15 m.

    The Centipede's limit of how far neighbouring torsos part along y does not hold here: a robot
    that turns around is healthy. Reaching the goal ends nothing.

    ### Truncation

    The default duration of an episode is 1000 steps, 50 s.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/CentipedeReach-8-v0", goal_distance=(2.0, 6.0))
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `num_legs` | **int** | `6` | 3 to 100; the numbered ids fix it |
    | `disabled_legs` | **tuple** | `()` | Legs without motors: their joints swing freely |
    | `goal_distance` | **tuple** | `(5, 5)` | Least and greatest distance of a goal (m) |
    | `threshold` | **float** | `0.5` | Distance at which the goal is reached (m) |
    | `healthy_z_range` | **tuple** | `(0.35, 1.15)` | Heights of a healthy torso (m) |
    | `reset_noise_scale` | **float** | `0.1` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `5` | Physics steps of 0.01 s in a step |

    `render_mode` and the other arguments of rendering are those of every Gymnasium MuJoCo
    environment. Without a choice of a camera, the frame shows all places where a goal may be; the
    camera `track` follows the robot.

    Source: the rules of goals are those of Wang et al., "1000 Layer Networks for Self-Supervised
        RL" (arXiv 2503.14858); the task is ours.

    ## Version History

    - v0: Initial release.
    """

    task_class = CentipedeReachTask


class CentipedeReachVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `CentipedeReachEnv` is the task's page."""

    task_class = CentipedeReachTask
