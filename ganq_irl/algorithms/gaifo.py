"""Adversarial imitation from observations alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.gail import GAIL
from ganq_irl.discriminator import STATE_TRANSITION
from ganq_irl.errors import ConfigurationError


class GAIfO(GAIL):
    """Generative adversarial imitation from observation (Torabi et al., 2018): the score sees (s, s'), and no action.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions; their actions
            must be there, and are not looked at.
        inputs: what the score sees, anything but actions; ``("observations",)`` leaves the transitions out as well.
        **options: GAIL's.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "gaifo"

    def __init__(
        self, generator: BaseAlgorithm, demonstrations: Any, *, inputs: Sequence[str] = STATE_TRANSITION, **options: Any
    ) -> None:
        if "actions" in inputs:
            raise ConfigurationError(
                f"inputs {tuple(inputs)}: GAIfO imitates from observations alone; leave out 'actions', or use GAIL"
            )
        super().__init__(generator, demonstrations, inputs=inputs, **options)
