"""Episodes lived through again from their seeds: are they of the environment that is named, and what do they look like?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl_demos.findings import Finding
from ganq_irl_demos.trajectories import Demonstrations, Trajectory, named_arrays

TOLERANCE = 1e-3
"""Differences between what was recorded and what is seen again, relative to the values, that releases may make."""


def check_replay(demos: Demonstrations, env: gym.Env, *, episodes: int = 3) -> Iterator[Finding]:
    """Reset to the seeds of the first episodes that have one, take their actions again, and compare what comes of it.

    Args:
        demos: a set of sound structure.
        env: the environment that it is said to be from.
        episodes: how many to replay.

    Yields:
        A warning for each that goes another way, at the first step that does; one where no episode has a seed.
    """
    seeded = [index for index, one in enumerate(demos) if one.seed is not None and len(one)]
    if "actions" in demos.missing or "next_observations" in demos.missing:
        return
    if not seeded:
        message = "no seeds were recorded, so the episodes cannot be replayed to see whether they are of this environment"
        yield Finding("warning", None, None, "seeds", "no-seeds", message)
    for index in seeded[:episodes]:
        found = _first_difference(demos[index], env)
        if found is not None:
            step, field, what = found
            advice = "another version, another task, or actions not as executed?"
            message = f"{what} when replayed from seed {demos[index].seed}; {advice}"
            yield Finding("warning", index, step, field, "replay", message)


def _first_difference(trajectory: Trajectory, env: gym.Env) -> tuple[int, str, str] | None:
    recorded = named_arrays(trajectory.observations)
    for step, (observation, reward, over) in enumerate(replay(trajectory, env)):
        for name, value in _named(observation).items():
            if name in recorded and not _close(recorded[name][step], value):
                return step, name, f"recorded {_short(recorded[name][step])}, but the environment shows {_short(value)}"
        if step and trajectory.rewards is not None and not _close(trajectory.rewards[step - 1], reward):
            return (
                step - 1,
                "rewards",
                f"recorded {_short(trajectory.rewards[step - 1])}, but the environment gives {_short(reward)}",
            )
        if over and step < len(trajectory):
            return step, "lengths", f"recorded {len(trajectory)} steps, but the environment ends after {step}"
    return None


def replay(trajectory: Trajectory, env: gym.Env) -> Iterator[tuple[Any, float, bool]]:
    """Reset to the episode's seed and take its actions again.

    Yields:
        Observation, reward (0 for the first observation) and whether the episode is over; T + 1 of them, or fewer if the
        environment ends earlier.
    """
    observation, _ = env.reset(seed=trajectory.seed)
    yield observation, 0.0, False
    for action in trajectory.actions:
        observation, reward, terminated, truncated, _ = env.step(_as_action(action, env.action_space))
        yield observation, float(reward), terminated or truncated
        if terminated or truncated:
            return


def _as_action(action: Any, space: spaces.Space) -> Any:
    return int(action) if isinstance(space, spaces.Discrete) else np.asarray(action, dtype=space.dtype)


def _named(observation: Any) -> dict[str, Any]:
    if isinstance(observation, dict):
        return {f"observations.{key}": value for key, value in observation.items()}
    return {"observations": observation}


def _close(recorded: Any, seen: Any) -> bool:
    first, second = np.asarray(recorded, dtype=np.float64), np.asarray(seen, dtype=np.float64)
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))


def _short(value: Any) -> str:
    return np.array2string(np.asarray(value, dtype=np.float64).reshape(-1)[:4], precision=4, separator=", ")
