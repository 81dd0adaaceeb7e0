"""Updates and scores of a discriminator, equal to those of its ``DiscriminatorLearner`` to rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ganq_irl.accelerated.core import FlatAdam, ParameterVector, clip_norm, layers_of, stacks_of
from ganq_irl.accelerated.discriminator.network import Penalty, ScoreNetwork
from ganq_irl.accelerated.discriminator.support import why_slow
from ganq_irl.discriminator import DiscriminatorLearner
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.metrics import discriminator_metrics
from ganq_irl.discriminator.penalties import interpolate, pair
from ganq_irl.discriminator.stabilizers.penalty import FakeGradientPenalty, GradientPenalty
from ganq_irl.types import Batch

Metrics = dict[str, Tensor]


class FastLearner:
    """A learner's updates with the same random draws, and its discriminator's scores, without autograd.

    Args:
        learner: one that ``why_slow`` has nothing against. The parameters of its discriminator and the state of its
            optimizer become views of the vectors here.
    """

    outputs_log_ratio = False
    why_slow = staticmethod(why_slow)

    def __init__(self, learner: DiscriminatorLearner) -> None:
        self._learner = learner
        self._encoder: Any = learner.discriminator.encoder
        modules = list(learner.discriminator.network.layers)  # type: ignore[arg-type, union-attr]
        self._vector = ParameterVector(stacks_of([modules]))
        self._network = ScoreNetwork(layers_of([modules], self._vector))
        self._adam = FlatAdam(learner.optimizer, self._vector)
        self._penalty: Any = next(iter(learner.stabilizers), None)

    def encode(self, batch: Batch) -> Encoded:
        """Encode rows as the discriminator does."""
        return self._encoder(batch)

    def score(self, encoded: Encoded) -> Tensor:
        """Return the score of each row, ``(batch,)``."""
        if not self._vector.is_shared():
            self._vector.adopt()
        return self._network.scores(encoded.features).clone()

    @torch.no_grad()
    def update(self, real: Batch | Encoded, fake: Batch | Encoded, *, measures: bool = True) -> Metrics:
        """As ``DiscriminatorLearner.update``."""
        self._adam.adopt()
        real, fake = self._learner.encode_sides(real, fake)
        n_real, n_fake = len(real), len(fake)
        points, penalty = self._penalized(real, fake)
        scores = self._network.scores(torch.cat([real.features, fake.features, *points]))
        real_scores, fake_scores = scores[:n_real], scores[n_real : n_real + n_fake]
        metrics = {"loss": softplus(-real_scores).mean() + softplus(fake_scores).mean()}
        if measures:
            metrics |= discriminator_metrics(self._learner.loss, real_scores, fake_scores)

        # ∂/∂D of mean softplus(-D) over real rows, and of mean softplus(D) over fake ones
        of_scores = torch.sigmoid(scores)
        of_scores[:n_real].sub_(1).div_(n_real)
        of_scores[n_real : n_real + n_fake].div_(n_fake)
        of_scores[n_real + n_fake :] = 0
        value = self._network.descend_from(of_scores, penalty)
        if value is not None:
            metrics[f"penalty/{self._penalty.name}"] = value
        if self._learner.max_grad_norm is not None:
            metrics["gradient_norm"] = clip_norm(self._vector.gradient, self._learner.max_grad_norm)
        self._adam.step()
        self._learner.n_updates += 1
        return metrics

    def _penalized(self, real: Encoded, fake: Encoded) -> tuple[list[Tensor], Penalty | None]:
        """Rows that are scored for the penalty alone, and the penalty."""
        stabilizer, n_real, n_fake = self._penalty, len(real), len(fake)
        if stabilizer is None:
            return [], None
        if isinstance(stabilizer, GradientPenalty):  # the draws of GradientPenalty.penalty, in its order
            weights = torch.rand(n_fake, generator=self._learner.rng)
            points = interpolate(pair(real, fake, self._learner.rng), fake, weights).features
            return [points], Penalty(stabilizer.weight, stabilizer.center, slice(n_real + n_fake, None))
        is_of_fake = isinstance(stabilizer, FakeGradientPenalty)
        rows = slice(n_real, n_real + n_fake) if is_of_fake else slice(0, n_real)
        return [], Penalty(stabilizer.weight / 2, 0.0, rows)
