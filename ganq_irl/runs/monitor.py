"""What watches a run as it learns, ends it where a number is not finite, and reports a game that is no longer played."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from ganq_irl.errors import EnvironmentFailed, GanqIrlError, TrainingDiverged
from ganq_irl.evaluation.statistics import SHORTENED
from ganq_irl.generators.finite import FiniteObservations
from ganq_irl.generators.off_policy import latest_rewards
from ganq_irl.runs.tensorboard import NEWEST

_log = logging.getLogger(__name__)

PARAMETERS_EVERY = 1000
"""Environment steps between looks at all parameters and gradients; losses and rewards are always looked at."""

WON, GIVEN_UP = 0.99, 0.525
"""Mean accuracy of both sides, averaged over about a horizon of rounds, from which, and up to which, it is reported."""
BACK_BELOW, BACK_ABOVE = 0.97, 0.55
"""Where the report counts as settled, so that the next one is news."""
SURE = np.log(2) / 2
"""Mean entropy of D in nats, half of a coin's, below which a discriminator that is right is also sure of itself. One that a
penalty holds is right about a random policy, too, but says by how much: that score teaches."""
HORIZON, HORIZON_OFF_POLICY = 10, 500
"""Rounds. Off-policy a round is one update or none, and after ten of them no discriminator knows anything."""

_ADVICE = {
    "won": "it tells demonstrations from the policy almost without error or doubt, so that its score says little about what "
    "would be better; try a stabilizer (gradient-penalty, spectral-norm, instance-noise; space-range where demonstrations "
    "hardly move), a lower adversary.learning_rate, or a smaller adversary.n_updates",
    "given up": "it does no better than guessing: either the policy cannot be told from the demonstrations any more (then "
    "evaluations are as high as the demonstrations' return), or the discriminator cannot learn; try a higher "
    "adversary.learning_rate or adversary.n_updates, weaker stabilizers, or more inputs",
}


class FiniteGuard(FiniteObservations):
    """End the run where an observation, a loss, a gradient, a reward or a parameter is no longer finite.

    Args:
        imitator: the imitation algorithm around the model, if there is one.
    """

    def __init__(self, imitator: Any | None = None) -> None:
        super().__init__()
        self.imitator, self._next = imitator, 0

    def _on_step(self) -> bool:
        super()._on_step()
        rewards = self.locals["rewards"]
        if not np.isfinite(rewards).all():
            raise TrainingDiverged(f"the environment's reward is {rewards[~np.isfinite(rewards)][0]}; look at its step()")
        return True

    def _on_rollout_start(self) -> None:
        for key, value in self.logger.name_to_value.items():
            if "loss" in key and isinstance(value, int | float | np.floating) and not math.isfinite(value):
                check_finite(self.model, self.imitator)  # what it comes from says more
                raise TrainingDiverged(f"the loss {key} is {value}; {_REMEDY}")
        if self.num_timesteps >= self._next:
            check_finite(self.model, self.imitator)
            self._next = self.num_timesteps + PARAMETERS_EVERY


_REMEDY = "lower the learning rate, or clip gradients"


def check_finite(model: BaseAlgorithm, imitator: Any | None = None) -> None:
    """Look at every parameter of policy and discriminator, and at the last gradient of each.

    Raises:
        TrainingDiverged: naming the first that is not finite, gradients first.
    """
    learner = getattr(imitator, "learner", None) or getattr(model, "learner", None)
    networks = {"policy": model.policy} | ({"discriminator": learner.discriminator} if learner is not None else {})
    for owner, network in networks.items():
        parameters = list(network.named_parameters())
        for kind, tensors in (
            ("gradient", [(name, parameter.grad) for name, parameter in parameters]),
            ("parameter", parameters),
        ):
            for name, tensor in tensors:
                if tensor is not None and not torch.isfinite(tensor).all():
                    raise TrainingDiverged(f"the {owner}'s {kind} {name} is not finite; {_REMEDY}")


def require_finite(policy: torch.nn.Module) -> None:
    """Look at every parameter of a policy.

    Raises:
        TrainingDiverged: naming the first that is not finite.
    """
    for name, parameter in policy.named_parameters():
        if not torch.isfinite(parameter).all():
            raise TrainingDiverged(f"the policy's parameter {name} is not finite; {_REMEDY}")


@contextmanager
def explaining_divergence(model: BaseAlgorithm, imitator: Any | None, folder: Path, checkpoints: Any) -> Iterator[None]:
    """Say of a divergence at which step it was, and which checkpoint is the last good one.

    Networks that are no longer finite fail in many ways, some of them far from the cause: those are divergences too.

    Args:
        model: what learns.
        imitator: the imitation algorithm around it.
        folder: the run directory.
        checkpoints: the callback that makes them.
    """
    try:
        yield
    except TrainingDiverged as error:
        raise TrainingDiverged(_explained(str(error), model, folder, checkpoints)) from error
    except (ValueError, RuntimeError) as error:
        is_environment = isinstance(error, EnvironmentFailed)  # which a policy that is not finite makes fail as well
        if isinstance(error, GanqIrlError) and not is_environment:
            raise
        try:
            check_finite(model, imitator)
        except TrainingDiverged as divergence:
            raise TrainingDiverged(_explained(str(divergence), model, folder, checkpoints)) from error
        if is_environment:
            raise EnvironmentFailed(f"{error}; {_last_good(folder, checkpoints)}") from error
        raise


def _explained(message: str, model: BaseAlgorithm, folder: Path, checkpoints: Any) -> str:
    return f"diverged at step {model.num_timesteps}: {message}; {_last_good(folder, checkpoints)}"


def _last_good(folder: Path, checkpoints: Any) -> str:
    good = checkpoints.latest
    return f"the last good checkpoint is {good.folder}" if good is not None else f"{folder} holds no checkpoint yet"


class DiscriminatorMonitor(BaseCallback):
    """Log a warning when a discriminator has won or has given up, with what to try."""

    def __init__(self) -> None:
        super().__init__()
        self._accuracy, self._entropy, self._rounds, self._reported = 0.75, 0.0, 0, ""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        values = self.logger.name_to_value
        sides = [values.get(f"discriminator/{side}_accuracy") for side in ("real", "fake")]
        if None in sides:
            return
        entropy = values.get("discriminator/entropy", 0.0)  # a loss without a log-ratio has none, and accuracy decides alone
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
                "step %d: the discriminator has %s (accuracy %.3f): %s",
                self.num_timesteps,
                verdict,
                self._accuracy,
                _ADVICE[verdict],
                extra={"category": "discriminator"},
            )
        self._reported = verdict

    def state_dict(self) -> dict[str, Any]:
        """What it remembers."""
        return {
            "accuracy": self._accuracy,
            "entropy": self._entropy,
            "rounds": self._rounds,
            "reported": self._reported,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._accuracy, self._rounds, self._reported = state["accuracy"], state["rounds"], state["reported"]
        self._entropy = state.get("entropy", 0.0)  # checkpoints of before have none


FALLEN = 0.5
"""Share of the longest episodes so far to which those of a policy fall that learns to end them; means over SB3's window."""
LATE, STUCK = 0.5, 0.5
"""Shares: of the steps, after which a policy is no beginner; of the demonstrations' length, which it should pass by then."""


