"""Adversarial imitation through an information bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from ganq_irl.algorithms.gail import GAIL
from ganq_irl.discriminator import BottleneckDiscriminator
from ganq_irl.discriminator.stabilizers import InformationConstraint, StabilizerSpec, build_stabilizers


class VAIL(GAIL):
    """GAIL whose discriminator sees its input through a variational information bottleneck (Peng et al., 2019).

    A discriminator that may know little of a row cannot be certain of it, and goes on telling better policies from worse.
    The reward is read from the mean code, so that it is not random.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        capacity: I_c, nats that the code may hold of a row on average.
        beta_rate: step of β, the price of information, at each update of the discriminator.
        code_size: dimensions of the code.
        stabilizers: names in ``STABILIZERS``, or ``{"name": ..., setting: value}``; the bottleneck comes beside them.
        **options: GAIL's.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "vail"

    def __init__(
        self,
        generator: BaseAlgorithm,
        demonstrations: Any,
        *,
        capacity: float = 0.5,
        beta_rate: float = 1e-3,
        code_size: int = 32,
        stabilizers: Sequence[StabilizerSpec] = (),
        **options: Any,
    ) -> None:
        self.code_size = code_size
        self.constraint = InformationConstraint(capacity, beta_rate)
        super().__init__(
            generator, demonstrations, stabilizers=(*build_stabilizers(stabilizers), self.constraint), **options
        )

    def _build_discriminator(self, hidden_sizes: tuple[int, ...], activation: str) -> BottleneckDiscriminator:
        return BottleneckDiscriminator(self._encoder(), hidden_sizes, activation, self.code_size)

    def _log(self, metrics: dict[str, Tensor]) -> None:
        super()._log({**metrics, "information": self.constraint.information, "beta": self.constraint.beta})
