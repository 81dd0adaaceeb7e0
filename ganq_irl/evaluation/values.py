"""Compare predicted Q values with Monte Carlo returns of the same policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ganq_irl.errors import ConfigurationError
from ganq_irl.evaluation.monte_carlo import Visits


@dataclass(frozen=True)
class ValueCheck:
    """Predicted values and Monte Carlo returns of the same state-action pairs.

    In a stochastic environment the returns scatter around the true values. Bias and correlation are still meaningful, but
    the mean absolute error includes that scatter.

    Attributes:
        predicted: ``(n,)`` float64.
        returns: ``(n,)`` float64.
        visits: the pairs, if they are known.

    Example:
        >>> check = ValueCheck(predicted=np.array([1.0, 2.0]), returns=np.array([1.0, 1.0]))
        >>> check.bias, check.mean_absolute_error
        (0.5, 0.5)
    """

    predicted: np.ndarray
    returns: np.ndarray
    visits: Visits | None = None

    @property
    def bias(self) -> float:
        """Mean of prediction minus return: above 0 if values are overestimated."""
        return float(np.mean(self.predicted - self.returns))

    @property
    def mean_absolute_error(self) -> float:
        """Mean of |prediction - return|."""
        return float(np.mean(np.abs(self.predicted - self.returns)))

    @property
    def correlation(self) -> float | None:
        """Pearson's correlation; None if predictions or returns are constant."""
        if np.ptp(self.predicted) == 0 or np.ptp(self.returns) == 0:
            return None
        return float(np.corrcoef(self.predicted, self.returns)[0, 1])

    @property
    def scale(self) -> float:
        """Largest |return|, as a scale for the errors."""
        return float(np.max(np.abs(self.returns)))

    def to_json(self) -> dict[str, Any]:
        """Return the statistics and the number of pairs as JSON values."""
        return {
            "bias": self.bias,
            "mean_absolute_error": self.mean_absolute_error,
            "correlation": self.correlation,
            "scale": self.scale,
            "pairs": len(self.returns),
        }


def check_values(predicted: np.ndarray, visits: Visits) -> ValueCheck:
    """Compare predictions with the returns of visited pairs.

    Args:
        predicted: predicted values at ``visits.observations``: of all actions ``(n, n_actions)``, from which those of the
            taken actions are selected, or of the pairs ``(n,)``.
        visits: result of ``monte_carlo_returns``.

    Raises:
        ConfigurationError: there is not one prediction, or one row of predictions, for each pair.

    Example:
        >>> visits = monte_carlo_returns(ppo, "CartPole-v1", gamma=0.9, n_episodes=2)
        >>> check_values(visits.returns + 1, visits).bias
        1.0
    """
    if predicted.ndim not in (1, 2) or len(predicted) != len(visits):
        raise ConfigurationError(
            f"predicted values of shape {predicted.shape} for {len(visits)} visited pairs; expected ({len(visits)},) or "
            f"({len(visits)}, n_actions), predicted at visits.observations"
        )
    if predicted.ndim == 2:
        predicted = np.take_along_axis(predicted, visits.actions.reshape(-1, 1).astype(np.int64), axis=1)[:, 0]
    return ValueCheck(predicted.astype(np.float64), visits.returns, visits)
