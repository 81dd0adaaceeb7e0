"""Environments that nothing was tuned on, with scripted experts, for ``untuned.py``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Act = Callable[[Any], Any]


class Toy(gym.Env):
    """A point that follows a goal; subclasses define spaces, observations and moves."""

    def _start(self, seed: int | None, size: int) -> np.random.Generator:
        super().reset(seed=seed)
        self.position = self.np_random.uniform(-1, 1, size)
        self.goal = self.np_random.uniform(-1, 1, size)
        return self.np_random

    def _result(self, observation: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return observation, -float(np.linalg.norm(self.position - self.goal)), False, False, {}


class DictToy(Toy):
    """Dict observations and MultiDiscrete actions; the mode mirrors one of the axes."""

    observation_space = spaces.Dict(
        {
            "position": spaces.Box(-1, 1, (2,), np.float32),
            "goal": spaces.Box(-1, 1, (2,), np.float32),
            "mode": spaces.Discrete(3),
        }
    )
    action_space = spaces.MultiDiscrete([3, 3])

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        self.mode = int(self._start(seed, 2).integers(3))
        return self._observed(), {}

    def _observed(self) -> dict[str, Any]:
        here, goal = self.position.astype(np.float32), self.goal.astype(np.float32)
        return {"position": here, "goal": goal, "mode": np.int64(self.mode)}

    def step(self, action: Any) -> Any:
        """Take a step."""
        move = (np.asarray(action) - 1) * 0.1
        if self.mode:
            move[self.mode - 1] *= -1
        self.position = np.clip(self.position + move, -1, 1)
        return self._result(self._observed())


class AsymmetricToy(Toy):
    """Three continuous actions whose bounds lie unevenly around the neutral action."""

    observation_space = spaces.Box(-3, 3, (6,), np.float32)
    action_space = spaces.Box(np.array([-2, 0, -0.1], np.float32), np.array([0.5, 3, 4], np.float32))
    neutral = np.array([-0.5, 1.0, 1.0])

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        self._start(seed, 3)
        return self._observed(), {}

    def _observed(self) -> np.ndarray:
        return np.concatenate([self.position, self.goal]).astype(np.float32)

    def step(self, action: Any) -> Any:
        """Take a step."""
        self.position = np.clip(self.position + 0.1 * (np.asarray(action) - self.neutral), -3, 3)
        return self._result(self._observed())


class FallingBalls(gym.Env):
    """Catch three falling balls on 12 x 12 cells of 3 x 3 pixels."""

    observation_space = spaces.Box(0, 255, (36, 36, 1), np.uint8)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self.caught, self.paddle = 0, 5
        self._drop()
        return self._observed(), {}

    def _drop(self) -> None:
        self.column, self.row = int(self.np_random.integers(12)), 0

    def _observed(self) -> np.ndarray:
        cells = np.zeros((12, 12), np.uint8)
        cells[self.row, self.column], cells[11, self.paddle] = 255, 128
        return np.kron(cells, np.ones((3, 3), np.uint8))[..., None]

    def step(self, action: Any) -> Any:
        """Take a step."""
        self.paddle = int(np.clip(self.paddle + int(action) - 1, 0, 11))
        self.row += 1
        if self.row < 11:
            return self._observed(), 0.0, False, False, {}
        reward = 1.0 if self.paddle == self.column else -1.0
        self.caught += 1
        self._drop()
        return self._observed(), reward, self.caught == 3, False, {}


def register() -> None:
    """Register the toys, and seals' environments if they are installed."""
    for name, kind, limit in (("Dict", DictToy, 50), ("Asymmetric", AsymmetricToy, 50), ("Balls", FallingBalls, None)):
        if f"untuned/{name}-v0" in gym.registry:  # a worker registers them for each of its runs
            continue
        gym.register(f"untuned/{name}-v0", entry_point=f"{__name__}:{kind.__name__}", max_episode_steps=limit)
    try:
        import seals  # noqa: F401
    except ModuleNotFoundError:
        print("seals is not installed; its environments are left out")


def _dict(observation: Any) -> np.ndarray:
    away = np.asarray(observation["goal"]) - np.asarray(observation["position"])
    move, mode = np.where(np.abs(away) > 0.05, np.sign(away), 0), int(np.asarray(observation["mode"]))
    if mode:
        move[mode - 1] *= -1
    return (move + 1).astype(np.int64)


def _asymmetric(o: np.ndarray) -> np.ndarray:
    bounds = AsymmetricToy.action_space
    return np.clip(AsymmetricToy.neutral + 5 * (o[3:] - o[:3]), bounds.low, bounds.high).astype(np.float32)


def _balls(observation: np.ndarray) -> int:
    cells = np.asarray(observation).squeeze()[::3, ::3]
    paddle = int(np.argmax(cells[11] == 128))
    balls = np.argwhere(cells == 255)
    return int(np.sign((int(balls[0][1]) if len(balls) else paddle) - paddle)) + 1


def _pole(o: np.ndarray) -> np.ndarray:
    return np.clip(np.array([0.5 * o[0] + 10 * o[1] + o[2] + 2 * o[3]], np.float32), -3, 3)


def _cart(o: np.ndarray) -> int:
    return int(o[2] + 0.3 * o[3] + 0.05 * o[0] + 0.1 * o[1] > 0)


def _reacher(o: np.ndarray) -> np.ndarray:
    cos, sin, speed, away = o[0:2], o[2:4], o[6:8], o[8:10]
    c12, s12 = cos[0] * cos[1] - sin[0] * sin[1], sin[0] * cos[1] + cos[0] * sin[1]
    jacobian = np.array([[-0.1 * sin[0] - 0.11 * s12, -0.11 * s12], [0.1 * cos[0] + 0.11 * c12, 0.11 * c12]])
    return np.clip(-6.0 * jacobian.T @ away[:2] - 0.03 * speed, -1, 1).astype(np.float32)


