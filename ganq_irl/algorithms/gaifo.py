"""Adversarial imitation from observations only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.gail import GAIL, GAILSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator import STATE_TRANSITION
from ganq_irl.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class GAIfOSettings(GAILSettings):
    """Settings of GAIfO.

    Attributes:
        inputs: inputs of the discriminator, without actions. ``("observations",)`` also omits the next observations.
    """

    inputs: Sequence[str] = STATE_TRANSITION

    def __post_init__(self) -> None:
        """Check the values, and refuse actions."""
        super().__post_init__()
        if "actions" in self.inputs:
            raise ConfigurationError(
                f"inputs {self.inputs}: GAIfO imitates from observations only; remove 'actions', or use GAIL"
            )


class GAIfO(GAIL):
    """Generative adversarial imitation from observation (Torabi et al., 2018): the discriminator sees (s, s'), not actions.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions. Their
            actions are not used, and may be missing.
        **settings: the fields of ``GAIfOSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> gaifo = GAIfO(ppo, demos).learn(256)  # compares pairs (s, s'), so actions are not needed
        >>> gaifo.recovered_reward().form.name
        'logit'
    """

    name = "gaifo"
    modes: ClassVar = {"default": GAIfOSettings}

    @takes_settings(GAIfOSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: GAIfOSettings) -> None:
        self._build(generator, demonstrations, settings)
