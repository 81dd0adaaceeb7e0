"""Stabilizers that change the batch before it is scored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.networks import BaseDiscriminator
from ganq_irl.discriminator.stabilizers.base import Stabilizer, check_count, check_range


@dataclass(eq=False)
class InstanceNoise(Stabilizer):
    """Add Gaussian noise to the continuous columns of both sides (Sønderby et al., 2017, section 3.2.1).

    Noise makes the supports overlap, so that a finite log-ratio exists where expert and policy do not meet.

    Args:
        std: initial standard deviation, in standard deviations of the demonstrations.
        n_anneal: number of updates over which it decreases linearly to 0; 0 keeps it constant.
    """

    name = "instance-noise"
    std: float = 0.1
    n_anneal: int = 0

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Find the continuous columns."""
        self.noisy: Tensor
        self.updates: Tensor
        check_range(self.name, "std", self.std, 0.0, float("inf"))
        check_count(self.name, "n_anneal", self.n_anneal, 0)
        encoder = discriminator.encoder
        noisy = torch.zeros(encoder.dim, device=encoder.mean.device)
        for part in encoder.parts:
            noisy[part.columns] = float(part.is_continuous)
        self.register_buffer("noisy", noisy)
        self.register_buffer("updates", torch.zeros((), dtype=torch.long, device=encoder.mean.device))

    def on_batch(self, real: Encoded, fake: Encoded, rng: torch.Generator) -> tuple[Encoded, Encoded]:
        """Add the noise to both sides."""
        remaining = (1 - self.updates / self.n_anneal).clamp_min(0) if self.n_anneal else 1.0
        self.updates += 1
        return self._perturb(real, remaining, rng), self._perturb(fake, remaining, rng)

    def _perturb(self, side: Encoded, remaining: Tensor | float, rng: torch.Generator) -> Encoded:
        noise = torch.randn(side.samples.shape, generator=rng, device=side.samples.device)
        mask = self.noisy if side.returns is None else 1.0
        return side.with_samples(side.samples + self.std * remaining * mask * noise)


@dataclass(eq=False)
class FakeReplay(Stabilizer):
    """Mix earlier fake rows into each batch, so that they are not forgotten (Shrivastava et al., 2017, section 2.3).

    Stored rows keep the log π of the policy that generated them.

    Args:
        size: number of rows to store.
        fraction: share of each fake batch that is replaced by stored rows, once there are any.
    """

    name = "fake-replay"
    size: int = 10_000
    fraction: float = 0.5

    def attach(self, discriminator: BaseDiscriminator, reference: Encoded | None) -> None:
        """Allocate the store."""
        self.features: Tensor
        self.dones: Tensor
        self.offset: Tensor
        self.returns: Tensor
        self.stored: Tensor
        check_range(self.name, "fraction", self.fraction, 0.0, 1.0)
        check_count(self.name, "size", self.size, 1)
        encoder = discriminator.encoder
        device = encoder.mean.device
        self.register_buffer("features", torch.zeros(self.size, encoder.dim, device=device))
        self.register_buffer("dones", torch.zeros(self.size, device=device))
        self.register_buffer("offset", torch.zeros(self.size, device=device))
        n_returns = encoder.n_returns if "returns" in encoder.fields else 0
        self.register_buffer("returns", torch.zeros(self.size, n_returns, device=device))
        self.register_buffer("stored", torch.zeros((), dtype=torch.long, device=device))

    def on_batch(self, real: Encoded, fake: Encoded, rng: torch.Generator) -> tuple[Encoded, Encoded]:
        """Replace a random part of the fake rows by stored ones, then store the new rows in place of random old ones."""
        available = int(self.stored)
        mixed = self._mix(fake, available, rng) if available else fake
        self._store(fake, available, rng)
        return real, mixed

    def _mix(self, fake: Encoded, available: int, rng: torch.Generator) -> Encoded:
        n_old = round(self.fraction * len(fake))
        keep = torch.randperm(len(fake), generator=rng, device=fake.dones.device)[n_old:]
        old = torch.randint(available, (n_old,), generator=rng, device=fake.dones.device)
        returns = None if fake.returns is None else torch.cat([fake.returns[keep], self.returns[old]])
        return Encoded(
            torch.cat([fake.features[keep], self.features[old]]),
            torch.cat([fake.dones[keep], self.dones[old]]),
            torch.cat([fake.offset[keep], self.offset[old]]),
            returns,
        )

    def _store(self, fake: Encoded, available: int, rng: torch.Generator) -> None:
        n_appended = min(self.size - available, len(fake))
        n_overwriting = min(len(fake) - n_appended, available)
        appended = torch.arange(available, available + n_appended, device=fake.dones.device)
        overwritten = torch.randperm(max(available, 1), generator=rng, device=fake.dones.device)[:n_overwriting]
        rows = torch.cat([appended, overwritten])
        self.features[rows] = fake.features[: len(rows)]
        self.dones[rows] = fake.dones[: len(rows)]
        self.offset[rows] = fake.offset[: len(rows)]
        if fake.returns is not None:
            self.returns[rows] = fake.returns[: len(rows)]
        self.stored += n_appended
