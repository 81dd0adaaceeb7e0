"""Wasserstein adversarial imitation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.gail import GAIL, GAILSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator.stabilizers import StabilizerSpec


@dataclass(frozen=True, kw_only=True)
class WAILSettings(GAILSettings):
    """Settings of WAIL.

    Attributes:
        reward: the generator's reward, only ``score``: a Wasserstein critic has no log-ratio, which the other forms need.
        stabilizers: constraints on the critic's slope, by default the gradient penalty of Gulrajani et al. (2017).
    """

    reward: str = "score"
    loss: str = "wasserstein"
    stabilizers: Sequence[StabilizerSpec] | None = ("gradient-penalty",)


class WAIL(GAIL):
    """GAIL with a Wasserstein critic, whose score is the reward (Xiao et al., 2019).

    The critic's score is defined up to a constant. If episodes can end early, this constant alone rewards or penalizes every
    step, and may explain a return by itself. Use WAIL if all episodes have the same length.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``WAILSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> WAIL(ppo, demos).learn(256).recovered_reward().form.name
        'score'
    """

    name = "wail"
    modes: ClassVar = {"default": WAILSettings}

    @takes_settings(WAILSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: WAILSettings) -> None:
        self._build(generator, demonstrations, settings)