class EarlyTerminationMonitor(BaseCallback):
    """Log a warning when a policy whose rewards are negative has learned to end its episodes.

    An end is worth 0. Where a discriminator finds the policy out, most rewards are negative, and the shortest episode is
    then the best one: a fall at the first step, however little it looks like the demonstrations. Early in training short
    episodes mean nothing: they are reported once they have become shorter, or are still short after half of the steps.

    Args:
        demonstration_lengths: steps of each demonstration.
        timesteps: of the run.
    """

    def __init__(self, demonstration_lengths: Sequence[int], timesteps: int) -> None:
        super().__init__()
        self._shown, self._late = float(np.mean(demonstration_lengths)), LATE * timesteps
        self._longest, self._reported = 0.0, False
        self._newest: dict[str, Any] | None = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        episodes = self.model.ep_info_buffer
        if self._reported or not episodes or len(episodes) < (episodes.maxlen or 1) or episodes[-1] is self._newest:
            return
        self._newest = episodes[-1]  # off-policy a collection is one step, and most of them end no episode
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
            "average: a negative reward teaches to end episodes; try adversary.reward=gail, which is positive, or dac with "
            "adversary.absorbing=true, which learns what an end is worth",
            self.num_timesteps,
            length,
            self._longest,
            self._shown,
            reward,
            extra={"category": "episode lengths"},
        )

    def state_dict(self) -> dict[str, Any]:
        """What it remembers."""
        return {"longest": self._longest, "reported": self._reported}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._longest, self._reported = state["longest"], state["reported"]
