"""Point mazes: a ball that is pushed through a maze to a goal; learned in minutes."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from morphzoo.envs.bodies import xml_folder
from morphzoo.envs.failures import install_warning_handler
from morphzoo.envs.goals.arena import Maze
from morphzoo.envs.goals.arena_task import ArenaTask
from morphzoo.envs.goals.goal_env import GoalEnv, GoalVectorEnv
from morphzoo.envs.goals.layouts import layout_of
from morphzoo.envs.task import Array, array_namespace, sum_of_squares

POINT_SPEED = 2.0  # greatest speed, in any direction (m/s)
POINT_RADIUS = 0.1  # (m)

_CELL = 1.0  # side of a cell (m)
_WALL_HEIGHT = 0.4  # (m)


class PointMazeTask(ArenaTask):
    """Observation, reward, start and goals of the Point mazes: `PointMazeEnv` is the page.

    Attributes:
        top_speed: greatest speed (m/s), for `optimal_time_at_goal`.
    """

    top_speed = POINT_SPEED

    def __init__(
        self,
        maze: str | Sequence[str] = "u",
        *,
        threshold: float = 0.2,
        reset_noise_scale: float = 0.1,
        frame_skip: int = 10,
    ) -> None:
        """Build the maze; the arguments are described in `PointMazeEnv`."""
        install_warning_handler()
        arena = Maze(layout_of(maze), _CELL, _WALL_HEIGHT)
        spec = mujoco.MjSpec.from_file(str(xml_folder() / "point.xml"))
        arena.furnish(spec, threshold, POINT_RADIUS)
        super().__init__(
            spec.compile(),
            arena,
            threshold=threshold,
            reset_noise_scale=reset_noise_scale,
            frame_skip=frame_skip,
        )

    def control(self, action: Array) -> Array:
        """Return the push: an action longer than 1 is shortened to 1, so that no way is faster."""
        xp = array_namespace(action)
        length = sum_of_squares(action) ** 0.5
        return action / xp.maximum(length, xp.ones_like(length))[:, None]

    def initial_state(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw a start around the maze's."""
        return self.noisy(np.zeros(2), rng)


class PointMazeEnv(GoalEnv):
    """A ball that finds its way through a maze to a goal: cheap, and learned in minutes.

    ## Description

    Two motors push a ball of 0.1 m across the floor of a maze, past walls that it cannot cross, to
    a goal that is drawn anew for every episode. It is the smallest task of the kind of the Ant
    mazes (`AntMazeEnv`), with the same layouts at a quarter of their size.

    | id | maze | steps |
    | --- | --- | --- |
    | `morphzoo/PointUMaze-v0` | `u`: around a wall; the furthest goal is 4.2 m of way ahead | 200 |
    | `morphzoo/PointBigMaze-v0` | `big`: halls with pillars and dead ends | 200 |
    | `morphzoo/PointHardestMaze-v0` | `hardest`: long winding corridors | 400 |
    | `morphzoo/PointUMazeEval-v0` | `u-eval`: the same maze, far goals alone | 200 |
    | `morphzoo/PointBigMazeEval-v0` | `big-eval`: likewise | 200 |

    ## Action Space

    `Box(-1, 1, (2,), float32)`: the push along x and y, 20 N at 1. An action longer than 1 is
    shortened to 1, so that the ball is no faster along a diagonal. Friction of 10 N s/m makes
    2 m/s the greatest speed, 63 % of which are reached after 0.1 s, the time of one step.

    ## Observation Space

    Gymnasium's goal Dict, all float32:

    | Key | Num | Observation | Joint | Type (Unit) |
    | --- | --- | --- | --- | --- |
    | `observation` | 0, 1 | x and y of the ball | slide_x, slide_y | position (m) |
    | `observation` | 2, 3 | its velocity | slide_x, slide_y | velocity (m/s) |
    | `achieved_goal` | 0, 1 | x and y of the ball | | position (m) |
    | `desired_goal` | 0, 1 | x and y of the goal | | position (m) |

    The space of `observation` is a `MorphologySpace`. It tells nothing of the goal.

    ## Rewards

    *reward_goal*: 1 in every step that ends with the ball's centre less than `threshold` from the
    goal, else 0. So the return is the number of steps at the goal. What it can be at most follows
    from `shortest_path` and `optimal_time_at_goal` of `morphzoo.envs.goals.shortest_path`, with
    `env.unwrapped.task.top_speed`. `info` is described in `GoalEnv`.

    ## Starting State

    The centre of the cell marked `R`, plus uniform noise in +-`reset_noise_scale` along x and y;
    the velocity is `reset_noise_scale` times standard normal noise. Then the goal is drawn: the
    centre of one of the cells marked `G`, each as likely.

    ## Episode End

    An episode never terminates; it is truncated after 200 steps, 20 s, in `hardest` after 400.

    ## Arguments

    ```python
    import gymnasium as gym, morphzoo
    env = gym.make("morphzoo/PointBigMaze-v0")
    env = gym.make("morphzoo/PointUMaze-v0", maze=("#####", "#R.G#", "#####"))  # your own
    ```

    | Parameter | Type | Default | Description |
    | --- | --- | --- | --- |
    | `maze` | **str** or rows | `"u"` | A name of `morphzoo.envs.goals.layouts.MAZES`, or rows of \
`#`, `R`, `G` and `.` (wall, start, goals, free); rows are x, columns are y, cells are 1 m wide |
    | `threshold` | **float** | `0.2` | Distance at which the goal is reached (m) |
    | `reset_noise_scale` | **float** | `0.1` | Scale of the noise in the starting state |
    | `frame_skip` | **int** | `10` | Physics steps of 0.01 s in a step |

    `render_mode` and the other arguments of rendering are those of every Gymnasium MuJoCo
    environment. Without a choice of a camera, the frame shows the whole maze as it is printed.

    Source: layouts and the rules of goals are those of Wang et al., "1000 Layer Networks for
        Self-Supervised RL" (arXiv 2503.14858). The ball, its size and its speed are ours.

    ## Version History

    - v0: Initial release.
    """

    task_class = PointMazeTask


class PointMazeVectorEnv(GoalVectorEnv):
    """Many of them in native threads; `PointMazeEnv` is the task's page."""

    task_class = PointMazeTask
