"""Random sampling with explicit random states."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


class EpochSampler:
    """Row indices in shuffled epochs: all rows are drawn equally often, and batches have no duplicates if rows suffice.

    If a batch is larger than the data, each row is repeated equally often, give or take one.
    """

    def __init__(self, n_rows: int, rng: torch.Generator) -> None:
        self.n_rows, self.rng = n_rows, rng
        self._left = torch.empty(0, dtype=torch.long, device=rng.device)

    def draw(self, batch_size: int) -> torch.Tensor:
        """Return ``(batch_size,)`` indices."""
        while len(self._left) < batch_size:
            epoch = torch.randperm(self.n_rows, generator=self.rng, device=self.rng.device)
            # If a batch fits into an epoch, the epoch's remainder is dropped, so that no batch has duplicates.
            self._left = epoch if self.n_rows >= batch_size else torch.cat([self._left, epoch])
        drawn, self._left = self._left[:batch_size], self._left[batch_size:]
        return drawn

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the rest of the current epoch. The owner of the random generator saves its state."""
        return {"left": self._left}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Restore the current epoch."""
        self._left = state["left"].to(self.rng.device)


@contextlib.contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Run a block with torch's global random generators seeded by ``seed``, and restore them afterwards."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
