"""Base class for non-adversarial imitation with an off-policy generator that replays demonstrations."""

from __future__ import annotations

from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from ganq_irl.algorithms.base import GeneratorImitation, demonstrations_for
from ganq_irl.algorithms.expert_replay import ExpertReplay
from ganq_irl.algorithms.iq_reward import SoftQReward
from ganq_irl.generators.checks import check_generator
from ganq_irl.generators.internals import generator_state, load_generator_state
from ganq_irl_demos import OPTIONAL_FIELDS


class OffPolicyImitation(GeneratorImitation):
    """Base class for imitation with an off-policy generator that replays demonstrations.

    Args:
        generator: an SB3 off-policy algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of the algorithm's settings class.

    Attributes:
        expert_reward: reward that is stored with demonstrated transitions.

    Example:
        >>> issubclass(SQIL, OffPolicyImitation) and issubclass(IQLearn, OffPolicyImitation)
        True
    """

    generator: OffPolicyAlgorithm
    expert_reward: ClassVar[float] = 0.0

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: Any) -> None:
        self.generator, self.settings = self._checked(generator), settings
        loaded = demonstrations_for(generator, demonstrations, needs=OPTIONAL_FIELDS)
        self.demonstrations_checksum = loaded.checksum
        self.expert = ExpertReplay(self.generator, loaded, reward=self.expert_reward, seed=settings.seed)

    def _checked(self, generator: BaseAlgorithm) -> OffPolicyAlgorithm:
        check_generator(self.name, generator, batch_size=1)
        assert isinstance(generator, OffPolicyAlgorithm)
        return generator

    def recovered_reward(self) -> SoftQReward | None:
        """Return the learned reward, or None if none is learned."""
        return None

    def _state_dict(self) -> dict[str, Any]:
        return {"generator": generator_state(self.generator), "expert": self.expert.state_dict()}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        load_generator_state(self.generator, state["generator"])
        self.expert.load_state_dict(state["expert"])
