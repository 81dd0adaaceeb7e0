"""Adversarial imitation with an information bottleneck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from ganq_irl.algorithms.gail import GAIL, GAILSettings
from ganq_irl.algorithms.settings import takes_settings
from ganq_irl.discriminator import BottleneckDiscriminator
from ganq_irl.discriminator.stabilizers import InformationConstraint, StabilizerSpec, build_stabilizers


@dataclass(frozen=True, kw_only=True)
class VAILSettings(GAILSettings):
    """Settings of VAIL.

    Attributes:
        capacity: I_c, the mean information of the code about a row, in nats.
        beta_rate: step size of the multiplier β, updated with each discriminator update.
        code_size: number of dimensions of the code.
        stabilizers: stabilizers in addition to the bottleneck, a list of names in ``STABILIZERS``, or of tables
            ``{"name": ..., setting: value}``.
    """

    capacity: float = 0.5
    beta_rate: float = 1e-3
    code_size: int = 32
    stabilizers: Sequence[StabilizerSpec] | None = ()


class VAIL(GAIL):
    """GAIL with a variational information bottleneck at the discriminator's input (Peng et al., 2019).

    A discriminator with little information about each row cannot saturate, so that it still distinguishes better from worse
    policies. The reward uses the mean code, so that it is deterministic.

    Args:
        generator: any SB3 algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``VAILSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> vail = VAIL(ppo, demos, capacity=0.5, code_size=8).learn(256)
        >>> vail.recovered_reward().discriminator.kind
        'bottleneck'
    """

    name = "vail"
    modes: ClassVar = {"default": VAILSettings}
    settings: VAILSettings

    @takes_settings(VAILSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: VAILSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: VAILSettings) -> None:  # type: ignore[override]
        self.constraint = InformationConstraint(settings.capacity, settings.beta_rate)
        super()._build(generator, demonstrations, settings)

    def _stabilizers(self) -> Sequence[StabilizerSpec]:
        return [*build_stabilizers(super()._stabilizers()), self.constraint]

    def _build_discriminator(self) -> BottleneckDiscriminator:
        settings = self.settings
        return BottleneckDiscriminator(self._encoder(), settings.hidden_sizes, settings.activation, settings.code_size)

    def _log(self, metrics: dict[str, Tensor]) -> None:
        super()._log({**metrics, "information": self.constraint.information, "beta": self.constraint.beta})
