"""Rewards computed from a discriminator: reward transforms, saved reward models, wrappers and comparison."""

from __future__ import annotations

from ganq_irl.rewards.comparison import (
    Coverage,
    canonical_reward,
    epic_distance,
    epic_distances,
    pearson,
    pearson_distance,
    spearman,
)
from ganq_irl.rewards.forms import REWARD_FORMS, RewardForm, build_reward_form, log_ratio
from ganq_irl.rewards.functions import FunctionReward, RewardFunction, rewards_of, tabular_reward
from ganq_irl.rewards.model import RewardModel
from ganq_irl.rewards.wrappers import ORIGINAL_REWARD, RewardWrapper, VecRewardWrapper

__all__ = [
    "ORIGINAL_REWARD",
    "REWARD_FORMS",
    "Coverage",
    "FunctionReward",
    "RewardForm",
    "RewardFunction",
    "RewardModel",
    "RewardWrapper",
    "VecRewardWrapper",
    "build_reward_form",
    "canonical_reward",
    "epic_distance",
    "epic_distances",
    "log_ratio",
    "pearson",
    "pearson_distance",
    "rewards_of",
    "spearman",
    "tabular_reward",
]
