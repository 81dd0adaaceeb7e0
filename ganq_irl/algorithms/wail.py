"""Wasserstein adversarial imitation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.algorithms.gail import GAIL
from ganq_irl.discriminator.stabilizers import StabilizerSpec


class WAIL(GAIL):
    """GAIL with a Wasserstein critic, paid by its score (Xiao et al., 2019).

    The critic's score is defined up to a constant. Where episodes end early that constant pays or charges for each step that
    they last, and a score may show nothing but that; use it where all episodes are of one length.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        reward: ``score``; a Wasserstein critic has no log-ratio that the other forms could read.
        loss: name in ``LOSSES``.
        stabilizers: what bounds the critic's slope; by default the gradient penalty of Gulrajani et al. (2017).
        **options: GAIL's.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "wail"

    def __init__(
        self,
        generator: BaseAlgorithm,
        demonstrations: Any,
        *,
        reward: str = "score",
        loss: str = "wasserstein",
        stabilizers: Sequence[StabilizerSpec] = ("gradient-penalty",),
        **options: Any,
    ) -> None:
        super().__init__(generator, demonstrations, reward=reward, loss=loss, stabilizers=stabilizers, **options)
