"""The one update that every algorithm calls."""

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
    """Teach a discriminator to tell real from fake.

    Args:
        discriminator: the networks; stabilisers of the architecture edit them in place.
        reference: real data, for what is fixed at the start: the encoder's statistics and virtual batch normalisation. Where
            there are none yet, ``refer_to`` gives them before the first update.
        loss: name in ``LOSSES`` or an instance.
        stabilizers: names, ``{"name": ..., setting: value}``, or instances. Their hooks run in this order; they are attached
            in the order of their ``attach_rank``, so that what copies or tracks parameters finds the final networks.
        learning_rate: Adam's; ``set_learning_rate`` changes it.
        betas: Adam's moments.
        max_grad_norm: bound on the gradient's norm; None for no bound.
        seed: of the generator that noise and interpolates are drawn from.

    Raises:
        ConfigurationError: unknown loss or stabiliser, or two that contradict each other.
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
        self._parameters = list(discriminator.parameters())  # walking the modules at each step takes as long as a layer
        self.optimizer = torch.optim.Adam(self._parameters, lr=learning_rate, betas=betas, fused=True)
        device = discriminator.encoder.mean.device
        self.generator = torch.Generator(device).manual_seed(seed)
        self.n_updates = 0
        self._last: tuple[Batch, Encoded] | None = None  # the last fakes that are return samples, encoded

    def refer_to(self, reference: Batch) -> None:
        """Give the real data that were not there at construction."""
        encoded = self._fitted(reference)
        for stabilizer in self._attached():
            stabilizer.refer_to(self.discriminator, encoded)

    def _fitted(self, reference: Batch) -> Encoded:
        """Take the encoder's statistics from ``reference``, and give its rows as they then are."""
        self.discriminator.encoder.fit(reference)
        for stabilizer in self._attached():
            stabilizer.on_statistics(self.discriminator.encoder)
        return self.discriminator.encode(representative(reference))

    def encode(self, batch: Batch, name: str = "given") -> Encoded:
        """Rows as ``update`` learns from them, without history; those that many updates draw from are encoded once.

        Raises:
            ConfigurationError: the batch lacks the log π that a shaped discriminator's score subtracts.
            IncompatibleSpaces: it does not fit the encoder's spaces.
        """
        if self.discriminator.states_log_ratio and batch.log_probs is None:
            raise ConfigurationError(
                f"the {name} batch has no log_probs, and a shaped discriminator scores f - log π(a|s); "
                "fill in log_probs by the generator's present policy, for both sides"
            )
        return self.discriminator.encode(batch).detach()

    def update(self, real: Batch | Encoded, fake: Batch | Encoded, *, measures: bool = True) -> dict[str, Tensor]:
        """One step on one batch of each side; returns zero-dimensional metrics of the scores *before* the step.

        Sides that share all but their returns, as GAN-Q's do, are encoded once. Without ``measures`` the metrics are those
        that the step itself needs: on a small batch the others cost a tenth of it.

        Raises:
            ConfigurationError: a side is empty, or lacks the log π that a shaped discriminator's score subtracts.
            IncompatibleSpaces: a batch does not fit the encoder's spaces.
        """
        discriminator = self._set_training()
        real_rows, fake_rows = self._encode_sides(real, fake)
        self._last = (fake, fake_rows) if isinstance(fake, Batch) and fake.returns is not None else None
        for stabilizer in self._attached():
            real_rows, fake_rows = stabilizer.on_batch(real_rows, fake_rows, self.generator)

        # What both sides and all penalties share is computed once: spectrally normalised weights, and D's reading of (s, a).
        with parametrize.cached(), discriminator.reading_once():
            real_scores, fake_scores = self._score_sides(real_rows, fake_rows)
            losses = self.loss.real(real_scores), self.loss.fake(fake_scores)
            for stabilizer in self._attached():
                losses = stabilizer.on_losses(self.loss, real_scores, fake_scores, losses)
            loss = losses[0].mean() + losses[1].mean()

            metrics = {"loss": loss.detach()}
            if measures or self._is_gated:
                metrics |= discriminator_metrics(self.loss, real_scores, fake_scores)
            learns = all(stabilizer.allows_step(metrics) for stabilizer in self._attached())
            if learns:
                step = Step(discriminator, self.loss, real_rows, fake_rows, real_scores, fake_scores, self.generator)
                metrics |= self._differentiate(loss, step)
        if learns:  # outside, since what was computed once holds only for the parameters of that moment
            metrics |= self._descend()
        self.n_updates += 1
        return metrics

    def generator_loss(self, fake: Batch) -> Tensor:
        """Mean of the loss that a generator minimises through its attached samples.

        Take its gradient in the generator's parameters alone (``torch.autograd.grad``), and the discriminator keeps none.
        The averaged discriminator scores, if one is attached, or else the live one as it learns: in training mode batch
        normalisation and minibatch discrimination compare the fakes of this batch with each other, and the gradient through
        that comparison is what drives samples apart.
        """
        if self._last is not None and self._last[0] is fake:
            rows = self._last[1].with_samples(self.discriminator.encoder.returns_of(fake))  # only x carries a gradient
        else:
            rows = self.discriminator.encode(fake)
        average = self._average
        scores = (self.discriminator if average is None else average.eval()).score(rows)
        return self.loss.generator(scores).mean()

    def _encode_sides(self, real: Batch | Encoded, fake: Batch | Encoded) -> tuple[Encoded, Encoded]:
        for name, side in {"real": real, "fake": fake}.items():
            if not len(side):
                raise ConfigurationError(f"the {name} batch is empty; give at least one transition of each side")
        real_rows = self.encode(real, "real") if isinstance(real, Batch) else real
        if isinstance(fake, Encoded):
            return real_rows, fake
        if isinstance(real, Batch) and real.returns is not None and shares_condition(real, fake):
            return real_rows, real_rows.with_samples(self.discriminator.encoder.returns_of(fake).detach())
        return real_rows, self.encode(fake, "fake")

    def _score_sides(self, real: Encoded, fake: Encoded) -> tuple[Tensor, Tensor]:
        if real.features is fake.features and real.returns is not None and fake.returns is not None:
            n_real = real.returns.shape[1]
            scores = self._score(real.with_samples(torch.cat([real.returns, fake.returns], dim=1)))
            return scores[:, :n_real], scores[:, n_real:]
        if any(stabilizer.uses_batch_statistics for stabilizer in self._attached()):
            return self._score(real), self._score(fake)  # no row may be compared with one of the other side
        real_scores, fake_scores = self.discriminator.score_sides(real, fake)
        return self._in_terms_of_loss(real_scores), self._in_terms_of_loss(fake_scores)

    def _score(self, rows: Encoded) -> Tensor:
        """Scores in the loss's own terms, ``(batch,)``."""
        return self._in_terms_of_loss(self.discriminator.score(rows))

    def _in_terms_of_loss(self, scores: Tensor) -> Tensor:
        return self.loss.score_of(scores) if self.discriminator.states_log_ratio else scores

    def _differentiate(self, loss: Tensor, step: Step) -> dict[str, Tensor]:
        """Gradients of the loss and all penalties; the penalties as metrics."""
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
        """A step of the optimiser, and of what acts after it."""
        metrics = {}
        if self.max_grad_norm is not None:
            metrics["gradient_norm"] = clip_grad_norm_(self._parameters, self.max_grad_norm)
        self.optimizer.step()
        for stabilizer in self._attached():
            stabilizer.after_step(self.discriminator)
        return metrics

    @property
    def scorer(self) -> BaseDiscriminator:
        """What scores for the generator, in evaluation mode: an averaged copy if one is attached, else the discriminator."""
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
        """Change Adam's learning rate from the next step on."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning changes: networks, stabilisers, optimiser, random state, counter."""
        return {
            "discriminator": dict(self.discriminator.state_dict()),
            "stabilizers": dict(self.stabilizers.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "n_updates": self.n_updates,
        }

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Restore what ``state_dict`` gave, into a learner that was built alike; ``strict`` as ``nn.Module``'s."""
        self.discriminator.load_state_dict(state["discriminator"], strict)
        self.stabilizers.load_state_dict(state["stabilizers"], strict)
        # Adam's own load keeps the given tensors, and two learners must not share their moments.
        self.optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
        self.generator.set_state(state["generator"].cpu())
        self.n_updates = state["n_updates"]

    def _attached(self) -> list[Stabilizer]:
        return list(self.stabilizers)  # type: ignore[arg-type]  # a ModuleList does not know what it holds


def _check_compatible(stabilizers: Sequence[Stabilizer], loss: Loss) -> None:
    names = [stabilizer.name for stabilizer in stabilizers]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ConfigurationError(f"stabilizers given twice: {', '.join(sorted(repeated))}")
    for stabilizer in stabilizers:
        if stabilizer.needs_log_ratio and not loss.has_log_ratio:
            raise ConfigurationError(
                f"{stabilizer.name!r} reads scores as log-ratios and the loss {loss.name!r} has none; "
                f"leave it out, or use one of the losses {', '.join(with_log_ratio())}"
            )
    batch = [stabilizer.name for stabilizer in stabilizers if stabilizer.uses_batch_statistics]
    gradient = [stabilizer.name for stabilizer in stabilizers if stabilizer.penalizes_gradient]
    if batch and gradient:
        raise ConfigurationError(
            f"{gradient[0]!r} bounds the gradient of each row's own score, which {batch[0]!r} ties to its batch-mates; "
            "use 'virtual-batch-norm' or 'spectral-norm' instead of one of them"
        )
