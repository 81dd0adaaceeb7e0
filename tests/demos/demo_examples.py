"""Small demonstrations for the tests of this room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

from ganq_irl_demos import Demonstrations, Trajectory

OBSERVATIONS = spaces.Box(-10.0, 10.0, (3,))
ACTIONS = spaces.Box(-2.0, 2.0, (1,))


class SwingUp:
    """Energy control far from the top of Pendulum-v1, proportional-derivative control near it: returns of −100 to −450."""

    def predict(
        self, observation: np.ndarray, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> Any:
        cosine, sine, speed = observation
        angle = np.arctan2(sine, cosine)
        torque = -12 * angle - 3 * speed if abs(angle) < 0.5 else np.sign(speed) * (2 if cosine + speed**2 / 30 < 1 else -2)
        return np.array([torque], dtype=np.float32), state


class DictEnv(gym.Env):
    """Four steps; observes an image and a number, writing both into the same buffers every step."""

    observation_space = spaces.Dict({"image": spaces.Box(0, 255, (2, 2, 1), np.uint8), "number": spaces.Box(-9, 9, (1,))})
    action_space = spaces.MultiDiscrete([3, 2])

    def __init__(self) -> None:
        self.buffers = {"image": np.zeros((2, 2, 1), np.uint8), "number": np.zeros(1, np.float32)}
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._observe(), {}

    def step(self, action: np.ndarray) -> Any:
        self.steps += 1
        return self._observe(), 1.0, self.steps == 4, False, {}

    def _observe(self) -> dict[str, np.ndarray]:
        self.buffers["image"][:] = self.steps
        self.buffers["number"][:] = self.steps
        return self.buffers


def make_trajectory(steps: int = 5, seed: int = 0, **changes: Any) -> Trajectory:
    """A sound trajectory of OBSERVATIONS and ACTIONS with some fields replaced."""
    generator = np.random.default_rng(seed)
    sound = Trajectory(
        observations=generator.uniform(-1, 1, (steps + 1, 3)).astype(np.float32),
        actions=generator.uniform(-1, 1, (steps, 1)).astype(np.float32),
        rewards=generator.normal(size=steps),
        truncated=True,
        seed=seed,
    )
    return replace(sound, **changes)


def make_demos(*trajectories: Trajectory, **changes: Any) -> Demonstrations:
    """Demonstrations of the given trajectories, or of three sound ones, with some attributes replaced."""
    sound = trajectories or tuple(make_trajectory(5 + index, index) for index in range(3))
    about = {"observation_space": OBSERVATIONS, "action_space": ACTIONS, "env_id": "Test-v0", "provenance": {"by": "a test"}}
    return Demonstrations(sound, **{**about, "source": "test.npz", **changes})


def edited(array: np.ndarray, index: Any, value: Any) -> np.ndarray:
    """A copy of an array with one entry replaced."""
    copy = np.array(array)
    copy[index] = value
    return copy


def same(first: Demonstrations, second: Demonstrations) -> bool:
    """Whether two sets are equal in everything but their source."""
    return first.checksum == second.checksum and all(_same_trajectory(a, b) for a, b in zip(first, second, strict=True))


def _same_trajectory(first: Trajectory, second: Trajectory) -> bool:
    flags = [(t.terminated, t.truncated, t.seed, t.rewards is None) for t in (first, second)]
    return flags[0] == flags[1] and all(
        np.array_equal(a, b, equal_nan=True) and a.dtype == b.dtype
        for a, b in zip(_arrays(first), _arrays(second), strict=True)
    )


def _arrays(trajectory: Trajectory) -> list[np.ndarray]:
    observations = trajectory.observations
    parts = [observations[key] for key in sorted(observations)] if isinstance(observations, dict) else [observations]
    return [*parts, trajectory.actions, *([] if trajectory.rewards is None else [trajectory.rewards])]


SIMPLE_SPACES = st.sampled_from(
    [
        spaces.Box(-1.5, 2.5, (2,), np.float32),
        spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
        spaces.Box(0, 255, (2, 2, 1), np.uint8),
        spaces.Box(np.array([0, -np.inf], np.float32), np.array([np.inf, 0.1], np.float32)),
        spaces.Discrete(4),
        spaces.Discrete(3, start=2),
        spaces.MultiDiscrete([2, 5]),
        spaces.MultiBinary(3),
    ]
)

DICT_SPACES = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), SIMPLE_SPACES, min_size=1, max_size=3
)


@st.composite
def demonstrations(draw: st.DrawFn) -> Demonstrations:
    """Sound demonstrations of up to three trajectories, over every kind of space."""
    observation_space = draw(SIMPLE_SPACES | DICT_SPACES.map(spaces.Dict))
    action_space = draw(SIMPLE_SPACES)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 3))
    return Demonstrations(
        trajectories=tuple(draw(_trajectories(observation_space, action_space, generator)) for _ in range(count)),
        observation_space=observation_space,
        action_space=action_space,
        env_id=draw(st.none() | st.text(max_size=8)),
        provenance=draw(
            st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=3)
        ),
    )


@st.composite
def _trajectories(draw: st.DrawFn, observation_space: Any, action_space: Any, generator: np.random.Generator) -> Trajectory:
    steps = draw(st.integers(1, 5))
    return Trajectory(
        observations=_sample(observation_space, steps + 1, generator),
        actions=_sample(action_space, steps, generator),
        rewards=draw(st.sampled_from([None, generator.normal(size=steps)])),
        terminated=draw(st.booleans()),
        truncated=draw(st.booleans()),
        seed=draw(st.none() | st.integers(0, 2**70)),
        rank=draw(st.none() | st.floats(-1e6, 1e6)),
    )


def _sample(space: Any, rows: int, generator: np.random.Generator) -> Any:
    if isinstance(space, spaces.Dict):
        return {key: _sample(inner, rows, generator) for key, inner in space.spaces.items()}
    space.seed(int(generator.integers(2**31)))
    return np.stack([np.asarray(space.sample()) for _ in range(rows)])
