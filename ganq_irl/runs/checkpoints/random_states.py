"""The global random states of the process: those of torch, numpy and Python."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from ganq_irl.errors import StorageError
from ganq_irl.runs.checkpoints.plain import from_plain, to_plain


def random_states() -> dict[str, Any]:
    """Return the states of all global random generators, including those of CUDA devices."""
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": to_plain(np.random.get_state(legacy=False)),  # noqa: NPY002  # SB3 draws from it
        "python": to_plain(random.getstate()),
    }


def load_random_states(states: dict[str, Any]) -> None:
    """Restore ``random_states``.

    Raises:
        StorageError: a state is malformed.
    """
    try:
        torch.set_rng_state(states["torch"].clone())
        if states["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all([state.clone() for state in states["cuda"]])
        np.random.set_state(from_plain(states["numpy"]))  # noqa: NPY002
        random.setstate(from_plain(states["python"]))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise StorageError(f"the random states are malformed: {error}") from error
