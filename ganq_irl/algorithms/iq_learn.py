"""Inverse soft-Q learning: one Q-function that is policy and reward at once, and no adversary."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from ganq_irl.algorithms.iq_objective import IQObjective
from ganq_irl.algorithms.iq_reward import SoftQReward
from ganq_irl.algorithms.iq_updates import IQUpdate, SoftActorCriticUpdate, SoftQUpdate
from ganq_irl.algorithms.off_policy_imitation import OffPolicyImitation
from ganq_irl.algorithms.settings import Schedule, Settings, takes
from ganq_irl.errors import ConfigurationError, UnsupportedGenerator
from ganq_irl.generators.acceleration import original_method
from ganq_irl.generators.policy_store import acting_policy
from ganq_irl.generators.substitution import substituting

TEMPERATURE = 0.01
"""Of the soft values over discrete actions: the authors' default."""


@dataclass(frozen=True, kw_only=True)
class IQLearnSettings(Settings):
    """Settings of IQ-Learn.

    Attributes:
        loss: ``v0``, ``value`` or ``value_expert``, see ``IQObjective``.
        regularize: ``both`` or ``expert``, see ``IQObjective``. By default ``both`` for SAC and ``expert`` for DQN, as the
            authors have it.
        chi2_alpha: α of the χ² regularizer, the scale of the recovered reward.
        temperature: τ over discrete actions, 0.01 by default. SAC's is its own ``ent_coef``.
        use_target: take V(s') from the target networks, without gradient. By default for SAC only, as the authors do.
        actor_learning_rate: the learning rate of SAC's actor, a number or a function of the progress remaining. By default
            the generator's.
        seed: seed of the draws from demonstrations and policy; the generator has a seed of its own.
    """

    loss: str = "v0"
    regularize: str | None = None
    chi2_alpha: float = 0.5
    temperature: float | None = None
    use_target: bool | None = None
    actor_learning_rate: Schedule | None = None


class IQLearn(OffPolicyImitation):
    """IQ-Learn, online (Garg et al., 2021, algorithm 1): SAC or DQN whose critic minimizes ``IQObjective``.

    The objective is minimized over Q alone, from which the policy follows: softmax(Q/τ) where actions are discrete (their
    section 4.3), an actor trained as SAC's where they are not (4.4). Networks, optimizers, replay, pace and target networks
    are the generator's; each gradient step takes its ``batch_size`` from demonstrations and from replay, and neither the
    environment's reward nor ε-greedy exploration has a part in it.

    Over discrete actions the policy acts by a draw from softmax(Q/τ), and greedily where ``deterministic``. SAC's entropy
    coefficient is τ: the authors found the automatic one to keep IQ-Learn from converging, and fix it at 0.01 or less on
    MuJoCo. Give the generator an ``ent_coef``; Pendulum is learned with 0.1. On MuJoCo they have one critic as well
    (``policy_kwargs={"n_critics": 1}``), which matters with ``value``: of two, V presses on the smaller one alone.

    Args:
        generator: SB3's SAC or DQN with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``IQLearnSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings that cannot work together.
    """

    name = "iq-learn"
    modes: ClassVar = {"default": IQLearnSettings}
    settings: IQLearnSettings

    @takes(IQLearnSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: IQLearnSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: IQLearnSettings) -> None:
        super()._build(generator, demonstrations, settings)
        self._rng = torch.Generator(generator.device).manual_seed(settings.seed)
        discrete = isinstance(generator, DQN)
        regularize = ("expert" if discrete else "both") if settings.regularize is None else settings.regularize
        objective = IQObjective(settings.loss, regularize, settings.chi2_alpha, self.generator.gamma)
        use_target = not discrete if settings.use_target is None else settings.use_target
        arguments = (generator, self.expert, objective, use_target)
        self.update: IQUpdate
        if discrete:
            _refuse("actor_learning_rate", settings.actor_learning_rate, "DQN has no actor; leave it out")
            temperature = TEMPERATURE if settings.temperature is None else settings.temperature
            self.update = SoftQUpdate(*arguments, temperature=temperature, rng=self._rng)
        else:
            _refuse("temperature", settings.temperature, "SAC's is its ent_coef; set that one of the generator")
            _warn_of_automatic_entropy(generator)
            self.update = SoftActorCriticUpdate(*arguments, actor_learning_rate=settings.actor_learning_rate)

    def _checked(self, generator: BaseAlgorithm) -> OffPolicyAlgorithm:
        checked = super()._checked(generator)
        if original_method(type(checked), "train") not in (SAC.train, DQN.train):
            raise UnsupportedGenerator(
                f"iq-learn replaces how SAC's or DQN's critic learns, and {type(checked).__name__} learns in another way; "
                "use sac for continuous actions or dqn for discrete ones"
            )
        if getattr(checked.replay_buffer, "n_steps", 1) != 1:
            raise UnsupportedGenerator(
                f"{type(checked).__name__} replays returns of {checked.replay_buffer.n_steps} steps, and iq-learn reads the "  # type: ignore[union-attr]
                "reward of one step from Q; use n_steps=1"
            )
        return checked

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        methods: dict[str, Any] = {"train": self.update.train}
        if isinstance(self.update, SoftQUpdate):
            methods["predict"] = self.predict
        with substituting(callbacks, **methods) as callback:
            yield callback

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """The policy's action, as SB3's ``predict``: a draw from softmax(Q/τ) or from the actor, or the best one."""
        if isinstance(self.update, SoftQUpdate) and not deterministic:
            return self.update.sample_actions(observation), state
        return self.policy.predict(observation, state, episode_start, deterministic)

    def recovered_reward(self) -> SoftQReward:
        """The reward that Q stands for now: a copy, which training on does not change."""
        return SoftQReward(acting_policy(self.generator), self.generator.gamma, self._temperature, self._provenance())

    @property
    def _temperature(self) -> float:
        if isinstance(self.update, SoftQUpdate):
            return self.update.temperature
        model: Any = self.generator
        return float(model.ent_coef_tensor if model.ent_coef_optimizer is None else model.log_ent_coef.detach().exp())

    def _state_dict(self) -> dict[str, Any]:
        return {**super()._state_dict(), "rng": self._rng.get_state()}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        super()._load_state_dict(state)
        self._rng.set_state(state["rng"].cpu())


def _warn_of_automatic_entropy(model: Any) -> None:
    if model.ent_coef_optimizer is not None:
        warnings.warn(
            "SAC learns its entropy coefficient here, which the authors of IQ-Learn found to keep it from converging; "
            "give the generator a fixed one: ent_coef=0.01 in their runs, 0.1 for Pendulum in ours",
            stacklevel=4,
        )


def _refuse(setting: str, given: Any, why: str) -> None:
    if given is not None:
        raise ConfigurationError(f"{setting}: given {given!r}, but {why}")
