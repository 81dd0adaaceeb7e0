"""Check demonstrations before learning from them. Each finding names a trajectory, a step and a field."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from ganq_irl.errors import IncompatibleSpaces, InvalidDemonstrations
from ganq_irl.spaces import check_same_space
from ganq_irl_demos.catalog import same_environment
from ganq_irl_demos.checking.fields import Field
from ganq_irl_demos.checking.findings import Finding
from ganq_irl_demos.checking.quality import check_quality
from ganq_irl_demos.checking.replays import check_replay
from ganq_irl_demos.checking.values import check_actions, check_observations, check_rewards
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.streams import remarks_in
from ganq_irl_demos.trajectories import named_arrays, named_spaces

SHOWN = 5
"""Number of findings that an error message lists."""


def check_demonstrations(
    demos: Demonstrations,
    *,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
    env_id: str | None = None,
    max_episode_steps: int | None = None,
) -> list[Finding]:
    """Check demonstrations against their own spaces or an environment's.

    A rule that a trajectory breaks several times gives one finding, at the first step.

    Errors are: no trajectories, or an empty one; shapes that differ from the space's; fractions in a space of integers; NaN
    and infinity; extreme outliers; actions or discrete observations outside their space; another environment or other spaces
    than requested; episodes longer than the time limit. Warnings are: Box observations outside their bounds, duplicate
    trajectories, constant dimensions, an end that contradicts the time limit or is not recorded, rewards in only some
    trajectories.

    Args:
        demos: the demonstrations.
        observation_space: the environment's observation space to compare with; by default the demonstrations' own.
        action_space: the environment's action space, with the same default.
        env_id: ID of the requested environment.
        max_episode_steps: time limit of the environment (``env.spec.max_episode_steps``).

    Returns:
        Errors, then warnings, each ordered by trajectory.

    Example:
        >>> [finding for finding in check_demonstrations(demos) if finding.severity == "error"]
        []
    """
    observation_space, different = _expected(demos.observation_space, observation_space, "observations")
    action_space, also_different = _expected(demos.action_space, action_space, "actions")
    remarks = remarks_in(demos.provenance)  # of the reader about the file, which the trajectories no longer show
    findings = [Finding("warning", None, None, "file", "reading", remark) for remark in remarks]
    findings += [*_check_environment(demos, env_id), *different, *also_different]
    findings += [*_check_lengths(demos), *_check_ends(demos, max_episode_steps), *_check_duplicates(demos)]
    findings += [*_check_some_rewarded(demos), *_check_values(demos, observation_space, action_space)]
    return _in_order(findings)


def examine_demonstrations(demos: Demonstrations, *, env: gym.Env | None = None, replayed: int = 3) -> list[Finding]:
    """Run ``check_demonstrations`` and the rules that take longer or are only hints.

    The additional warnings are: far outliers, dimensions on different scales, saturated actions, mixed horizons,
    terminations that look like a time limit, returns compared with random and expert, and, with an environment, episodes
    that differ when they are replayed.

    Args:
        demos: the demonstrations.
        env: the environment that the demonstrations are for.
        replayed: how many episodes to replay in it.

    Returns:
        Errors, then warnings, each ordered by trajectory.

    Example:
        >>> [finding for finding in examine_demonstrations(demos, env=env, replayed=1) if finding.severity == "error"]
        []
    """
    expected: dict[str, Any] = {}
    if env is not None:
        expected = {"observation_space": env.observation_space, "action_space": env.action_space}
        if env.spec is not None:
            expected |= {"env_id": env.spec.id, "max_episode_steps": env.spec.max_episode_steps}
    findings = check_demonstrations(demos, **expected)
    if not any(finding.severity == "error" for finding in findings):
        findings += check_quality(demos)
        findings += check_replay(demos, env, episodes=replayed) if env is not None else []
    return _in_order(findings)


def require_valid(
    demos: Demonstrations,
    *,
    observation_space: spaces.Space | None = None,
    action_space: spaces.Space | None = None,
    env_id: str | None = None,
    max_episode_steps: int | None = None,
) -> None:
    """Raise unless ``check_demonstrations``, with the same arguments, finds no errors. Warnings are ignored.

    Raises:
        InvalidDemonstrations: the message names source, trajectory, step and field of the first errors.

    Example:
        >>> require_valid(demos, observation_space=env.observation_space)
    """
    findings = check_demonstrations(
        demos,
        observation_space=observation_space,
        action_space=action_space,
        env_id=env_id,
        max_episode_steps=max_episode_steps,
    )
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return
    lines = [f"{demos.source}: {finding}" for finding in errors[:SHOWN]]
    lines += [f"... and {len(errors) - SHOWN} more errors"] if len(errors) > SHOWN else []
    raise InvalidDemonstrations("\n".join(lines))


def _in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (finding.severity, -1 if finding.trajectory is None else finding.trajectory))


def _expected(own: spaces.Space, asked: spaces.Space | None, field: str) -> tuple[spaces.Space, list[Finding]]:
    """Return the space to check against, and a finding if the spaces differ (then the demonstrations' own space is used)."""
    if asked is None:
        return own, []
    try:
        check_same_space(own, asked, "space of the demonstrations")
    except IncompatibleSpaces as error:
        advice = f"{error} by the environment; use demonstrations of this environment, or wrap it as when recording"
        return own, [Finding("error", None, None, field, "space", advice)]
    return asked, []


def _check_lengths(demos: Demonstrations) -> Iterator[Finding]:
    if not len(demos):
        message = "there are no trajectories; record or load at least one"
        yield Finding("error", None, None, "trajectories", "empty", message)
    for index in np.flatnonzero(demos.arrays["lengths"] == 0):
        message = "the trajectory has no transitions; leave it out"
        yield Finding("error", int(index), None, "actions", "zero-length", message)


def _check_environment(demos: Demonstrations, env_id: str | None) -> Iterator[Finding]:
    if env_id is None:
        return
    if demos.env_id is None:
        message = f"the demonstrations do not say which environment they are from; {env_id} is assumed"
        yield Finding("warning", None, None, "env_id", "env-id", message)
    elif not same_environment(demos.env_id, env_id):
        message = f"recorded in {demos.env_id}, but {env_id} was asked for; use demonstrations of {env_id}"
        yield Finding("error", None, None, "env_id", "env-id", message)


def _check_ends(demos: Demonstrations, limit: int | None) -> Iterator[Finding]:
    if "next_observations" in demos.missing:
        return  # unordered rows are not an episode
    for index, trajectory in enumerate(demos):
        steps = len(trajectory)
        if limit is not None and steps > limit:
            message = (
                f"{steps} steps, but an episode of this environment has at most {limit}; was it made with another limit?"
            )
            yield Finding("error", index, limit, "lengths", "horizon", message)
        if not trajectory.terminated and not trajectory.truncated:
            message = "neither terminated nor truncated: a part of an episode; bootstrapping treats its end as a time limit"
            yield Finding("warning", index, None, "truncated", "unfinished", message)
        elif limit is not None and trajectory.truncated and not trajectory.terminated and steps < limit:
            message = (
                f"truncated after {steps} steps, where the time limit is {limit}; was it cut, or made with another limit?"
            )
            yield Finding("warning", index, None, "truncated", "horizon", message)
        elif steps == limit and trajectory.terminated and not trajectory.truncated:
            message = f"terminated exactly at the time limit of {limit}; a time limit is a truncation, not a termination"
            yield Finding("warning", index, None, "terminated", "horizon", message)


def _check_duplicates(demos: Demonstrations) -> Iterator[Finding]:
    seen: dict[bytes, int] = {}
    for index, trajectory in enumerate(demos):
        digest = hashlib.blake2b(digest_size=16)
        for array in [*named_arrays(trajectory.observations).values(), trajectory.actions]:
            flat = np.ascontiguousarray(array).reshape(-1)
            digest.update(str(array.shape).encode())
            digest.update(flat.view(np.uint8).data if flat.size else b"")
        first = seen.setdefault(digest.digest(), index)
        if first != index:
            message = f"the same observations and actions as trajectory {first}; it will count twice, so leave one out"
            yield Finding("warning", index, None, "trajectories", "duplicate", message)


def _check_some_rewarded(demos: Demonstrations) -> Iterator[Finding]:
    without = np.flatnonzero(~demos.arrays["rewarded"]).tolist()
    if without and len(without) < len(demos):
        message = f"no rewards here (nor in {len(without) - 1} more), but in others: returns cannot be summarized"
        yield Finding("warning", without[0], None, "rewards", "some-rewards", message)


def _check_values(demos: Demonstrations, observation_space: spaces.Space, action_space: spaces.Space) -> Iterator[Finding]:
    """Rules on numbers, over all trajectories at once."""
    if not len(demos):
        return
    for name, space in named_spaces(observation_space).items():
        yield from check_observations(Field.of(demos, name), space)
    if "actions" not in demos.missing:
        yield from check_actions(Field.of(demos, "actions"), action_space)
    if len(rewards := Field.of(demos, "rewards")):
        yield from check_rewards(rewards)
