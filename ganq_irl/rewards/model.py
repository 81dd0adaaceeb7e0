"""Recovered rewards that can be evaluated in batches, saved as JSON and safetensors, and loaded anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces

from ganq_irl.discriminator import BaseDiscriminator, build_discriminator, build_loss, fixed_copy
from ganq_irl.errors import ConfigurationError, GanqIrlError, StorageError
from ganq_irl.rewards.forms import build_reward_form, log_ratio
from ganq_irl.rewards.functions import batched, is_tensor
from ganq_irl.spaces import in_layout_of, space_from_json, space_to_json
from ganq_irl.storage import building_for, load_folder, save_folder, usable_device
from ganq_irl.types import Batch

_SCHEMA = 1
_ROWS = 65_536  # priced at once


class RewardModel:
    """A fixed reward function r(s, a, s', d) computed from a trained discriminator.

    It is a snapshot: neither further training of the discriminator nor ``train()`` on its own networks changes it.

    Args:
        discriminator: the discriminator, which is copied.
        form: a name in ``REWARD_FORMS``, but not a form that depends on the policy's log π.
        loss: name of the loss that the discriminator was trained with.
        provenance: JSON that records where the reward comes from.

    Raises:
        ConfigurationError: the form cannot be computed from this discriminator, or depends on the policy.

    Example:
        >>> reward.save("reward")
        >>> loaded = RewardModel.load("reward")
        >>> loaded.reward(demos[0].observations[:2], demos[0].actions[:2], demos[0].observations[1:3]).shape
        (2,)
    """

    def __init__(
        self,
        discriminator: BaseDiscriminator,
        form: str,
        loss: str = "bce",
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.discriminator = fixed_copy(discriminator)
        self.form, self.loss = build_reward_form(form), build_loss(loss)
        self.provenance = dict(provenance or {})
        self.form.check(self.discriminator, self.loss)
        if self.form.needs_log_prob(self.discriminator):
            raise ConfigurationError(f"the reward {form!r} of AIRL depends on the policy's log π; use 'g', or 'f'")

    def __repr__(self) -> str:
        """Return the form, the inputs, the spaces and the origin."""
        made = " on ".join(str(self.provenance[key]) for key in ("algorithm", "env") if self.provenance.get(key))
        source = f", learned by {made}" if made else ""
        return (
            f"{type(self).__name__}({self.form.name!r} of {self.discriminator.encoder.fields}, "
            f"{self.observation_space} -> {self.action_space}{source})"
        )

    @property
    def observation_space(self) -> spaces.Space:
        """Observation space, channels first for images."""
        return self.discriminator.encoder.observation_space

    @property
    def action_space(self) -> spaces.Space:
        """Action space."""
        return self.discriminator.encoder.action_space

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return self.discriminator.encoder.mean.device

    def to(self, device: torch.device | str) -> RewardModel:
        """Move the networks to a device. Returns self."""
        self.discriminator.to(device)
        return self

    @torch.no_grad()
    def price(self, batch: Batch) -> torch.Tensor:
        """Return the reward of each transition of a batch, ``(batch,)`` float32."""
        rewards = torch.empty(len(batch), device=batch.device)
        for start in range(0, len(batch), _ROWS):
            rows = slice(start, start + _ROWS)
            rewards[rows] = self._price(batch[rows].to(self.device)).to(batch.device)
        return rewards

    def _price(self, batch: Batch) -> torch.Tensor:
        discriminator = self.discriminator.eval()  # someone may have switched a single layer
        return self.form(discriminator, self.loss, discriminator.encode(batch))

    def reward(
        self,
        observations: Any,
        actions: Any,
        next_observations: Any,
        dones: Any = None,
    ) -> Any:
        """Return the reward of each transition, ``(batch,)`` float32: an array for arrays, a tensor for tensors.

        Args:
            observations: raw observations ``(batch, *shape)`` or a dict of them; images may have channels first or last.
                For a single transition, without the batch axis, the result is a number.
            actions: actions as the environment takes them, ``(batch, *shape)``.
            next_observations: like ``observations``.
            dones: ``(batch,)``, 1 only for true termination; 0 by default.

        Raises:
            IncompatibleSpaces: the values do not fit the spaces, or their lengths differ.
        """
        space = self.observation_space
        rows = batched(space, observations, actions, next_observations, dones)
        here, following = (in_layout_of(space, side) for side in (rows.observations, rows.next_observations))
        rewards = self.price(Batch(here, rows.actions, following, rows.dones.float()))
        return rows.unbatched(rewards if is_tensor(observations) else rewards.cpu().numpy())

    @torch.no_grad()
    def probability(self, batch: Batch) -> torch.Tensor:
        """Return D, the probability that each transition comes from the expert, ``(batch,)``.

        Args:
            batch: transitions; for AIRL with ``log_probs`` of the policy that it was trained against.

        Raises:
            ConfigurationError: the loss gives no probability, or AIRL's log π is missing.
        """
        states_it = self.discriminator.outputs_log_ratio
        if not (states_it or self.loss.has_log_ratio):
            raise ConfigurationError(f"a discriminator trained with the loss {self.loss.name!r} gives no probabilities")
        if states_it and batch.log_probs is None:
            raise ConfigurationError("AIRL's D depends on the policy; give a batch with log_probs")
        return torch.sigmoid(log_ratio(self.discriminator, self.loss, self.discriminator.encode(batch.to(self.device))))

    def save(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``tensors.safetensors``, atomically."""
        config = {
            "schema": _SCHEMA,
            "form": self.form.name,
            "loss": self.loss.name,
            "discriminator": self.discriminator.config(),
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "provenance": self.provenance,
        }
        save_folder(Path(folder), config, self.discriminator.state_dict())

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> RewardModel:
        """Load a reward saved by ``save``. Nothing is unpickled.

        Raises:
            StorageError: a file is missing or damaged, has another schema, or does not describe a reward.
        """
        config, tensors = load_folder(Path(folder))
        if config.get("schema") != _SCHEMA:
            raise StorageError(f"{folder} has schema {config.get('schema')}, this version reads {_SCHEMA}; update ganq-irl")
        try:
            observation_space = space_from_json(config["observation_space"])
            action_space = space_from_json(config["action_space"])
            with building_for(tensors):
                discriminator = build_discriminator(observation_space, action_space, config["discriminator"])
            discriminator.load_state_dict(tensors)
            return cls(discriminator, config["form"], config["loss"], config["provenance"]).to(usable_device(device))
        except (ArithmeticError, AttributeError, LookupError, TypeError, RuntimeError, ValueError) as error:
            if isinstance(error, GanqIrlError):
                raise
            raise StorageError(f"{folder} does not hold a reward model that can be rebuilt: {error}") from error
