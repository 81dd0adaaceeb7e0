"""The algorithms, each a short composition of a discriminator, a reward form and a Stable-Baselines3 generator."""

from __future__ import annotations

from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.algorithms.airl import AIRL
from ganq_irl.algorithms.bc import BC, warm_start
from ganq_irl.algorithms.gail import GAIL

ALGORITHMS: dict[str, type[AdversarialImitation]] = {"gail": GAIL, "airl": AIRL}

__all__ = ["AIRL", "ALGORITHMS", "BC", "GAIL", "AdversarialImitation", "warm_start"]
