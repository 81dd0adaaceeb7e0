"""Summary statistics of returns, and warnings about scores that could mislead."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation.rollouts import EpisodeStatistics

RewardSign = Literal["positive", "negative", "both", "counted"]
"""Sign that a learned reward can take; "counted" if it includes what an end is worth, so that its sign does not matter."""


@dataclass(frozen=True)
class Evaluation:
    """Summary of a policy's true return over some episodes.

    Attributes:
        mean_return: mean undiscounted return.
        std_return: sample standard deviation (n − 1); None for one episode.
        interval: 95 % confidence interval of the mean; None for one episode.
        normalized: score with 0 for the random policy and 1 for the expert; None if those references are unknown.
        episodes: number of episodes.
        mean_length: mean number of steps.
        seed: reset seed of the first episode; the others use consecutive seeds.
        returns: return of every episode, in the order of the seeds.
        references: mean returns (random, expert) behind ``normalized``, or None.
        heldout_distance: distance from demonstrations that were kept from training, see ``evaluation.heldout_distance``;
            None if there are none.
        heldout_interval: its 95 % confidence interval.

    Example:
        >>> episodes = evaluate_returns(ppo, "CartPole-v1", 3)
        >>> evaluation = summarize_episodes(episodes, seed=0, references=(20.0, 500.0))
        >>> evaluation.episodes, evaluation.normalized == (evaluation.mean_return - 20) / 480
        (3, True)
    """

    mean_return: float
    std_return: float | None
    interval: tuple[float, float] | None
    normalized: float | None
    episodes: int
    mean_length: float
    seed: int
    returns: tuple[float, ...]
    references: tuple[float, float] | None
    heldout_distance: float | None = None
    heldout_interval: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def summarize_episodes(
    episodes: EpisodeStatistics, *, seed: int, references: tuple[float, float] | None = None
) -> Evaluation:
    """Summarize episodes.

    Args:
        episodes: result of ``evaluate_returns``.
        seed: the seed passed to it.
        references: mean returns of the random policy and of the expert, if known.

    Example:
        >>> episodes = EpisodeStatistics(returns=np.array([1.0, 3.0]), lengths=np.array([10, 20]))
        >>> evaluation = summarize_episodes(episodes, seed=0)
        >>> evaluation.mean_return, evaluation.mean_length
        (2.0, 15.0)
    """
    mean = float(np.mean(episodes.returns))
    return Evaluation(
        mean_return=mean,
        std_return=float(np.std(episodes.returns, ddof=1)) if len(episodes) > 1 else None,
        interval=mean_interval(episodes.returns),
        normalized=None if references is None else normalized_score(mean, *references),
        episodes=len(episodes),
        mean_length=float(np.mean(episodes.lengths)),
        seed=seed,
        returns=tuple(episodes.returns.tolist()),
        references=references,
    )


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float] | None:
    """Return Student's t interval of the mean of ``values``, ``(n,)``.

    With the usual 10 to 50 episodes, a percentile or BCa bootstrap of the mean is too narrow, and undefined if all returns
    are equal. The t interval is exact for normal returns and a good approximation for others.

    Returns:
        (low, high), both equal to the mean if all values are equal; None for fewer than two values.

    Example:
        >>> low, high = mean_interval(np.array([1.0, 2.0, 3.0]))
        >>> round(low, 2), round(high, 2)
        (-0.48, 4.48)
    """
    n = len(values)
    if n < 2:
        return None
    mean, half = (
        float(np.mean(values)),
        float(special.stdtrit(n - 1, 0.5 + level / 2) * np.std(values, ddof=1) / math.sqrt(n)),
    )
    return mean - half, mean + half


def normalized_score(mean: float, random: float, expert: float) -> float:
    """Return ``(mean - random) / (expert - random)``: 0 for the random policy, 1 for the expert.

    Raises:
        ConfigurationError: the references are equal or not finite.

    Example:
        >>> normalized_score(260.0, random=20.0, expert=500.0)
        0.5
    """
    if not math.isfinite(random) or not math.isfinite(expert) or random == expert:
        raise ConfigurationError(f"cannot normalize by a random return of {random} and an expert return of {expert}")
    return (mean - random) / (expert - random)


SHORTENED = 0.8
"""Episodes shorter than this share of the demonstrations' length count as ended early."""
AS_GOOD = 0.9
"""Normalized score from which a policy counts as good as the demonstrations."""
TOLD_APART = 0.6
"""Accuracy above which a discriminator still tells the policy from the demonstrations."""


