"""Train a discriminator: the update that every algorithm calls."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, parametrize

from ganq_irl.discriminator.inputs import Encoded, representative
from ganq_irl.discriminator.losses import Loss, build_loss, with_log_ratio
from ganq_irl.discriminator.metrics import discriminator_metrics
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.stabilizers import Stabilizer, StabilizerSpec, Step, build_stabilizers
from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Batch, shares_condition


class DiscriminatorLearner:
    """Train a discriminator to tell real from fake.

    Args:
        discriminator: the networks; architecture stabilizers edit them in place.
        reference: real data that sets the encoder's statistics and the reference batch of virtual batch normalization. If
            it is not available yet, pass it to ``fit_reference`` before the first update.
        loss: a name in ``LOSSES`` or an instance.
        stabilizers: names, ``{"name": ..., setting: value}``, or instances. Their hooks run in this order. They are attached
            in the order of ``attach_rank``, so that stabilizers that copy or track parameters see the final networks.
        learning_rate: learning rate of Adam; ``set_learning_rate`` changes it.
        betas: betas of Adam.
        max_grad_norm: maximum norm of the gradient; None for no clipping.
        seed: seed of the random draws of noise and interpolates.

    Raises:
        ConfigurationError: unknown loss or stabilizer, or two that cannot be combined.

    Example:
        >>> learner = DiscriminatorLearner(discriminator, reference=batch, stabilizers=["r1"])
        >>> metrics = learner.update(real=batch, fake=demos.to_batch()[64:128])
        >>> metrics["loss"].shape
        torch.Size([])
    """

    def __init__(
        self,
        discriminator: BaseDiscriminator,
        reference: Batch | None = None,
        *,
        loss: str | Loss = "bce",
        stabilizers: Sequence[StabilizerSpec] = (),
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        max_grad_norm: float | None = 10.0,
        seed: int = 0,
    ) -> None:
        self.discriminator = discriminator
        self.loss = build_loss(loss)
        self.stabilizers = nn.ModuleList(build_stabilizers(stabilizers))
        _check_compatible(self._attached(), self.loss)
        encoded = None
        if reference is not None:
            encoded = self._fitted(reference)
        for stabilizer in sorted(self._attached(), key=lambda stabilizer: stabilizer.attach_rank):
            stabilizer.attach(discriminator, encoded)
        self.max_grad_norm = max_grad_norm
        self._parameters = list(discriminator.parameters())  # collected once: walking the modules costs as much as a layer
        self.optimizer = torch.optim.Adam(self._parameters, lr=learning_rate, betas=betas, fused=True)
        device = discriminator.encoder.mean.device
        self.rng = torch.Generator(device).manual_seed(seed)
        self.n_updates = 0
        self._last: tuple[Batch, Encoded] | None = None  # the latest fake return samples and their encoding

    def fit_reference(self, reference: Batch) -> None:
        """Set the real data, if they were not available at construction."""
        encoded = self._fitted(reference)
        for stabilizer in self._attached():
            stabilizer.fit_reference(self.discriminator, encoded)

    def _fitted(self, reference: Batch) -> Encoded:
        """Fit the encoder to ``reference`` and return its encoded rows."""
        self.discriminator.encoder.fit(reference)
        for stabilizer in self._attached():
            stabilizer.on_statistics(self.discriminator.encoder)
        return self.discriminator.encode(representative(reference))

    def encode(self, batch: Batch, name: str = "given") -> Encoded:
        """Encode rows for ``update``, without gradient history. Encode a pool once if many updates draw from it.

        Raises:
            ConfigurationError: the discriminator is shaped and the batch has no log π(a|s).
            IncompatibleSpaces: the batch does not fit the encoder's spaces.
        """
        if self.discriminator.outputs_log_ratio and batch.log_probs is None:
            raise ConfigurationError(
                f"the {name} batch has no log_probs, and a shaped discriminator scores f - log π(a|s); "
                "fill in log_probs with the generator's current policy, for both sides"
            )
        return self.discriminator.encode(batch).detach()

    def encode_sides(self, real: Batch | Encoded, fake: Batch | Encoded) -> tuple[Encoded, Encoded]:
        """Encode both sides of an update; rows that are encoded already stay as they are.

        Raises:
            ConfigurationError: a side is empty, or the discriminator is shaped and a side has no log π(a|s).
            IncompatibleSpaces: a batch does not fit the encoder's spaces.
        """
        for name, side in {"real": real, "fake": fake}.items():
            if not len(side):
                raise ConfigurationError(f"the {name} batch is empty; give at least one transition for each side")
        real_rows = self.encode(real, "real") if isinstance(real, Batch) else real
        if isinstance(fake, Encoded):
            return real_rows, fake
        if isinstance(real, Batch) and real.returns is not None and shares_condition(real, fake):
            return real_rows, real_rows.with_samples(self.discriminator.encoder.returns_of(fake).detach())
        return real_rows, self.encode(fake, "fake")

    def update(self, real: Batch | Encoded, fake: Batch | Encoded, *, measures: bool = True) -> dict[str, Tensor]:
        """Take one step on one batch of each side. Return scalar tensors, computed from the scores *before* the step.

        Sides that differ only in their returns, as in GAN-Q, are encoded once. ``measures=False`` returns only the metrics
        that the step needs; on a small batch the others take a tenth of the time.

        Raises:
            ConfigurationError: a side is empty, or the discriminator is shaped and a side has no log π(a|s).
            IncompatibleSpaces: a batch does not fit the encoder's spaces.
        """
        discriminator = self._set_training()
        real_rows, fake_rows = self.encode_sides(real, fake)
        self._last = (fake, fake_rows) if isinstance(fake, Batch) and fake.returns is not None else None
        for stabilizer in self._attached():
            real_rows, fake_rows = stabilizer.on_batch(real_rows, fake_rows, self.rng)

        # Both sides and all penalties share spectrally normalized weights and D's output at (s, a): compute these once.
        with parametrize.cached(), discriminator.reading_once():
            real_scores, fake_scores = self._score_sides(real_rows, fake_rows)
            losses = self.loss.of_sides(real_scores, fake_scores)
            for stabilizer in self._attached():
                losses = stabilizer.on_losses(self.loss, real_scores, fake_scores, losses)
            loss = losses[0].mean() + losses[1].mean()

            metrics = {"loss": loss.detach()}
            if measures or self._is_gated:
                metrics |= discriminator_metrics(self.loss, real_scores, fake_scores)
            learns = all(stabilizer.allows_step(metrics) for stabilizer in self._attached())
            if learns:
                step = Step(discriminator, self.loss, real_rows, fake_rows, real_scores, fake_scores, self.rng)
                metrics |= self._differentiate(loss, step)
        if learns:  # outside the caches, which hold only for the parameters before the step
            metrics |= self._descend()
        self.n_updates += 1
        return metrics

    def generator_loss(self, fake: Batch) -> Tensor:
        """Return the mean loss that a generator minimizes through its attached samples.

        Take the gradient with respect to the generator's parameters only (``torch.autograd.grad``), so that the
        discriminator accumulates none. The averaged discriminator gives the scores if one is attached, otherwise the live
        one in training mode: batch normalization and minibatch discrimination then compare the fake rows with each other,
        and the gradient through that comparison drives the samples apart.
        """
        if self._last is not None and self._last[0] is fake:
            rows = self._last[1].with_samples(self.discriminator.encoder.returns_of(fake))  # only x carries a gradient
        else:
            rows = self.discriminator.encode(fake)
        average = self._average
        scores = (self.discriminator if average is None else average.eval()).score(rows)
        return self.loss.generator(scores).mean()

    def _score_sides(self, real: Encoded, fake: Encoded) -> tuple[Tensor, Tensor]:
        if real.features is fake.features and real.returns is not None and fake.returns is not None:
            n_real = real.returns.shape[1]
            scores = self._score(real.with_samples(torch.cat([real.returns, fake.returns], dim=1)))
            return scores[:, :n_real], scores[:, n_real:]
        if any(stabilizer.uses_batch_statistics for stabilizer in self._attached()):
            return self._score(real), self._score(fake)  # a row must not be compared with rows of the other side
        real_scores, fake_scores = self.discriminator.score_sides(real, fake)
        return self._in_terms_of_loss(real_scores), self._in_terms_of_loss(fake_scores)

    def _score(self, rows: Encoded) -> Tensor:
        """Return the scores as the loss defines them, ``(batch,)``."""
        return self._in_terms_of_loss(self.discriminator.score(rows))

    def _in_terms_of_loss(self, scores: Tensor) -> Tensor:
        return self.loss.score_of(scores) if self.discriminator.outputs_log_ratio else scores

    def _differentiate(self, loss: Tensor, step: Step) -> dict[str, Tensor]:
        """Compute the gradient of the loss with all penalties. Return the penalties as metrics."""
        metrics = {}
        for stabilizer in self._attached():
            penalty = stabilizer.penalty(step)
            if penalty is not None:
                loss = loss + penalty
                metrics[f"penalty/{stabilizer.name}"] = penalty.detach()
        self.optimizer.zero_grad()
        loss.backward()
        return metrics

    def _descend(self) -> dict[str, Tensor]:
        """Take a step of the optimizer, then run the ``after_step`` hooks."""
        metrics = {}
        if self.max_grad_norm is not None:
            metrics["gradient_norm"] = clip_grad_norm_(self._parameters, self.max_grad_norm)
        self.optimizer.step()
        for stabilizer in self._attached():
            stabilizer.after_step(self.discriminator)
        return metrics

    @property
    def scorer(self) -> BaseDiscriminator:
        """The discriminator that scores for the generator, in evaluation mode: the averaged copy if there is one."""
        chosen = self._average or self.discriminator
        return chosen.eval() if chosen.training else chosen  # walking all modules costs as much as a small forward

    @property
    def _average(self) -> BaseDiscriminator | None:
        averages = (stabilizer.averaged() for stabilizer in self._attached())
        return next((average for average in averages if average is not None), None)

    def _set_training(self) -> BaseDiscriminator:
        learns = not any(stabilizer.freezes for stabilizer in self._attached())
        if self.discriminator.training != learns:  # walking all modules costs as much as a small forward
            self.discriminator.train(learns)
        return self.discriminator

    @property
    def _is_gated(self) -> bool:
        return any(type(stabilizer).allows_step is not Stabilizer.allows_step for stabilizer in self._attached())

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of Adam for the next steps."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def state_dict(self) -> dict[str, Any]:
        """Return everything that training changes: networks, stabilizers, optimizer, random state, counter."""
        return {
            "discriminator": dict(self.discriminator.state_dict()),
            "stabilizers": dict(self.stabilizers.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.rng.get_state(),
            "n_updates": self.n_updates,
        }

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore a ``state_dict`` of a learner with the same settings; ``strict`` is that of ``nn.Module``."""
        self.discriminator.load_state_dict(state["discriminator"], strict)
        self.stabilizers.load_state_dict(state["stabilizers"], strict)
        # Adam keeps the tensors that it loads; copy them, so that two learners never share moments.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.rng.set_state(state["generator"].cpu())
        self.n_updates = state["n_updates"]

    def _attached(self) -> list[Stabilizer]:
        return list(self.stabilizers)  # type: ignore[arg-type]  # a ModuleList has no element type


def _check_compatible(stabilizers: Sequence[Stabilizer], loss: Loss) -> None:
    names = [stabilizer.name for stabilizer in stabilizers]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ConfigurationError(f"stabilizers given twice: {', '.join(sorted(repeated))}")
    for stabilizer in stabilizers:
        if stabilizer.needs_log_ratio and not loss.has_log_ratio:
            raise ConfigurationError(
                f"{stabilizer.name!r} needs log-ratios and the loss {loss.name!r} has none; "
                f"leave it out, or use one of the losses {', '.join(with_log_ratio())}"
            )
    batch = [stabilizer.name for stabilizer in stabilizers if stabilizer.uses_batch_statistics]
    gradient = [stabilizer.name for stabilizer in stabilizers if stabilizer.penalizes_gradient]
    if batch and gradient:
        raise ConfigurationError(
            f"{gradient[0]!r} needs scores of single rows, but with {batch[0]!r} a score depends on the whole batch; "
            "replace one of them by 'virtual-batch-norm' or 'spectral-norm'"
        )
