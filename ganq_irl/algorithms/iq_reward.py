"""The reward that a soft Q-function implies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.distributions import Normal
from torch.nn.functional import softplus

from ganq_irl.algorithms.iq_objective import chosen_values, smallest, soft_maximum
from ganq_irl.errors import StorageError
from ganq_irl.generators.policies.store import StoredPolicy, copy_policy, describe_policy, load_policy
from ganq_irl.rewards.functions import batched, is_tensor
from ganq_irl.storage import load_folder, save_folder
from ganq_irl.types import Batch, Observations, mapped, to_float32

_ROWS = 4096  # number of transitions per forward pass
_N_ACTIONS = 32  # number of the actor's actions to estimate V(s')


class SoftQReward:
    """r(s, a, s', d) = Q(s, a) - γ (1 - d) V(s'), equation 11 of Garg et al. (2021).

    It has the interface of a ``RewardModel``, but computes rewards from the value networks of an SB3 policy, which is stored
    with it, instead of a discriminator.

    For discrete actions, V(s') = τ log Σ exp(Q(s', a)/τ). For continuous actions, it is the mean of
    min_i Q_i(s', a) - τ log π(a|s') over actions of the actor with fixed noise. The noise is the same for every row, so that
    the reward of a row does not depend on the others.

    Args:
        policy: policy of a DQN or SAC, with its observation statistics; it is copied, so that further training changes
            nothing.
        gamma: discount factor.
        temperature: τ, above 0; for SAC its entropy coefficient, at least 0.
        provenance: JSON that tells where the reward comes from.

    Example:
        >>> iq = IQLearn(dqn, demos).learn(64)
        >>> reward = iq.recovered_reward()
        >>> reward.save("reward")
        >>> isinstance(SoftQReward.load("reward"), SoftQReward)
        True
    """

    def __init__(
        self, policy: StoredPolicy, gamma: float, temperature: float, provenance: Mapping[str, Any] | None = None
    ) -> None:
        self.stored = replace(policy, policy=copy_policy(policy.policy))
        self.stored.policy.requires_grad_(False)
        self.gamma, self.temperature = gamma, temperature
        self.provenance = dict(provenance or {})

    def __repr__(self) -> str:
        """Show the generator and the spaces."""
        return f"{type(self).__name__}(of {self.stored.algorithm}, {self.observation_space} -> {self.action_space})"

    @property
    def observation_space(self) -> spaces.Space:
        """Observation space; images are channels-first."""
        return self.stored.observation_space

    @property
    def action_space(self) -> spaces.Space:
        """Action space."""
        return self.stored.policy.action_space

    @torch.no_grad()
    def price(self, batch: Batch) -> Tensor:
        """Return the reward of each transition of a batch, ``(batch,)`` float32."""
        return torch.cat([self._price(rows).to(batch.device) for rows in batch.minibatches(_ROWS)])

    def reward(self, observations: Any, actions: Any, next_observations: Any, dones: Any = None) -> Any:
        """Return the reward of each transition, ``(batch,)`` float32: an array for arrays, a tensor for tensors.

        Args:
            observations: raw observations ``(batch, *shape)``, or a dict of them. A single transition, without the batch
                axis, gives a single number.
            actions: actions in the environment's units, ``(batch, *shape)``.
            next_observations: like ``observations``.
            dones: ``(batch,)``, 1 only for terminations, not time limits; 0 by default.

        Raises:
            IncompatibleSpaces: the values do not fit together.
        """
        rows = batched(self.observation_space, observations, actions, next_observations, dones)
        rewards = self.price(Batch(rows.observations, rows.actions, rows.next_observations, rows.dones.float()))
        return rows.unbatched(rewards if is_tensor(observations) else rewards.cpu().numpy())

    def _price(self, batch: Batch) -> Tensor:
        policy: Any = self.stored.policy
        policy.set_training_mode(False)
        batch = batch.to(policy.device)
        observations, following = map(self._prepared, (batch.observations, batch.next_observations))
        if isinstance(self.action_space, spaces.Discrete):
            q_values = chosen_values(policy.q_net(observations), batch.actions)
            values = soft_maximum(policy.q_net(following), self.temperature)
        else:
            actions = policy.scale_action(batch.actions.cpu().numpy())
            scaled = torch.as_tensor(actions, device=policy.device).float().clamp(-1, 1).flatten(1)
            q_values = smallest(policy.critic(observations, scaled))
            values = self._actor_values(policy, following)
        return q_values - self.gamma * (1 - batch.dones) * values

    def _actor_values(self, policy: Any, observations: Any) -> Tensor:
        mean, log_std, others = policy.actor.get_action_dist_params(observations)
        normal: Normal = policy.actor.action_dist.proba_distribution(mean, log_std, **others).distribution
        values = [self._value_at(policy, observations, normal, noise.to(mean.device)) for noise in _noise(mean.shape[1])]
        return torch.stack(values).mean(dim=0)

    def _value_at(self, policy: Any, observations: Any, normal: Normal, noise: Tensor) -> Tensor:
        before = normal.mean + normal.stddev * noise  # the input of tanh
        # log(1 - tanh²), accurate near 1
        jacobian = 2 * (np.log(2) - before - softplus(-2 * before))
        log_probs = (normal.log_prob(before) - jacobian).sum(dim=1)
        return smallest(policy.critic(observations, torch.tanh(before))) - self.temperature * log_probs

    def _prepared(self, observations: Observations) -> Observations:
        """Convert observations to the policy's input: normalized, on its device."""
        if self.stored.normalizer is None:
            return mapped(to_float32, observations)
        arrays: Any = self.stored.normalizer(mapped(lambda tensor: tensor.cpu().numpy(), observations))
        return mapped(lambda array: torch.as_tensor(array, device=self.stored.policy.device), arrays)

    def save(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``tensors.safetensors`` atomically: a stored policy, and the settings of the reward."""
        config, tensors = describe_policy(self.stored)
        reward = {"gamma": self.gamma, "temperature": self.temperature, "provenance": self.provenance}
        save_folder(Path(folder), {**config, "soft_q_reward": reward}, tensors)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> SoftQReward:
        """Load a reward written by ``save``, without unpickling.

        Raises:
            StorageError: a file is missing, altered, of a newer schema, or does not describe such a reward.
        """
        policy, config = load_policy(folder, device), load_folder(Path(folder))[0]
        match config.get("soft_q_reward"):
            case {
                "gamma": float() | int() as gamma,
                "temperature": float() | int() as temperature,
                "provenance": dict() as made,
            }:
                return cls(policy, gamma, temperature, made)
        raise StorageError(f"{folder} holds a policy, not its reward; give a folder written by SoftQReward.save")


def _noise(n_dimensions: int) -> Tensor:
    """Return standard normal noise for the actor, ``(n, n_dimensions)``: normal quantiles of low-discrepancy points."""
    points = torch.quasirandom.SobolEngine(n_dimensions, scramble=True, seed=0).draw(_N_ACTIONS)
    return Normal(0.0, 1.0).icdf(points.clamp(1e-4, 1 - 1e-4))
