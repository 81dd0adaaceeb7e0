"""Environments on which scores are informative. Importing this package registers them with Gymnasium.

``gym.make("ganq_irl.environments:ganq_irl/ContinuingAcrobot-v0")`` imports the package and makes the environment.
"""

from __future__ import annotations

import gymnasium as gym

from ganq_irl.environments.own import import_named

CONTINUING_ACROBOT = "ganq_irl/ContinuingAcrobot-v0"
BANDIT = "ganq_irl/Bandit-v0"
FOUR_MODE_CHAIN = "ganq_irl/FourModeChain-v0"
SMALL_MDP = "ganq_irl/SmallMDP-v0"
CHAIN = "ganq_irl/Chain-v0"
GRIDWORLD = "ganq_irl/Gridworld-v0"
WINDY_GRIDWORLD = "ganq_irl/WindyGridworld-v0"
POINT_MAZE = "ganq_irl/PointMaze-v0"
SHIFTED_POINT_MAZE = "ganq_irl/ShiftedPointMaze-v0"
CONTINUING_CARTPOLE = "ganq_irl/ContinuingCartPole-v0"
CHANGED_CARTPOLE = "ganq_irl/ChangedCartPole-v0"
CHANGED_PENDULUM = "ganq_irl/ChangedPendulum-v0"
ANT = "ganq_irl/Ant-v0"
DISABLED_ANT = "ganq_irl/DisabledAnt-v0"

TRANSFER_PAIRS = {
    POINT_MAZE: SHIFTED_POINT_MAZE,
    CONTINUING_CARTPOLE: CHANGED_CARTPOLE,
    "Pendulum-v1": CHANGED_PENDULUM,
    ANT: DISABLED_ANT,
}
"""Environment to learn a reward in -> the same environment with other dynamics, to test the reward in."""

_ENTRY_POINTS: dict[str, tuple[str, int | None]] = {  # id -> entry point, time limit
    CONTINUING_ACROBOT: ("acrobot:ContinuingAcrobotEnv", 500),
    BANDIT: ("tabular:bandit", None),
    FOUR_MODE_CHAIN: ("tabular:four_mode_chain", None),
    SMALL_MDP: ("tabular:small_mdp", 200),
    CHAIN: ("mazes:chain", 50),
    GRIDWORLD: ("mazes:gridworld", 50),
    WINDY_GRIDWORLD: ("mazes:windy_gridworld", 50),
    POINT_MAZE: ("point_maze:point_maze", 100),
    SHIFTED_POINT_MAZE: ("point_maze:shifted_point_maze", 100),
    CONTINUING_CARTPOLE: ("cartpole:ContinuingCartPoleEnv", 500),
    CHANGED_CARTPOLE: ("cartpole:changed_cartpole", 500),
    CHANGED_PENDULUM: ("pendulum:changed_pendulum", 200),
    ANT: ("ant:ant", 500),
    DISABLED_ANT: ("ant:disabled_ant", 500),
}


def register_envs() -> None:
    """Register the toolkit's environments; does nothing if they are registered.

    Example:
        >>> register_envs()
        >>> gym.make("ganq_irl/ContinuingCartPole-v0").spec.max_episode_steps
        500
    """
    for name, (entry_point, limit) in _ENTRY_POINTS.items():
        if name not in gym.registry:
            gym.register(name, entry_point=f"ganq_irl.environments.{entry_point}", max_episode_steps=limit)


register_envs()
import_named()
