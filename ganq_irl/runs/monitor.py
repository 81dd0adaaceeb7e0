"""Callbacks that watch training and warn, with advice, when it has gone wrong in a way that no number shows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from ganq_irl.evaluation.statistics import SHORTENED
from ganq_irl.generators.off_policy.pricing import latest_rewards
from ganq_irl.runs.stateful import StatefulCallback
from ganq_irl.runs.tensorboard import NEWEST

_log = logging.getLogger(__name__)

WON, GIVEN_UP = 0.99, 0.525
"""Mean accuracy over both sides, averaged over the horizon: at or above the first the discriminator has won, at or below the
second it has given up."""
BACK_BELOW, BACK_ABOVE = 0.97, 0.55
"""Accuracy at which a reported state counts as over, so that the next one is reported again."""
SURE = np.log(2) / 2
"""Entropy of D in nats (half of a fair coin's) below which an accurate discriminator is saturated. A regularized
discriminator can be accurate without being saturated, and then its score still teaches."""
HORIZON, HORIZON_OFF_POLICY = 10, 500
"""Rounds that accuracy is averaged over. An off-policy round is at most one update, so ten of them say nothing."""

_ADVICE = {
    "won": "it tells demonstrations from the policy almost without error or doubt, so that its score says little about what "
    "would be better; try a stabilizer (gradient-penalty, spectral-norm, instance-noise; space-range where demonstrations "
    "hardly move), a lower adversary.learning_rate, or a smaller adversary.n_updates",
    "given up": "it does no better than guessing: either the policy cannot be told from the demonstrations any more (then "
    "evaluations are as high as the demonstrations' return), or the discriminator cannot learn; try a higher "
    "adversary.learning_rate or adversary.n_updates, weaker stabilizers, or more inputs",
}


class DiscriminatorMonitor(StatefulCallback):
    """Callback that warns when the discriminator has won or has given up, and says what to try."""

    SAVED = ("_accuracy", "_entropy", "_rounds", "_reported")

    def __init__(self) -> None:
        super().__init__()
        self._accuracy, self._entropy, self._rounds, self._reported = 0.75, 0.0, 0, ""

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy over both sides and recent rounds; None before the first round."""
        return self._accuracy if self._rounds else None

    def _on_rollout_end(self) -> None:
        values = self.logger.name_to_value
        sides = [values.get(f"discriminator/{side}_accuracy") for side in ("real", "fake")]
        if None in sides:
            return
        entropy = values.get("discriminator/entropy", 0.0)  # 0 for a loss without a log-ratio: accuracy decides alone
        self._rounds += 1
        weight = 1 / min(self._rounds, self._horizon)
        self._accuracy += weight * (float(np.mean(sides)) - self._accuracy)  # type: ignore[arg-type]
        self._entropy += weight * (float(entropy) - self._entropy)
        if self._rounds >= self._horizon:
            self._report(self._verdict())

    @property
    def _horizon(self) -> int:
        return HORIZON_OFF_POLICY if isinstance(self.model, OffPolicyAlgorithm) else HORIZON

    def _verdict(self) -> str:
        if self._reported == "won" and self._accuracy > BACK_BELOW:
            return "won"
        if self._reported == "given up" and self._accuracy < BACK_ABOVE:
            return "given up"
        if self._accuracy >= WON and self._entropy < SURE:
            return "won"
        return "given up" if self._accuracy <= GIVEN_UP else ""

    def _report(self, verdict: str) -> None:
        if verdict and verdict != self._reported:
            _log.warning(
                "step %d: the discriminator has %s (accuracy %.3f): %s. See docs/how_to/diverged.md.",
                self.num_timesteps,
                verdict,
                self._accuracy,
                _ADVICE[verdict],
                extra={"category": "discriminator"},
            )
        self._reported = verdict


FALLEN = 0.5
"""Episodes count as shortened below this fraction of the longest mean so far; means are over SB3's window of episodes."""
LATE, STUCK = 0.5, 0.5
"""After the fraction ``LATE`` of all steps, episodes still below the fraction ``STUCK`` of the demonstrations' length are
reported."""


class EarlyTerminationMonitor(StatefulCallback):
    """Callback that warns when a policy with negative rewards has learned to end its episodes early.

    Termination is worth 0. When a discriminator recognizes the policy, most rewards are negative, and the shortest episode
    has the highest return, however little it looks like the demonstrations. Short episodes early in training are normal, so
    they are reported only if episodes have become shorter, or are still short after half of the steps.

    Args:
        demonstration_lengths: steps of each demonstration.
        timesteps: environment steps of the run.
    """

    SAVED = ("_longest", "_reported")

    def __init__(self, demonstration_lengths: Sequence[int], timesteps: int) -> None:
        super().__init__()
        self._shown, self._late = float(np.mean(demonstration_lengths)), LATE * timesteps
        self._longest, self._reported = 0.0, False
        self._newest: dict[str, Any] | None = None

    def _on_rollout_end(self) -> None:
        episodes = self.model.ep_info_buffer
        if self._reported or not episodes or len(episodes) < (episodes.maxlen or 1) or episodes[-1] is self._newest:
            return
        self._newest = episodes[-1]  # most off-policy rollouts are one step and end no episode
        length = float(np.mean([episode["l"] for episode in episodes]))
        self._longest = max(self._longest, length)
        has_fallen = length <= min(SHORTENED * self._shown, FALLEN * self._longest)
        is_stuck = self.num_timesteps >= self._late and length <= STUCK * self._shown
        if not has_fallen and not is_stuck:
            return
        reward = float(latest_rewards(self.model, NEWEST).mean())
        if reward < 0:
            self._report(length, reward)

    def _report(self, length: float, reward: float) -> None:
        self._reported = True
        _log.warning(
            "step %d: episodes last %.0f steps, up to %.0f before and %.0f in the demonstrations, and rewards are %.2f on "
            "average: a negative reward teaches to end episodes; set adversary.absorbing=true, which counts "
            "what an end is worth. See docs/concepts/control.md.",
            self.num_timesteps,
            length,
            self._longest,
            self._shown,
            reward,
            extra={"category": "episode lengths"},
        )
