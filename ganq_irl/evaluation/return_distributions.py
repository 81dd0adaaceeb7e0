"""Predicted distributions of the return against Monte Carlo returns of the same policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ganq_irl.errors import ConfigurationError

LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""Quantile levels that calibration is read at: 0.05, 0.1, ..., 0.95."""


@dataclass(frozen=True)
class ReturnCheck:
    """How well samples of a predicted return distribution match returns that were seen.

    Attributes:
        wasserstein1: W1 between samples and returns of a pair, mean over pairs. With one return a pair, as it is enough in a
            deterministic environment, it is the mean of |sample - return|; under chance it then holds the scatter of that
            one return too, and ``pooled_wasserstein1`` is the one to read.
        pooled_wasserstein1: W1 between all samples and all returns; never above ``wasserstein1``.
        bias: mean of the samples minus mean of the returns.
        spread: standard deviation of a pair's samples, mean over pairs.
        return_spread: standard deviation of a pair's returns, mean over pairs; 0 with one return a pair.
        scale: largest |return|, which W1, bias and spread are to be measured by.
        levels: quantile levels.
        calibration: share of returns below the predicted quantile of each level; equal to the level where the prediction is
            right. It tells nothing where returns have no spread.
        calibration_error: mean of |share - level|.
        pairs: number of state-action pairs.
    """

    wasserstein1: float
    pooled_wasserstein1: float
    bias: float
    spread: float
    return_spread: float
    scale: float
    levels: tuple[float, ...]
    calibration: tuple[float, ...]
    calibration_error: float
    pairs: int

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def check_return_distribution(samples: np.ndarray, returns: np.ndarray, levels: Sequence[float] = LEVELS) -> ReturnCheck:
    """Compare predicted samples with Monte Carlo returns, pair by pair and pooled.

    Args:
        samples: of the predicted distribution at each pair, ``(n, n_samples)``.
        returns: one return for each pair ``(n,)``, or several from repeated visits of it ``(n, n_returns)``.
        levels: quantile levels of the calibration, each between 0 and 1.

    Raises:
        ConfigurationError: the shapes do not fit, or there is nothing to compare.
    """
    per_pair = returns[:, None] if returns.ndim == 1 else returns
    if samples.ndim != 2 or per_pair.ndim != 2 or len(samples) != len(per_pair) or not samples.size or not per_pair.size:
        raise ConfigurationError(
            f"samples of shape {samples.shape} against returns of shape {returns.shape}; expected (n, n_samples) against "
            "(n,) or (n, n_returns), none of them 0"
        )
    calibration = quantile_calibration(samples, per_pair, levels)
    return ReturnCheck(
        wasserstein1=float(np.mean([wasserstein1(*pair) for pair in zip(samples, per_pair, strict=True)])),
        pooled_wasserstein1=wasserstein1(samples.ravel(), per_pair.ravel()),
        bias=float(samples.mean() - per_pair.mean()),
        spread=float(samples.std(axis=1).mean()),
        return_spread=float(per_pair.std(axis=1).mean()),
        scale=float(np.abs(per_pair).max()),
        levels=tuple(levels),
        calibration=tuple(calibration.tolist()),
        calibration_error=float(np.abs(calibration - levels).mean()),
        pairs=len(samples),
    )


def wasserstein1(samples: np.ndarray, returns: np.ndarray) -> float:
    """W1 between two sets of numbers: the area between their distribution functions.

    Args:
        samples: ``(n_samples,)``.
        returns: ``(n_returns,)``.
    """
    from scipy.stats import wasserstein_distance  # slow to import

    return float(wasserstein_distance(samples, returns))


def quantile_calibration(samples: np.ndarray, returns: np.ndarray, levels: Sequence[float] = LEVELS) -> np.ndarray:
    """Share of returns below the predicted quantile of each level: ``(n_levels,)``. A tie counts half.

    Args:
        samples: ``(n, n_samples)``.
        returns: ``(n, n_returns)``.
        levels: each between 0 and 1.
    """
    quantiles = np.quantile(samples, levels, axis=1)[:, :, None]  # (n_levels, n, 1)
    return ((returns < quantiles) + 0.5 * (returns == quantiles)).mean(axis=(1, 2))
