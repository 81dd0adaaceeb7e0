"""Rewards read from a discriminator: the forms of the papers, and the recovered reward as an artefact."""

from __future__ import annotations

from ganq_irl.rewards.forms import REWARD_FORMS, RewardForm, build_reward_form, log_ratio
from ganq_irl.rewards.model import RewardModel

__all__ = ["REWARD_FORMS", "RewardForm", "RewardModel", "build_reward_form", "log_ratio"]
