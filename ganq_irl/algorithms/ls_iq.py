"""LS-IQ: IQ-Learn as a regression to bounded targets, with a learned value of absorbing states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from ganq_irl.algorithms.absorbing import BoundedAbsorbingValue
from ganq_irl.algorithms.iq_learn import IQLearn
from ganq_irl.algorithms.iq_updates import Objective
from ganq_irl.algorithms.settings import Schedule, Settings, takes_settings
from ganq_irl.errors import ConfigurationError, nearest

EXPERT_TARGETS = ("fixed", "bootstrapped")


@dataclass(frozen=True, kw_only=True)
class LSIQSettings(Settings):
    """Settings of LS-IQ.

    Attributes:
        max_reward: bound of the recovered reward, above 0: demonstrated transitions are regressed to it, the policy's to its
            negative. It is 1/c for the paper's weight c of the regularizer, whose runs use c = 0.5.
        expert_target: target of demonstrated transitions. ``bootstrapped`` is max_reward + γ V(s'); ``fixed`` is the largest
            possible value, max_reward / (1 - γ), as in the authors' runs.
        absorbing: learn the value of ending an episode. Without it, an end is worth 0.
        temperature: τ over discrete actions, 0.01 by default. SAC uses its own ``ent_coef``.
        actor_learning_rate: learning rate of SAC's actor, a number or a function of the remaining progress. By default the
            generator's.
        seed: seed for sampling from demonstrations and policy; the generator has a seed of its own.
    """

    max_reward: float = 2.0
    expert_target: str = "bootstrapped"
    absorbing: bool = True
    temperature: float | None = None
    actor_learning_rate: Schedule | None = None


@dataclass(frozen=True)
class LSIQObjective:
    """The loss of LS-IQ (Al-Hafez et al., 2023), to be minimized over Q.

    With the χ² regularizer c r² averaged over demonstrations and policy in equal parts, IQ-Learn's objective for
    r = Q(s, a) - γ V(s') is, up to a constant,

        c/2 (E_expert[(r - 1/c)²] + E_policy[(r + 1/c)²]),

    a squared Bellman error with the reward 1/c for demonstrated transitions and -1/c for the policy's. Rewards within ±1/c
    imply values within ±1/c/(1 - γ), so that V(s') is clipped to this range. With a fixed target, the first term is
    (Q(s, a) - 1/c/(1 - γ))² instead: the demonstrations' own values, if the policy imitates them from then on.

    Attributes:
        max_reward: 1/c.
        expert_target: one of ``EXPERT_TARGETS``.
        gamma: discount factor.

    Raises:
        ConfigurationError: a setting is invalid.
    """

    max_reward: float
    expert_target: str
    gamma: float

    def __post_init__(self) -> None:
        if self.expert_target not in EXPERT_TARGETS:
            raise ConfigurationError(
                f"expert_target: unknown {self.expert_target!r}; {nearest(self.expert_target, EXPERT_TARGETS)}"
            )
        if not self.max_reward > 0:
            raise ConfigurationError(f"max_reward: given {self.max_reward!r}; expected a number above 0")

    @property
    def bound(self) -> float:
        """Largest absolute value that the bounded reward allows."""
        return self.max_reward / (1 - self.gamma)

    def __call__(self, q_values: Tensor, values: Tensor, continuations: Tensor, n_expert: int) -> Tensor:
        """Return the loss, a scalar.

        Args:
            q_values: Q(s, a), ``(batch,)``; the first ``n_expert`` rows are demonstrated, the others from replay.
            values: not used.
            continuations: γ V(s'), ``(batch,)``, which includes the value of absorbing states.
            n_expert: number of demonstrated rows.
        """
        rewards = q_values - continuations
        shown = rewards if self.expert_target == "bootstrapped" else q_values
        largest = self.max_reward if self.expert_target == "bootstrapped" else self.bound
        of_expert = (shown[:n_expert] - largest).square().mean()
        of_policy = (rewards[n_expert:] + self.max_reward).square().mean()
        return (of_expert + of_policy) / (2 * self.max_reward)


class LSIQ(IQLearn):
    """LS-IQ, least-squares inverse Q-learning (Al-Hafez et al., 2023): IQ-Learn with targets and values that are bounded.

    It differs from ``IQLearn`` in three points. The critic's loss is a regression to bounded targets (``LSIQObjective``).
    V(s') comes from the target networks and is clipped to the values that bounded rewards allow. The end of an episode
    leads to an absorbing state, whose value is learned (``BoundedAbsorbingValue``); IQ-Learn takes an end to be worth 0.

    The paper's separate critic for the entropy, and its variant for demonstrations without actions, are left out.

    Args:
        generator: SB3's SAC or DQN with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``LSIQSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> reward = LSIQ(dqn, demos).learn(64).recovered_reward()
    """

    name = "ls-iq"
    modes: ClassVar = {"default": LSIQSettings}
    settings: LSIQSettings  # type: ignore[assignment]

    @takes_settings(LSIQSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: LSIQSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: Any) -> None:
        super()._build(generator, demonstrations, settings)
        if settings.absorbing:
            self.update.absorbing = BoundedAbsorbingValue(self.generator, settings.max_reward)

    def _objective(self) -> tuple[Objective, bool]:
        return LSIQObjective(self.settings.max_reward, self.settings.expert_target, self.generator.gamma), True

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        absorbing = self.update.absorbing
        with nullcontext() if absorbing is None else absorbing.while_imitating(), super()._installed(callbacks) as callback:
            yield callback

    def _state_dict(self) -> dict[str, Any]:
        absorbing = self.update.absorbing
        return {**super()._state_dict(), "absorbing": absorbing and absorbing.state_dict()}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        super()._load_state_dict(state)
        if self.update.absorbing is not None:
            self.update.absorbing.load_state_dict(state["absorbing"])
