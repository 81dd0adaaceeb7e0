"""Adversarial imitation that minimizes the forward divergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.gail import GAIL, GAILSettings
from ganq_irl.algorithms.settings import takes_settings


@dataclass(frozen=True, kw_only=True)
class FAIRLSettings(GAILSettings):
    """Settings of FAIRL."""

    reward: str = "fairl"


class FAIRL(GAIL):
    """GAIL with the reward -l exp(l), where l = log D - log(1 - D) (Ghasemipour et al., 2019).

    It minimizes KL(expert || policy). The policy must cover everything that the expert does, while GAIL and AIRL allow it to
    cover only a part.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``FAIRLSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> FAIRL(ppo, demos).learn(256).recovered_reward().form.name
        'fairl'
    """

    name = "fairl"
    modes: ClassVar = {"default": FAIRLSettings}

    @takes_settings(FAIRLSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: FAIRLSettings) -> None:
        self._build(generator, demonstrations, settings)
