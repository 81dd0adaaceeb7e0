"""How good a policy is, seen only through its ``predict``: episodes, statistics, and what could mislead."""

from ganq_irl.evaluation.monte_carlo import Visits, monte_carlo_returns
from ganq_irl.evaluation.return_distributions import ReturnCheck, check_return_distribution
from ganq_irl.evaluation.rollouts import EpisodeStatistics, RandomPolicy, evaluate_returns, random_returns
from ganq_irl.evaluation.statistics import Evaluation, length_bias_warning, mean_interval, normalized_score, summarize
from ganq_irl.evaluation.values import ValueCheck, check_values

__all__ = [
    "EpisodeStatistics",
    "Evaluation",
    "RandomPolicy",
    "ReturnCheck",
    "ValueCheck",
    "Visits",
    "check_return_distribution",
    "check_values",
    "evaluate_returns",
    "length_bias_warning",
    "mean_interval",
    "monte_carlo_returns",
    "normalized_score",
    "random_returns",
    "summarize",
]
