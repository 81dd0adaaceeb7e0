"""GAN Q-learning: a return model that is trained against a discriminator, the critic."""

from __future__ import annotations

from ganq_irl.algorithms.ganq.continuous import ContinuousGANQ
from ganq_irl.algorithms.ganq.continuous_policies import ContinuousGANQPolicy
from ganq_irl.algorithms.ganq.ganq import GANQ
from ganq_irl.algorithms.ganq.policies import CnnPolicy, GANQPolicy, MlpPolicy, MultiInputPolicy

__all__ = ["GANQ", "CnnPolicy", "ContinuousGANQ", "ContinuousGANQPolicy", "GANQPolicy", "MlpPolicy", "MultiInputPolicy"]
