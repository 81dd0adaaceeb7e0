"""Inverse soft-Q learning: a single Q-function gives policy and reward, without an adversary."""

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
from ganq_irl.algorithms.iq_updates import IQUpdate, Objective, SoftActorCriticUpdate, SoftQUpdate
from ganq_irl.algorithms.off_policy_imitation import OffPolicyImitation
from ganq_irl.algorithms.settings import Schedule, Settings, takes_settings
from ganq_irl.errors import ConfigurationError, UnsupportedGenerator
from ganq_irl.generators.acceleration import original_method
from ganq_irl.generators.callbacks import substituting
from ganq_irl.generators.policies.store import acting_policy

TEMPERATURE = 0.01
"""Default temperature of the soft values over discrete actions, as in the authors' code."""


@dataclass(frozen=True, kw_only=True)
class IQLearnSettings(Settings):
    """Settings of IQ-Learn.

    Attributes:
        loss: ``v0``, ``value`` or ``value_expert``, see ``IQObjective``.
        regularize: ``both`` or ``expert``, see ``IQObjective``. By default ``both`` for SAC and ``expert`` for DQN, as in
            the authors' code.
        chi2_alpha: α of the χ² regularizer, which scales the recovered reward.
        temperature: τ over discrete actions, 0.01 by default. SAC uses its own ``ent_coef``.
        use_target: compute V(s') with the target networks, without gradient. By default only for SAC, as in the authors'
            code.
        actor_learning_rate: learning rate of SAC's actor, a number or a function of the remaining progress. By default the
            generator's.
        seed: seed for sampling from demonstrations and policy; the generator has a seed of its own.
    """

    loss: str = "v0"
    regularize: str | None = None
    chi2_alpha: float = 0.5
    temperature: float | None = None
    use_target: bool | None = None
    actor_learning_rate: Schedule | None = None


class IQLearn(OffPolicyImitation):
    """IQ-Learn, online (Garg et al., 2021, algorithm 1): SAC or DQN whose critic minimizes ``IQObjective``.

    The objective is minimized over Q only, and the policy follows from Q: softmax(Q/τ) for discrete actions (section 4.3),
    and an actor trained as in SAC for continuous ones (section 4.4). Networks, optimizers, replay, update frequency and
    target networks are the generator's. Each gradient step uses ``batch_size`` demonstrated and as many replayed
    transitions. Neither the environment's reward nor ε-greedy exploration is used.

    With discrete actions, the policy samples from softmax(Q/τ), or acts greedily if ``deterministic``. SAC's entropy
    coefficient is τ. The authors found that automatic tuning keeps IQ-Learn from converging, and fix it at 0.01 or less on
    MuJoCo. Set the generator's ``ent_coef``; 0.1 works for Pendulum. On MuJoCo, they also use a single critic
    (``policy_kwargs={"n_critics": 1}``), which matters with ``value``: of two critics, V only affects the smaller one.

    Args:
        generator: SB3's SAC or DQN with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``IQLearnSettings``.

    Raises:
        GanqIrlError: generator, environment, demonstrations or settings do not work together.

    Example:
        >>> iq = IQLearn(dqn, demos).learn(64)
        >>> iq.recovered_reward().reward(demos[0].observations[0], 1, demos[0].observations[1]).shape
        ()
    """

    name = "iq-learn"
    modes: ClassVar = {"default": IQLearnSettings}
    settings: IQLearnSettings

    @takes_settings(IQLearnSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: IQLearnSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: Any) -> None:
        super()._build(generator, demonstrations, settings)
        self._rng = torch.Generator(generator.device).manual_seed(settings.seed)
        arguments = (generator, self.expert, *self._objective())
        self.update: IQUpdate
        if isinstance(generator, DQN):
            _refuse("actor_learning_rate", settings.actor_learning_rate, "DQN has no actor; remove it")
            temperature = TEMPERATURE if settings.temperature is None else settings.temperature
            self.update = SoftQUpdate(*arguments, temperature=temperature, rng=self._rng)
        else:
            _refuse("temperature", settings.temperature, "SAC's temperature is the ent_coef of the generator; set that")
            _warn_of_automatic_entropy(generator)
            self.update = SoftActorCriticUpdate(*arguments, actor_learning_rate=settings.actor_learning_rate)

    def _objective(self) -> tuple[Objective, bool]:
        """Return the critic's objective, and whether V(s') comes from the target networks."""
        settings, discrete = self.settings, isinstance(self.generator, DQN)
        regularize = ("expert" if discrete else "both") if settings.regularize is None else settings.regularize
        objective = IQObjective(settings.loss, regularize, settings.chi2_alpha, self.generator.gamma)
        return objective, not discrete if settings.use_target is None else settings.use_target

    def _checked(self, generator: BaseAlgorithm) -> OffPolicyAlgorithm:
        checked = super()._checked(generator)
        if original_method(type(checked), "train") not in (SAC.train, DQN.train):
            raise UnsupportedGenerator(
                f"{self.name} replaces the critic's update of SAC or DQN, and does not support {type(checked).__name__}; "
                "use sac for continuous actions or dqn for discrete ones"
            )
        if getattr(checked.replay_buffer, "n_steps", 1) != 1:
            raise UnsupportedGenerator(
                f"{type(checked).__name__} replays {checked.replay_buffer.n_steps}-step returns, but {self.name} derives "  # type: ignore[union-attr]
                "one-step rewards from Q; use n_steps=1"
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
        """Return the policy's action, like SB3's ``predict``: sampled from softmax(Q/τ) or the actor, or the best one."""
        if isinstance(self.update, SoftQUpdate) and not deterministic:
            return self.update.sample_actions(observation), state
        return self.policy.predict(observation, state, episode_start, deterministic)

    def recovered_reward(self) -> SoftQReward:
        """Return a copy of the reward that the current Q implies; further training does not change it."""
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
            "SAC tunes its entropy coefficient automatically, which keeps IQ-Learn from converging according to its "
            "authors; use a fixed one, such as ent_coef=0.01 as in their runs, or 0.1 for Pendulum",
            stacklevel=4,
        )


def _refuse(setting: str, given: Any, why: str) -> None:
    if given is not None:
        raise ConfigurationError(f"{setting}: given {given!r}, but {why}")
