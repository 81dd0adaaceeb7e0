"""Convert recovered rewards to and from imitation's ``RewardNet``."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from imitation.rewards.reward_nets import RewardNet
from imitation.util.networks import evaluating
from torch import Tensor

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.rewards.functions import RewardFunction, arrays_of, batched, is_tensor
from ganq_irl.rewards.model import RewardModel
from ganq_irl.types import Batch


class _ModelAsNet(RewardNet):
    """A ``RewardModel`` with imitation's interface. The model encodes its inputs, so ``preprocess`` only makes tensors."""

    def __init__(self, model: RewardModel) -> None:
        super().__init__(model.observation_space, model.action_space)
        self.model = model
        self.networks = model.discriminator  # registered for .to(), .parameters() and state dicts

    def preprocess(
        self, state: np.ndarray, action: np.ndarray, next_state: np.ndarray, done: np.ndarray
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        observations, actions, following, dones = (
            torch.as_tensor(np.array(value), device=self.model.device) for value in (state, action, next_state, done)
        )
        return observations, actions, following, dones.float()

    def forward(self, state: Tensor, action: Tensor, next_state: Tensor, done: Tensor) -> Tensor:
        return self.model.price(Batch(state, action, next_state, done))


class _NetAsReward:
    """A ``RewardNet`` with the interface of ``RewardFunction``."""

    def __init__(self, net: RewardNet) -> None:
        self.net = net

    @property
    def observation_space(self) -> spaces.Space:
        return self.net.observation_space

    @property
    def action_space(self) -> spaces.Space:
        return self.net.action_space

    @torch.no_grad()
    def reward(self, observations: Any, actions: Any, next_observations: Any, dones: Any = None) -> Any:
        rows = batched(self.observation_space, observations, actions, next_observations, dones)
        arrays = [arrays_of(each) for each in rows[:4]]
        arrays[1] = arrays[1].reshape(-1, *(self.action_space.shape or ()))  # SB3's buffers add an axis to Discrete actions
        with evaluating(self.net):
            rewards = self.net(*self.net.preprocess(*arrays))
        rewards = rewards.detach().reshape(len(arrays[3])).float()
        return rows.unbatched(rewards.to(rows.dones.device) if is_tensor(observations) else rewards.cpu().numpy())


def to_imitation(model: RewardModel) -> RewardNet:
    """Return a copy of a ``RewardModel`` as imitation's ``RewardNet``, on the same device.

    The copy cannot be trained: its weights have no gradients and ``train()`` does not change it. Nothing done to the copy
    affects the ``RewardModel``.

    Raises:
        IncompatibleSpaces: the observation space is a Dict, which ``RewardNet`` does not support.
    """
    if isinstance(model.observation_space, spaces.Dict):
        raise IncompatibleSpaces("imitation's RewardNet does not support Dict observations; use the RewardModel itself")
    return _ModelAsNet(copy.deepcopy(model))


def from_imitation(net: RewardNet) -> RewardFunction:
    """Wrap imitation's ``RewardNet`` as a reward for wrappers, metrics and plots: its raw output, in evaluation mode.

    A net made by ``to_imitation`` is converted back to its ``RewardModel``.

    Raises:
        ConfigurationError: ``net`` is not a ``RewardNet``.
    """
    if isinstance(net, _ModelAsNet):
        return net.model
    if not isinstance(net, RewardNet):
        raise ConfigurationError(
            f"given a {type(net).__name__}; expected one of imitation's RewardNets, such as airl_trainer.reward_test"
        )
    return _NetAsReward(net)
