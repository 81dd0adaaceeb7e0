"""Rules about the overall quality of demonstrations. They only give warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from gymnasium import spaces

from ganq_irl_demos.catalog import reference_returns
from ganq_irl_demos.checking.fields import Field
from ganq_irl_demos.checking.findings import Finding
from ganq_irl_demos.demonstrations import Demonstrations
from ganq_irl_demos.trajectories import named_spaces

FAR = 20
"""A value is a far outlier if its distance from the middle 98 % exceeds this many times their width."""

SCALE_RATIO = 1e3
"""Dimensions whose typical magnitudes differ by a larger factor are on different scales."""

SATURATED = 0.5
"""A larger share of actions at a bound suggests clipping or a bang-bang expert."""

AT_BOUND = 1e-3
"""Distance from a bound that counts as at the bound, relative to the range."""

POOR = 0.5
"""Demonstrations below this normalized score (0 random, 1 expert) are poor."""

ALIKE = 0.25
"""A larger share of episodes with the same, maximum length suggests a time limit."""


def check_quality(demos: Demonstrations) -> Iterator[Finding]:
    """Yield warnings about demonstrations without errors."""
    if not demos.n_transitions:
        return
    for name in named_spaces(demos.observation_space):
        yield from _check_spread(Field.of(demos, name))
    if "actions" not in demos.missing:
        yield from _check_saturation(demos)
    yield from _check_lengths(demos)
    yield from _check_returns(demos)


def _check_spread(field: Field) -> Iterator[Finding]:
    """Warn about far outliers, and about dimensions on different scales; floats only."""
    if field.dtype.kind != "f" or not field.dimensions:
        return
    chosen = field.sample()
    low, middle, high = np.nanquantile(np.where(np.isfinite(chosen), chosen, np.nan), [0.01, 0.5, 0.99], axis=0)
    width = high - low
    nearest, farthest = low - FAR * width, high + FAR * width
    expected = f"its distance from 98 % of the values is more than {FAR} times their width; is it a recording glitch?"
    if ((width > 0) & ((field.ranges.low < nearest) | (field.ranges.high > farthest))).any():

        def broken(block: np.ndarray) -> np.ndarray:
            return np.isfinite(block) & (width > 0) & ((block < nearest) | (block > farthest))

        yield from field.findings(broken, "warning", "far-out", expected)
    sizes = np.maximum(width, np.abs(middle))
    sizes = sizes[np.isfinite(sizes) & (width > 0)]
    if sizes.size > 1 and sizes.max() > SCALE_RATIO * sizes.min():
        message = f"magnitudes range from {sizes.min():.2g} to {sizes.max():.2g}; normalize observations"
        yield Finding("warning", None, None, field.name, "scale", message)


def _check_saturation(demos: Demonstrations) -> Iterator[Finding]:
    space = demos.action_space
    if not isinstance(space, spaces.Box):
        return
    field = Field.of(demos, "actions")
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    margin = np.where(np.isfinite(high - low), AT_BOUND * (high - low), 0)
    at_bound = sum(((block <= low + margin) | (block >= high - margin)).sum(axis=0) for _, block in field.blocks())
    share = np.asarray(at_bound) / len(field)
    for dimension in np.flatnonzero(share > SATURATED):
        message = (
            f"{share[dimension]:.0%} of the actions in dimension {dimension} lie at the bounds of {space}; were they "
            "clipped, or scaled for other bounds? A Gaussian policy imitates them badly"
        )
        yield Finding("warning", None, None, "actions", "saturation", message)


def _check_lengths(demos: Demonstrations) -> Iterator[Finding]:
    """Warn about mixed time limits, and about terminations that look like a time limit."""
    lengths = demos.arrays["lengths"]
    terminated, truncated = demos.arrays["terminated"], demos.arrays["truncated"]
    cut = Counter(lengths[truncated & ~terminated].tolist())
    if len(cut) > 1:
        listed = ", ".join(f"{steps} ({count})" for steps, count in cut.most_common(5))
        odd = int(np.flatnonzero(truncated & np.isin(lengths, list(cut)) & (lengths != max(cut)))[0])
        message = (
            f"episodes were truncated after different numbers of steps: {listed}; were they recorded with one time limit?"
        )
        yield Finding("warning", odd, int(lengths[odd]), "lengths", "horizon-mix", message)
    longest = int(lengths.max())
    ended = np.flatnonzero(terminated & ~truncated & (lengths == longest)).tolist()
    if not cut and len(ended) > max(1, ALIKE * len(demos)) and longest > 1 and len(set(lengths.tolist())) > 1:
        message = (
            f"{len(ended)} episodes terminated after exactly {longest} steps, and none was longer; if that is a time limit, "
            "they were truncated (learners treat a termination as the end of all rewards)"
        )
        yield Finding("warning", ended[0], longest - 1, "terminated", "time-limit", message)


def _check_returns(demos: Demonstrations) -> Iterator[Finding]:
    """Compare the returns with those of the random policy and the expert, if the catalog has the task."""
    references = reference_returns(demos.env_id) if demos.env_id else None
    if references is None or demos.returns is None:
        return
    random, expert = references
    scores = (demos.returns - random) / (expert - random)
    worst = int(np.argmin(scores))
    given = f"mean return {demos.returns.mean():.4g}, where random actions get {random:.4g} and an expert {expert:.4g}"
    if scores.mean() < POOR:
        advice = "; an imitator will not become better than its demonstrations"
        yield Finding("warning", worst, None, "rewards", "poor", f"{given}{advice}")
    elif scores.min() < POOR:
        count = int((scores < POOR).sum())
        message = f"return {demos.returns[worst]:.4g} ({given}); {count} such episodes among better ones; leave them out?"
        yield Finding("warning", worst, None, "rewards", "mixed-quality", message)
    elif scores.mean() > 2:
        message = f"{given}; is it the same task, with the same reward?"
        yield Finding("warning", None, None, "rewards", "too-good", message)
