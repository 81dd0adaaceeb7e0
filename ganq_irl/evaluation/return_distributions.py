"""Compare predicted return distributions with Monte Carlo returns of the same policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ganq_irl.errors import ConfigurationError

LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))
"""Quantile levels of the calibration: 0.05, 0.1, ..., 0.95."""


@dataclass(frozen=True)
class ReturnCheck:
    """How well samples of a predicted return distribution match observed returns.

    Attributes:
        wasserstein1: W1 between samples and returns of each pair, averaged over pairs. With one return per pair, which is
            enough in a deterministic environment, it is the mean of |sample - return|. In a stochastic environment it then
            includes the scatter of that return: use ``pooled_wasserstein1`` instead.
        pooled_wasserstein1: W1 between all samples and all returns; at most ``wasserstein1``.
        bias: mean of the samples minus mean of the returns.
        spread: standard deviation of each pair's samples, averaged over pairs.
        return_spread: standard deviation of each pair's returns, averaged over pairs; 0 with one return per pair.
        scale: largest |return|, as a scale for W1, bias and spread.
        levels: quantile levels.
        calibration: share of returns below the predicted quantile of each level; equal to the level for a correct
            prediction. It is meaningless if returns have no spread.
        calibration_error: mean of |share - level|.
        pairs: number of state-action pairs.

    Example:
        >>> check = check_return_distribution(np.array([[1.0, 3.0]]), np.array([2.0]))
        >>> check.bias, check.spread, check.pairs
        (0.0, 1.0, 1)
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
        """Return the fields as JSON values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def check_return_distribution(samples: np.ndarray, returns: np.ndarray, levels: Sequence[float] = LEVELS) -> ReturnCheck:
    """Compare predicted samples with Monte Carlo returns, per pair and pooled.

    Args:
        samples: samples of the predicted distribution at each pair, ``(n, n_samples)``.
        returns: one return per pair ``(n,)``, or several from repeated visits ``(n, n_returns)``.
        levels: quantile levels of the calibration, each between 0 and 1.

    Raises:
        ConfigurationError: the shapes do not match, or are empty.

    Example:
        >>> samples = np.random.default_rng(0).normal(size=(50, 1000))
        >>> check = check_return_distribution(samples, returns=samples[:, 0])
        >>> check.calibration_error < 0.1
        True
    """
    per_pair = returns[:, None] if returns.ndim == 1 else returns
    if samples.ndim != 2 or per_pair.ndim != 2 or len(samples) != len(per_pair) or not samples.size or not per_pair.size:
        raise ConfigurationError(
            f"given samples of shape {samples.shape} and returns of shape {returns.shape}; expected (n, n_samples) and "
            "(n,) or (n, n_returns), not empty"
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
    """Return W1 between two sets of numbers: the area between their distribution functions.

    Args:
        samples: ``(n_samples,)``.
        returns: ``(n_returns,)``.
    """
    from scipy.stats import wasserstein_distance  # slow to import

    return float(wasserstein_distance(samples, returns))


def quantile_calibration(samples: np.ndarray, returns: np.ndarray, levels: Sequence[float] = LEVELS) -> np.ndarray:
    """Return the share of returns below the predicted quantile of each level, ``(n_levels,)``. Ties count half.

    Args:
        samples: ``(n, n_samples)``.
        returns: ``(n, n_returns)``.
        levels: each between 0 and 1.
    """
    quantiles = np.quantile(samples, levels, axis=1)[:, :, None]  # (n_levels, n, 1)
    return ((returns < quantiles) + 0.5 * (returns == quantiles)).mean(axis=(1, 2))
