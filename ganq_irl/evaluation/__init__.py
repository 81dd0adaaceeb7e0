"""Evaluate policies through their ``predict``: episodes, statistics, value checks and plots."""

from ganq_irl.evaluation.aggregate import (
    Estimate,
    Profile,
    Scores,
    area_under_curve,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
)
from ganq_irl.evaluation.heldout import HeldoutDistance, heldout_distance
from ganq_irl.evaluation.monte_carlo import Visits, monte_carlo_returns
from ganq_irl.evaluation.return_distributions import ReturnCheck, check_return_distribution
from ganq_irl.evaluation.rollouts import EpisodeStatistics, RandomPolicy, evaluate_returns, random_returns
from ganq_irl.evaluation.statistics import (
    Evaluation,
    early_end_warning,
    length_bias_warning,
    mean_interval,
    normalized_score,
    shortfall_warning,
    summarize_episodes,
)
from ganq_irl.evaluation.values import ValueCheck, check_values

__all__ = [
    "EpisodeStatistics",
    "Estimate",
    "Evaluation",
    "HeldoutDistance",
    "Profile",
    "RandomPolicy",
    "ReturnCheck",
    "Scores",
    "ValueCheck",
    "Visits",
    "area_under_curve",
    "check_return_distribution",
    "check_values",
    "early_end_warning",
    "evaluate_returns",
    "heldout_distance",
    "interquartile_mean",
    "length_bias_warning",
    "mean_interval",
    "monte_carlo_returns",
    "normalized_score",
    "performance_profile",
    "probability_of_improvement",
    "random_returns",
    "shortfall_warning",
    "summarize_episodes",
]
