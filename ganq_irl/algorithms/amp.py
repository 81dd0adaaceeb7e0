"""Adversarial motion priors: a style from demonstrations, and a task from the environment's reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.gaifo import GAIfO, GAIfOSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator.stabilizers import StabilizerSpec


@dataclass(frozen=True, kw_only=True)
class AMPSettings(GAIfOSettings):
    """Settings of AMP, those of the paper except for the size of the discriminator.

    Attributes:
        task_weight: weight w of the environment's reward, in [0, 1): the generator gets (1 - w) times the style's reward
            plus w times the environment's. The larger the environment's rewards are, the smaller w should be.
        absorbing: as in GAIL, but off by default: an end is worth 0, as in the paper.
    """

    reward: str = "amp"
    loss: str = "least-squares"
    stabilizers: Sequence[StabilizerSpec] | None = ({"name": "r1", "weight": 10.0},)
    task_weight: float = 0.5
    absorbing: bool = False


class AMP(GAIfO):
    """Adversarial motion priors (Peng et al., 2021): do the environment's task in the style of the demonstrations.

    The discriminator learns to distinguish the demonstrations' (s, s') from the policy's with a least-squares loss and a
    gradient penalty on the demonstrations. The generator gets the weighted sum of the style's reward and of the
    environment's. The demonstrations need neither actions nor success in the task.

    Since the environment's reward is used, AMP's returns must not be compared with those of algorithms that only see
    demonstrations.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``AMPSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> AMP(ppo, demos, task_weight=0.5).learn(256).recovered_reward().form.name
        'amp'
    """

    name = "amp"
    modes: ClassVar = {"default": AMPSettings}

    @takes_settings(AMPSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: AMPSettings) -> None:
        self._build(generator, demonstrations, settings)
