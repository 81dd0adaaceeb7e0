"""Segments: short parts of episodes that are compared with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganq_irl.errors import ConfigurationError
from ganq_irl.types import mapped
from ganq_irl_demos import Trajectory
from ganq_irl_demos.trajectories import named_arrays, observations_of


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of several environments, in the order in which they were taken.

    Attributes:
        observations: ``(n_steps, n_envs, *shape)``, or a dict of such arrays.
        actions: ``(n_steps, n_envs, *shape)``, as executed.
        next_observations: like ``observations``; at the end of an episode, its last observation.
        rewards: ``(n_steps, n_envs)``, the environment's, which only a teacher sees.
        terminated: ``(n_steps, n_envs)`` bool, whether the task ended.
        ended: ``(n_steps, n_envs)`` bool, whether the episode ended, by termination or truncation.

    Example:
        >>> x, no = np.zeros((5, 1, 2)), np.zeros((5, 1), bool)
        >>> steps = Steps(x, x, x, np.ones((5, 1)), no, no)
        >>> [len(segment) for segment in draw_segments(steps, 2, 3, np.random.default_rng(0))]
        [3, 3]
    """

    observations: Any
    actions: np.ndarray
    next_observations: Any
    rewards: np.ndarray
    terminated: np.ndarray
    ended: np.ndarray

    def segment(self, env: int, start: int, stop: int) -> Trajectory:
        """Return the steps from ``start`` to ``stop`` of one environment, which belong to one episode."""
        inside, last = slice(start, stop), slice(stop - 1, stop)
        here = named_arrays(mapped(lambda array: array[inside, env], self.observations))
        final = named_arrays(mapped(lambda array: array[last, env], self.next_observations))
        return Trajectory(
            observations=observations_of({name: np.concatenate([here[name], final[name]]) for name in here}),
            actions=np.array(self.actions[inside, env]),
            rewards=np.array(self.rewards[inside, env]),
            terminated=bool(self.terminated[stop - 1, env]),
            truncated=bool(self.ended[stop - 1, env] and not self.terminated[stop - 1, env]),
        )


def draw_segments(steps: Steps, n: int, length: int, rng: np.random.Generator) -> list[Trajectory]:
    """Draw segments with replacement from the steps of several environments.

    Every start is equally likely. A segment ends early where its episode terminates: what follows is worth nothing. It never
    contains a truncation, after which the episode would have gone on.

    Args:
        steps: the steps.
        n: number of segments.
        length: steps of a segment.
        rng: random generator.

    Returns:
        The segments; none if no episode is long enough.

    Example:
        >>> x, no = np.zeros((5, 1, 2)), np.zeros((5, 1), bool)
        >>> steps = Steps(x, x, x, np.ones((5, 1)), no, no)
        >>> [len(draw_segments(steps, 2, length, np.random.default_rng(0))) for length in (3, 9)]
        [2, 0]
    """
    found = [windows(steps.ended[:, env], steps.terminated[:, env], length) for env in range(steps.ended.shape[1])]
    return [steps.segment(env, start, stop) for env, start, stop in _drawn(found, n, rng)]


def cut_segments(trajectories: Sequence[Trajectory], n: int, length: int, rng: np.random.Generator) -> list[Trajectory]:
    """Draw segments with replacement from whole episodes; see ``draw_segments``.

    Raises:
        ConfigurationError: no episode is long enough.

    Example:
        >>> [len(segment) for segment in cut_segments(demos, 3, 50, np.random.default_rng(0))]
        [50, 50, 50]
    """
    found = [windows(*_ends_of(one), length) for one in trajectories]
    segments = [_part(trajectories[i], start, stop) for i, start, stop in _drawn(found, n, rng)]
    if not segments:
        raise ConfigurationError(
            f"no episode has {length} steps in a row, and none terminated earlier; set a smaller segment_length"
        )
    return segments


def windows(ended: np.ndarray, terminated: np.ndarray, length: int) -> np.ndarray:
    """Return start and stop of all segments of consecutive steps, ``(n, 2)``, given the ends of episodes, ``(n_steps,)``.

    Example:
        >>> no = np.array([False, False, False, False])
        >>> windows(no, no, 3).tolist()
        [[0, 3], [1, 4]]
        >>> windows(*2 * [np.array([False, False, False, True])], 3).tolist()  # shorter ones end with a termination
        [[0, 3], [1, 4], [2, 4], [3, 4]]
    """
    n_steps = len(ended)
    places = np.where(ended, np.arange(n_steps), n_steps)
    next_end = np.minimum.accumulate(places[::-1])[::-1]  # of the episode that a step belongs to
    starts = np.arange(n_steps)
    stops = np.minimum(starts + length, np.minimum(next_end + 1, n_steps))
    is_whole = stops - starts == length
    return np.stack([starts, stops], axis=1)[is_whole | terminated[stops - 1]]


def _ends_of(trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray]:
    ended = np.arange(len(trajectory)) == len(trajectory) - 1
    return ended, ended & trajectory.terminated


def _drawn(found: Sequence[np.ndarray], n: int, rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """Draw from the windows of several sources; yield source, start and stop."""
    counts = np.array([len(each) for each in found], dtype=np.int64)
    if not counts.sum():
        return
    last = np.cumsum(counts)
    for index in rng.integers(last[-1], size=n):
        source = int(np.searchsorted(last, index, side="right"))
        start, stop = found[source][index - (last[source] - counts[source])]
        yield source, int(start), int(stop)


def _part(trajectory: Trajectory, start: int, stop: int) -> Trajectory:
    is_last = stop == len(trajectory)
    observations = {name: array[start : stop + 1] for name, array in named_arrays(trajectory.observations).items()}
    return replace(
        trajectory,
        observations=observations_of(observations),
        actions=trajectory.actions[start:stop],
        rewards=None if trajectory.rewards is None else trajectory.rewards[start:stop],
        terminated=is_last and trajectory.terminated,
        truncated=is_last and trajectory.truncated,
        seed=None,
        rank=None,
    )