def early_end_warning(
    lengths: np.ndarray, demonstrated: np.ndarray, normalized: float | None, reward_sign: RewardSign
) -> str | None:
    """Return a warning if a policy trained on a learned reward ends its episodes early, otherwise None.

    Args:
        lengths: lengths of the policy's episodes, ``(n,)``.
        demonstrated: lengths of the demonstrations, ``(m,)``.
        normalized: score of the policy, if known: a policy as good as the demonstrations may simply be faster.
        reward_sign: sign that the learned reward can take.

    Example:
        >>> print(early_end_warning(np.array([20, 25]), np.array([500, 500]), normalized=0.1, reward_sign="negative"))
        the policy's episodes last 22 steps, the demonstrations' 500. ...
    """
    played, shown = float(np.mean(lengths)), float(np.mean(demonstrated))
    if played > SHORTENED * shown or (normalized is not None and normalized >= AS_GOOD):
        return None
    remedy = (
        "train longer, or with more demonstrations"
        if reward_sign in ("positive", "counted")
        else "a reward that can be negative encourages this: set adversary.absorbing=true, which counts what an end is worth"
    )
    return (
        f"the policy's episodes last {played:.0f} steps, the demonstrations' {shown:.0f}. Unless faster is better here, it "
        f"ends them early; {remedy}. See docs/concepts/control.md"
    )


def length_bias_warning(lengths: np.ndarray, reward_sign: RewardSign) -> str | None:
    """Return a warning if episode length alone could explain a score, otherwise None.

    With a reward of one sign, any discriminator, even a random one, rewards long episodes (positive: a survival bonus) or
    short ones (negative: a time penalty). If episodes can end early, this alone may solve the task.

    Args:
        lengths: observed episode lengths, of demonstrations and policy together, ``(n,)``.
        reward_sign: sign that the learned reward can take.

    Example:
        >>> print(length_bias_warning(np.array([20, 500]), reward_sign="positive"))
        episodes last 20 to 500 steps and the learned reward is always positive: it rewards staying alive ...
    """
    if reward_sign in ("both", "counted") or len(lengths) == 0 or np.min(lengths) == np.max(lengths):
        return None
    effect = "staying alive" if reward_sign == "positive" else "ending the episode early"
    return (
        f"episodes last {np.min(lengths)} to {np.max(lengths)} steps and the learned reward is always {reward_sign}: it "
        f"rewards {effect} regardless of imitation. Compare with the control: --control frozen. "
        "See docs/concepts/control.md"
    )


def shortfall_warning(normalized: float | None, accuracy: float | None = None) -> str | None:
    """Return a warning if a policy is clearly worse than its demonstrations, with what to try; otherwise None.

    Args:
        normalized: score of the policy, with 1 for the demonstrations; None if it is unknown.
        accuracy: accuracy of the discriminator at the end of training, or None if there is none.

    Example:
        >>> print(shortfall_warning(0.4, accuracy=0.95))
        the policy reaches 0.40 of the demonstrations' return (0 is that of random actions). The discriminator still ...
    """
    if normalized is None or normalized >= AS_GOOD:
        return None
    if accuracy is None:
        reason = "Train longer, or compare with behavioral cloning (ganq-irl train bc)"
    elif accuracy > TOLD_APART:
        reason = (
            f"The discriminator still tells its transitions from the demonstrated ones (accuracy {accuracy:.2f}), so "
            "training has not converged: train longer, or compare with behavioral cloning (ganq-irl train bc)"
        )
    else:
        reason = (
            f"The discriminator no longer tells its transitions from the demonstrated ones (accuracy {accuracy:.2f}): "
            "the difference is too fine for it, or not in its inputs; give more demonstrations, or compare with behavioral "
            "cloning (ganq-irl train bc)"
        )
    return f"the policy reaches {normalized:.2f} of the demonstrations' return (0 is that of random actions). {reason}"