def _tabular(env_id: str, gamma: float) -> Act:
    """Return the greedy policy of value iteration, for environments that expose their transitions."""

    @functools.cache
    def best() -> np.ndarray:
        env: Any = gym.make(env_id).unwrapped
        if hasattr(env, "P"):
            n_states, n_actions = len(env.P), len(env.P[0])
            moves, rewards = np.zeros((n_states, n_actions, n_states)), np.zeros((n_states, n_actions))
            for state, action in np.ndindex(n_states, n_actions):
                for p, following, reward, done in env.P[state][action]:
                    moves[state, action, following] += p * (not done)
                    rewards[state, action] += p * reward
        else:
            moves = env.transition_matrix.copy()
            rewards = np.repeat(env.reward_matrix[:, None], moves.shape[1], axis=1)
            ends = [state for state in range(len(moves)) if env.terminal(state, 0)]
            rewards = rewards + moves @ np.where(np.isin(np.arange(len(moves)), ends), env.reward_matrix, 0)
            moves[:, :, ends] = 0
        values = np.zeros(len(moves))
        for _ in range(3000):
            values = (rewards + gamma * moves @ values).max(axis=1)
        return (rewards + gamma * moves @ values).argmax(axis=1)

    return lambda observation: int(best()[int(np.asarray(observation).item())])


def _noisy(o: np.ndarray) -> int:
    return _grid(np.array([2, 2]) - o[:2])


def _proc_goal(o: np.ndarray) -> int:
    return _grid(o[2:] - o[:2])


@functools.cache
def _grid_moves() -> np.ndarray:
    from seals.util import grid_transition_fn

    return np.array([grid_transition_fn(np.zeros(2, int), action) for action in range(5)])


def _grid(away: np.ndarray) -> int:
    """Return the action of seals' grids that leads nearest to the goal."""
    return int(np.abs(away[None] - _grid_moves()).sum(axis=1).argmin())


def _largest_sum(o: np.ndarray) -> int:
    return int(o[:25].sum() > o[25:].sum())


def _sort(o: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero(o != np.sort(o))
    if not len(wrong):
        return np.zeros(2, np.int64)
    first = int(wrong[0])
    return np.array([first, first + int(o[first:].argmin())])


def _walker() -> Act:
    state: list[Any] = []

    def act(o: np.ndarray) -> np.ndarray:
        from gymnasium.envs.box2d.bipedal_walker import BipedalWalkerHeuristics

        stands = abs(o[2]) < 2e-3 and abs(o[0]) < 4e-3 and o[8] == 1 and o[13] == 1 and abs(o[5]) < 2e-3
        if not state or stands:
            state[:] = [BipedalWalkerHeuristics()]
        return np.asarray(state[0].step_heuristic(o), np.float32)

    return act


SWIMMER = np.array(
    [
        [-0.3081, 1.6241, -0.3404, 0.051, -0.2021, -0.3697, 0.3892, 0.3522],
        [-1.532, -0.494, -1.1937, 0.6795, 0.0266, 0.4564, 0.825, -1.4419],
    ]
)
"""A linear policy for Swimmer-v5, found by random search on the true reward."""


def _swimmer(o: np.ndarray) -> np.ndarray:
    return np.clip(SWIMMER @ o, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class Untuned:
    """An environment with its expert.

    Attributes:
        env: Gymnasium ID.
        act: the expert, from an observation to an action.
        episodes: number of demonstrations.
        developed: whether the automatic settings were developed on it.
        timesteps: environment steps of each run.
    """

    env: str
    act: Act
    episodes: int = 20
    developed: bool = False
    timesteps: int = 50_000


ENVIRONMENTS = (
    Untuned("InvertedPendulum-v5", _pole, developed=True),
    Untuned("FrozenLake-v1", _tabular("FrozenLake-v1", 0.9999), 40, developed=True),
    Untuned("MountainCarContinuous-v0", lambda o: np.array([0.8 if o[1] >= 0 else -0.8], np.float32), developed=True),
    Untuned("untuned/Dict-v0", _dict, 40, developed=True),
    Untuned("untuned/Asymmetric-v0", _asymmetric, developed=True),
    Untuned("seals/CartPole-v0", _cart, developed=True),
    Untuned("seals/MountainCar-v0", lambda o: 2 if o[1] >= 0 else 0, developed=True),
    Untuned("Taxi-v4", _tabular("Taxi-v4", 0.99), 100, developed=True),
    Untuned("Reacher-v5", _reacher, 40, developed=True),
    Untuned("untuned/Balls-v0", _balls, 60, developed=True, timesteps=25_000),
    Untuned("seals/EarlyTermPos-v0", _tabular("seals/EarlyTermPos-v0", 0.99)),
    Untuned("seals/EarlyTermNeg-v0", _tabular("seals/EarlyTermNeg-v0", 0.99)),
    Untuned("seals/Branching-v0", _tabular("seals/Branching-v0", 0.99)),
    Untuned("seals/RiskyPath-v0", _tabular("seals/RiskyPath-v0", 0.99)),
    Untuned("seals/NoisyObs-v0", _noisy),
    Untuned("seals/ProcGoal-v0", _proc_goal, 40),
    Untuned("seals/LargestSum-v0", _largest_sum, 1000),
    Untuned("seals/Sort-v0", _sort, 100),
    Untuned("CliffWalking-v1", _tabular("CliffWalking-v1", 0.99)),
    Untuned("FrozenLake8x8-v1", _tabular("FrozenLake8x8-v1", 0.9999), 40),
    Untuned("Swimmer-v5", _swimmer),
    Untuned("BipedalWalker-v3", _walker()),
)
