"""Adversarial imitation that minimises the forward divergence."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.gail import GAIL


class FAIRL(GAIL):
    """GAIL paid by -l exp(l), l = log D - log(1 - D), which minimises KL(expert || policy) (Ghasemipour et al., 2019).

    The policy must cover what the expert does, where GAIL and AIRL let it choose a part of it.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        reward: a name in ``REWARD_FORMS``.
        **options: GAIL's.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "fairl"

    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, *, reward: str = "fairl", **options: Any) -> None:
        super().__init__(generator, demonstrations, reward=reward, **options)
