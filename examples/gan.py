"""A plain GAN with the shared discriminator, its losses and its stabilizers: ``python -m examples.gan``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from tqdm import trange

from examples.ring import ring_quality, sample_ring
from ganq_irl.algorithms.sampling import EpochSampler, seeded_torch
from ganq_irl.discriminator import STATE, Discriminator, DiscriminatorLearner, InputEncoder, Loss
from ganq_irl.discriminator.stabilizers import StabilizerSpec
from ganq_irl.errors import IncompatibleSpaces, TrainingDiverged
from ganq_irl.generators.options import checked_keywords, type_hints_of
from ganq_irl.types import Batch


class GAN:
    """Generative adversarial network (Goodfellow et al., 2014, algorithm 1) on rows of numbers.

    The data are real, and G(z) with z standard normal is fake. The generator gets its gradient through the samples.

    Args:
        generator: module from ``(batch, latent_dim)`` to ``(batch, d)``, in the units of the data; trained in place.
        data: ``(n, d)`` real samples.
        latent_dim: width of z.
        loss: loss of both players, a name in ``LOSSES`` or an instance.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``.
        hidden_sizes: widths of the discriminator's hidden layers.
        activation: activation between them, a name in ``ACTIVATIONS``.
        n_critic: discriminator updates per generator update.
        batch_size: samples of each side per update.
        learning_rate: Adam's learning rate for the discriminator.
        generator_learning_rate: Adam's learning rate for the generator; by default the discriminator's.
        betas: Adam's betas for both.
        seed: seed of the discriminator, the batches and z; the generator is already initialized.

    Raises:
        ConfigurationError: unknown names, counts below 1, or stabilizers that contradict each other.
        IncompatibleSpaces: the data are not a finite matrix, or the generator has another width.
    """

    def __init__(
        self,
        generator: nn.Module,
        data: np.ndarray | Tensor,
        *,
        latent_dim: int,
        loss: str | Loss = "bce",
        stabilizers: Sequence[StabilizerSpec] = (),
        hidden_sizes: Sequence[int] = (64, 64),
        activation: str = "relu",
        n_critic: int = 1,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        generator_learning_rate: float | None = None,
        betas: tuple[float, float] = (0.5, 0.999),
        seed: int = 0,
    ) -> None:
        given = {"n_critic": n_critic, "batch_size": batch_size, "learning_rate": learning_rate}
        checked_keywords(type_hints_of(GAN), given)
        real = torch.as_tensor(data, dtype=torch.float32)
        if real.ndim != 2 or not len(real) or not torch.isfinite(real).all():
            raise IncompatibleSpaces(f"data: given a tensor of shape {tuple(real.shape)}, expected finite numbers, (n, d)")
        self.generator, self.latent_dim, self.n_critic, self.batch_size = generator, latent_dim, n_critic, batch_size
        self.data = as_batch(real)
        space = spaces.Box(-np.inf, np.inf, real.shape[1:], np.float32)
        with seeded_torch(seed):
            discriminator = Discriminator(InputEncoder(space, spaces.Discrete(1), STATE), hidden_sizes, activation)
            self.learner = DiscriminatorLearner(
                discriminator.to(real.device),
                self.data,
                loss=loss,
                stabilizers=stabilizers,
                learning_rate=learning_rate,
                betas=betas,
                seed=seed,
            )
        self.rng = torch.Generator(real.device).manual_seed(seed)
        self._sampler = EpochSampler(len(real), self.rng)
        rate = learning_rate if generator_learning_rate is None else generator_learning_rate
        self.optimizer = torch.optim.Adam(generator.parameters(), lr=rate, betas=betas)
        self.metrics: dict[str, Tensor] = {}
        if (width := self.sample(2, torch.Generator(real.device)).shape[1:]) != real.shape[1:]:
            raise IncompatibleSpaces(
                f"generator: returns rows of shape {tuple(width)}, the data have {tuple(real.shape[1:])}"
            )

    def __repr__(self) -> str:
        """Show the number of samples and updates."""
        return f"{type(self).__name__}({len(self.data)} samples, n_updates={self.learner.n_updates})"

    def learn(self, n_updates: int, progress_bar: bool = False) -> Self:
        """Make ``n_updates`` generator updates, each after ``n_critic`` discriminator updates; keep the last metrics.

        Raises:
            TrainingDiverged: the generator's loss is no longer finite.
        """
        for _ in trange(n_updates, disable=not progress_bar):
            for _ in range(self.n_critic):
                real = self.data[self._sampler.draw(self.batch_size)]
                self.metrics = self.learner.update(real, as_batch(self.sample(self.batch_size)))
            self.metrics["generator_loss"] = self._step_generator()
        return self

    @torch.no_grad()
    def sample(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """Return ``(n, d)`` samples of G; without ``rng``, z comes from the random generator of training."""
        return self.generator(self._latent(n, rng))

    def _step_generator(self) -> Tensor:
        loss = self.learner.generator_loss(as_batch(self.generator(self._latent(self.batch_size))))
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"the generator's loss is {loss.item()} after {self.learner.n_updates} updates of the discriminator; "
                "lower the learning rates, or constrain the discriminator with 'spectral-norm' or 'gradient-penalty'"
            )
        self.optimizer.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()))  # without the discriminator's parameters
        self.optimizer.step()
        return loss.detach()

    def _latent(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, self.latent_dim, generator=rng or self.rng, device=self.rng.device)


def as_batch(samples: Tensor) -> Batch:
    """Return samples as the observations of a batch, the only input of a plain GAN's discriminator."""
    nothing = samples.new_zeros(len(samples))
    return Batch(samples, nothing, samples, nothing)


def main(n_updates: int = 2000) -> None:
    """Train a GAN on a ring of eight Gaussians and count the modes that it covers."""
    with seeded_torch(0):
        generator = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 2))
    data = sample_ring(5000, np.random.default_rng(0))
    gan = GAN(generator, data, latent_dim=2, stabilizers=["minibatch-discrimination"]).learn(n_updates, progress_bar=True)
    covered, quality = ring_quality(gan.sample(2500).numpy())
    print(f"{covered} of 8 modes are covered, and {quality:.0%} of the samples lie near one")


if __name__ == "__main__":
    main()
