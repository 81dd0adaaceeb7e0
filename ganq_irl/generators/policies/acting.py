"""The part of a policy that acts, apart from its critics: its parameters, their copies, and a callback that holds them."""

from __future__ import annotations

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import Tensor

from ganq_irl.errors import UnsupportedGenerator

_OF_VALUES = ("value_net.", "mlp_extractor.value_net.", "vf_features_extractor.")


def has_actor(policy: BasePolicy) -> bool:
    """Return whether a policy acts by parameters of their own; value learners act by their values."""
    return hasattr(policy, "actor") or isinstance(policy, ActorCriticPolicy)


def acting_names(policy: BasePolicy) -> list[str]:
    """Return the names in a policy's state dict that decide how it acts: without critics, values and targets."""
    names = list(policy.state_dict())
    if hasattr(policy, "actor"):
        return [name for name in names if name.startswith("actor.")]
    if isinstance(policy, ActorCriticPolicy):
        return [name for name in names if not name.startswith(_OF_VALUES)]
    return [name for name in names if "_target." not in name]


def copy_to_targets(policy: BasePolicy) -> None:
    """Copy the networks that act into their target networks and averages."""
    parts = dict(policy.named_children())
    for name in parts.keys() - {"critic"}:
        for copy in (f"{name}_target", f"{name}_average"):
            if parts.get(copy) is not None:
                parts[copy].load_state_dict(parts[name].state_dict())


class HoldPolicy(BaseCallback):
    """Keep a policy as it is for the first steps of ``learn``, while its critics learn.

    A policy that was cloned, or trained on another reward, is soon unlearned if it follows critics that know nothing yet.
    This callback works with actor-critic algorithms of any kind: after each update, it restores the parameters that act.

    Args:
        n_steps: environment steps from the start of ``learn``.

    Raises:
        UnsupportedGenerator: when ``learn`` starts, if the algorithm acts by its values, like DQN.

    Example:
        >>> model = sac.learn(64, callback=HoldPolicy(2_000))
    """

    def __init__(self, n_steps: int) -> None:
        super().__init__()
        self.n_steps = n_steps
        self._held: dict[str, Tensor] = {}

    def _init_callback(self) -> None:
        if not has_actor(self.model.policy):
            raise UnsupportedGenerator(
                f"{type(self.model).__name__} acts by its values and has no actor to hold; leave out hold_policy"
            )

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.model.num_timesteps <= self.n_steps:
            state = self.model.policy.state_dict()
            self._held = {name: state[name].clone() for name in acting_names(self.model.policy)}

    def _on_rollout_start(self) -> None:
        self._restore()

    def _on_training_end(self) -> None:
        self._restore()

    @torch.no_grad()
    def _restore(self) -> None:
        if self._held:
            state = self.model.policy.state_dict()  # shares memory with the parameters
            for name, value in self._held.items():
                state[name].copy_(value)
            self._held = {}
