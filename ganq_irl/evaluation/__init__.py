"""How good a policy is, seen only through its ``predict``: episodes, statistics, and what could mislead."""

from ganq_irl.evaluation.rollouts import EpisodeStatistics, RandomPolicy, evaluate_returns, random_returns
from ganq_irl.evaluation.statistics import Evaluation, length_bias_warning, mean_interval, normalized_score, summarize

__all__ = [
    "EpisodeStatistics",
    "Evaluation",
    "RandomPolicy",
    "evaluate_returns",
    "length_bias_warning",
    "mean_interval",
    "normalized_score",
    "random_returns",
    "summarize",
]
