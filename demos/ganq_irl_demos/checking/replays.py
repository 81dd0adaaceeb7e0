"""Replay recorded episodes from their seeds and compare the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl_demos.checking.findings import Finding
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.recording.replay import replay
from ganq_irl_demos.trajectories import Trajectory, named_arrays

TOLERANCE = 1e-3
"""Relative difference between recording and replay that another release of a simulator may cause."""

JUMP = 20
"""A difference that was at least this fraction of the tolerance one step earlier has grown from rounding."""


def check_replay(demos: Demonstrations, env: gym.Env, *, episodes: int = 3) -> Iterator[Finding]:
    """Replay the first episodes that have a seed, and compare observations, rewards and ends with the recording.

    Args:
        demos: demonstrations without structural errors.
        env: the environment in which they were supposedly recorded.
        episodes: how many episodes to replay.

    Yields:
        A warning for each episode that differs, at its first difference; one warning if no episode has a seed.
    """
    seeded = [index for index, one in enumerate(demos) if one.seed is not None and len(one)]
    if "actions" in demos.missing or "next_observations" in demos.missing:
        return
    if not seeded:
        message = (
            "no seeds were recorded, so the episodes cannot be replayed; whether they are from this environment, and "
            "whether actions are shifted by a step, was not checked"
        )
        yield Finding("warning", None, None, "seeds", "no-seeds", message)
    for index in seeded[:episodes]:
        found = _first_difference(demos[index], env)
        if found is not None:
            step, field, what = found
            advice = (
                "it does match with each action taken one step earlier, so actions are shifted by a step"
                if _are_late(demos[index], env)
                else "is it another version or task, are actions shifted by a step, or not as executed?"
            )
            message = f"{what} when replayed from seed {demos[index].seed}; {advice}"
            yield Finding("warning", index, step, field, "replay", message)


def not_replayed(demos: Demonstrations, env: gym.Env | None, episodes: int) -> str | None:
    """Return why no episode can be replayed, or None if ``check_replay`` reports the reason itself."""
    if env is None:
        reason = "the environment is unknown (name it with --env ID)"
    elif not episodes:
        reason = "zero were requested"
    elif demos.missing:
        reason = f"there are no {demos.missing[0].replace('_', ' ')}"
    else:
        return None
    return f"no episode was replayed, since {reason}; actions shifted by a step were not checked for"


def _are_late(trajectory: Trajectory, env: gym.Env) -> bool:
    """Return whether the environment reproduces an episode when each action is taken a step earlier."""
    if len(trajectory) < 3:
        return False
    found = _first_difference(replace(trajectory, actions=np.roll(trajectory.actions, -1, axis=0)), env)
    return found is None or found[0] >= len(trajectory) - 1


def _first_difference(trajectory: Trajectory, env: gym.Env) -> tuple[int, str, str] | None:
    """Return step, field and description of the first difference between the recording and the environment.

    A difference that grows step by step from rounding, for example near an unstable equilibrium, is due to another machine
    and not another task, so the comparison stops there.
    """
    recorded = named_arrays(trajectory.observations)
    before = 0.0
    for step, (observation, reward, over) in enumerate(replay(trajectory, env)):
        seen: dict[str, Any] = {name: value for name, value in named_arrays(observation).items() if name in recorded}
        errors = {name: _error(recorded[name][step], value) for name, value in seen.items()}
        if step and trajectory.rewards is not None:
            errors["rewards"] = _error(trajectory.rewards[step - 1], reward)
            seen["rewards"] = reward
        field = max(errors, key=lambda name: errors[name])
        if errors[field] > TOLERANCE:
            if before > TOLERANCE / JUMP:
                return None
            place = step - (field == "rewards")
            given = (
                trajectory.rewards[place] if field == "rewards" and trajectory.rewards is not None else recorded[field][step]
            )
            return place, field, f"recorded {_short(given)}, but the environment shows {_short(seen[field])}"
        if over and step < len(trajectory):
            return step, "lengths", f"recorded {len(trajectory)} steps, but the environment ends after {step}"
        before = errors[field]
    return None


def _error(recorded: Any, seen: Any) -> float:
    """Return the largest difference of two values, relative to their size if that is above 1; infinite if shapes differ."""
    first, second = np.asarray(recorded, dtype=np.float64), np.asarray(seen, dtype=np.float64)
    if first.shape != second.shape:
        return np.inf
    unequal = np.abs(first - second) / np.maximum(1, np.abs(second))
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    return float(np.max(np.where(same, 0, np.nan_to_num(unequal, nan=np.inf)), initial=0))


def _short(value: Any) -> str:
    return np.array2string(np.asarray(value, dtype=np.float64).reshape(-1)[:4], precision=4, separator=", ")
