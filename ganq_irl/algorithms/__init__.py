"""The algorithms: each one combines a discriminator, a reward form and a Stable-Baselines3 generator."""

from __future__ import annotations

from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.algorithms.airl import AIRL
from ganq_irl.algorithms.amp import AMP
from ganq_irl.algorithms.bc import BC, warm_start
from ganq_irl.algorithms.dac import DAC
from ganq_irl.algorithms.dagger import DAgger
from ganq_irl.algorithms.fairl import FAIRL
from ganq_irl.algorithms.gaifo import GAIfO
from ganq_irl.algorithms.gail import GAIL
from ganq_irl.algorithms.ganq import GANQ, ContinuousGANQ
from ganq_irl.algorithms.iq_learn import IQLearn
from ganq_irl.algorithms.iq_reward import SoftQReward
from ganq_irl.algorithms.ls_iq import LSIQ
from ganq_irl.algorithms.off_policy_imitation import OffPolicyImitation
from ganq_irl.algorithms.preferences import Preferences
from ganq_irl.algorithms.rankings import DREX, TREX, RankingLearning
from ganq_irl.algorithms.reward_learning import RewardLearning
from ganq_irl.algorithms.sqil import SQIL
from ganq_irl.algorithms.vail import VAIL
from ganq_irl.algorithms.wail import WAIL

_ALL = (GAIL, AIRL, DAC, FAIRL, WAIL, VAIL, GAIfO, AMP, SQIL, IQLearn, LSIQ, DAgger, Preferences, TREX, DREX)
ALGORITHMS: dict[str, type[AdversarialImitation | OffPolicyImitation | RewardLearning | DAgger]] = {
    algorithm.name: algorithm for algorithm in _ALL
}

__all__ = [
    "AIRL",
    "ALGORITHMS",
    "AMP",
    "BC",
    "DAC",
    "DREX",
    "FAIRL",
    "GAIL",
    "GANQ",
    "LSIQ",
    "SQIL",
    "TREX",
    "VAIL",
    "WAIL",
    "AdversarialImitation",
    "ContinuousGANQ",
    "DAgger",
    "GAIfO",
    "IQLearn",
    "OffPolicyImitation",
    "Preferences",
    "RankingLearning",
    "RewardLearning",
    "SoftQReward",
    "warm_start",
]
