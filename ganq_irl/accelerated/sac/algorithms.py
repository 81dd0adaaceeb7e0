"""``FastSAC`` and ``FastTD3``: Stable-Baselines3's SAC and TD3 with the same interface and, up to rounding, results."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from ganq_irl.accelerated.core import Twin
from ganq_irl.accelerated.sac.support import why_slow
from ganq_irl.accelerated.sac.updates import DelayedUpdate, SoftUpdate, Update

_LOSSES = ("ent_coef", "actor_loss", "critic_loss", "ent_coef_loss")  # SB3's keys in SB3's order


class _WrittenOut(Twin, OffPolicyAlgorithm):
    """Base class for SAC and TD3 without autograd.

    Attributes:
        computes_as_its_base: True, since ``train`` has the same results as SB3's.
        update_class: the update that replaces SB3's.
    """

    computes_as_its_base = True
    update_class: ClassVar[type[Update]]
    _update: Update | None = None
    _update_of: Any = None  # the policy

    def _why_slow(self) -> str | None:
        return why_slow(self)

    def _choose_path(self) -> None:
        super()._choose_path()
        self._update = None if self.slow_reason else self.update_class(self)
        self._update_of = self.policy

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> Any:
        """Return SB3's actions, with the same random draws."""
        update, shape = self._update, self.observation_space.shape or ()
        if update is None or deterministic or np.shape(observation)[1:] != shape or len(np.shape(observation)) == len(shape):
            return super().predict(observation, state, episode_start, deterministic)
        if self._update_of is not self.policy or not update.actor.vector.is_shared():  # another policy at the moment
            return super().predict(observation, state, episode_start, deterministic)
        with torch.no_grad():
            actions = update.actor.act(torch.as_tensor(observation, device=self.device).flatten(1)).cpu().numpy()
        return self.policy.unscale_action(actions.reshape(-1, *self.action_space.shape)), state  # type: ignore[misc]

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Take gradient steps on samples of the replay buffer."""
        if self._update_of is not self.policy:
            self._choose_path()
        if self._update is None:
            return super().train(gradient_steps, batch_size)
        self._update_learning_rate([adam.optimizer for adam in self._update.adams])
        losses = defaultdict[str, list[float]](list)
        with torch.no_grad():
            self._update.adopt()
            for number in range(gradient_steps):
                data = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)  # type: ignore[union-attr]
                for name, value in self._update.step(data, number).items():
                    losses[name].append(value)
        self._require_finite("the losses", math.isfinite(sum(map(sum, losses.values()))))
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        for name in _LOSSES:
            if name in losses:
                self.logger.record(f"train/{name}", sum(losses[name]) / len(losses[name]))

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_update", "_update_of", "slow_reason"]


class FastSAC(_WrittenOut, SAC):
    """SAC (Haarnoja et al., 2018), with Stable-Baselines3's constructor, results and log keys in a fraction of its time.

    The same seed gives SB3's random draws and, up to rounding, its parameters. The differences are internal: gradients are
    computed explicitly instead of with autograd, both critics run as one stack of matrices, each optimizer is one operation
    on one vector, and only the actor runs while experience is collected.

    This is exact on the CPU for policies of linear layers with tanh, ReLU, ELU or leaky ReLU between them, with or without
    layer normalization (``SACLayerNormPolicy``), Box observations that are not images, and any replay buffer. For anything
    else (a GPU, other networks and optimizers, state-dependent exploration, hooks, frozen or shared parameters), SB3's own
    code runs unchanged. It also runs if SB3's methods differ from those of the releases that this class was compared with.
    This is decided when the model is built and when ``learn`` starts.

    A saved model is compatible with SB3: ``SAC.load`` loads it, and ``FastSAC.load`` loads SB3's.

    Attributes:
        slow_reason: why SB3's own code runs, or None if it does not; changes are logged.

    Example:
        >>> model = FastSAC("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [16]}, device="cpu").learn(110)
        >>> model.slow_reason is None
        True
    """

    update_class = SoftUpdate


class FastTD3(_WrittenOut, TD3):
    """TD3 (Fujimoto et al., 2018), with Stable-Baselines3's constructor, results and log keys in a fraction of its time.

    It differs from SB3's like ``FastSAC``, and uses SB3's own code in the same cases.

    Attributes:
        slow_reason: why SB3's own code runs, or None if it does not; changes are logged.

    Example:
        >>> model = FastTD3("MlpPolicy", "Pendulum-v1", policy_kwargs={"net_arch": [16]}, device="cpu").learn(110)
        >>> model.slow_reason is None
        True
    """

    update_class = DelayedUpdate
