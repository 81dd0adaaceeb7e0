"""Encode chosen fields of a transition as one matrix of numbers, the input of a discriminator.

Discrete values are one-hot encoded first, so penalties never interpolate raw action indices. Pixels are scaled to [0, 1] and
flattened; the network restores their shape for its CNN (see ``networks``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, is_image_space, preprocess_obs
from torch import Tensor, nn

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.types import Batch, Observations, cat

STATE = ("observations",)
STATE_ACTION = ("observations", "actions")
STATE_TRANSITION = ("observations", "next_observations")
STATE_ACTION_STATE = ("observations", "actions", "next_observations")
STATE_ACTION_RETURN = ("observations", "actions", "returns")
FIELDS = ("observations", "actions", "next_observations", "dones", "absorbing", "returns")

SMALLEST_IMAGE = 36
"""Smallest height and width, in pixels, that Stable-Baselines3's NatureCNN accepts."""
_REPRESENTATIVE_ROWS = 1 << 18
_CLIP = 10.0  # in standard deviations, so that a dimension that hardly varies in the demonstrations cannot dominate
_ABSORBING_BIT = 3.0  # in standard deviations; see InputEncoder


@dataclass(frozen=True)
class Encoded:
    """An encoded batch: the input of the networks.

    Attributes:
        features: ``(batch, dim)`` float32, without the returns.
        dones: ``(batch,)`` float32; sets the shaping potential of terminal states to 0. Penalties do not perturb it.
        offset: ``(batch,)``, log π(a|s), which a shaped discriminator subtracts from its score; zeros if unused.
        returns: ``(batch, n_returns)`` return samples x, scored given the features of their row; None if unused.
        noise: ``(batch,)`` standard normal draws for a score that is random during training; None for its mean.

    Example:
        >>> encoded = encoder(batch)
        >>> encoded.features.shape, encoded[:2].dones.shape
        (torch.Size([64, 6]), torch.Size([2]))
    """

    features: Tensor
    dones: Tensor
    offset: Tensor
    returns: Tensor | None = None
    noise: Tensor | None = None

    @property
    def samples(self) -> Tensor:
        """What the generator produced, and what penalties act on: the returns if there are any, otherwise the features."""
        return self.features if self.returns is None else self.returns

    def with_samples(self, samples: Tensor) -> Encoded:
        """Return the same rows with other samples."""
        return replace(self, features=samples) if self.returns is None else replace(self, returns=samples)

    def rows(self) -> Tensor:
        """Return one matrix: the features, or ``(batch * n_returns, dim + 1)`` with the features repeated beside each x."""
        if self.returns is None:
            return self.features
        features = self.features.repeat_interleave(self.returns.shape[1], dim=0)
        return torch.cat([features, self.returns.reshape(-1, 1)], dim=1)

    def detach(self) -> Encoded:
        """Return the same batch without gradient history."""
        returns = None if self.returns is None else self.returns.detach()
        return Encoded(self.features.detach(), self.dones.detach(), self.offset.detach(), returns, self.noise)

    def __len__(self) -> int:
        """Number of rows."""
        return self.features.shape[0]

    def __getitem__(self, index: Tensor | slice) -> Encoded:
        """Select rows by an index tensor or a slice."""
        chosen: dict[str, Any] = {name: None if value is None else value[index] for name, value in vars(self).items()}
        return replace(self, **chosen)

    @staticmethod
    def cat(sides: Sequence[Encoded]) -> Encoded:
        """Concatenate batches; a field must be present in all of them or in none."""
        return Encoded(*(cat([getattr(side, f.name) for side in sides]) for f in dataclasses.fields(Encoded)))


@dataclass(frozen=True)
class Part:
    """The columns of the encoded matrix that hold one field, or one key of a Dict field."""

    field: str
    key: str | None
    space: spaces.Space | None  # None for dones, absorbing and returns
    start: int
    width: int

    @property
    def columns(self) -> slice:
        """Columns of the part in the encoded matrix."""
        return slice(self.start, self.start + self.width)

    @cached_property
    def is_image(self) -> bool:
        """Return whether a CNN reads it: an image of at least 36 x 36 pixels, the smallest that NatureCNN accepts."""
        if not isinstance(self.space, spaces.Box) or not is_image_space(self.space):
            return False
        shape = self.space.shape
        sides = shape[1:] if np.argmin(shape) == 0 else shape[:2]  # SB3 takes the smallest axis as the channels
        return min(sides) >= SMALLEST_IMAGE

    @cached_property
    def is_continuous(self) -> bool:
        """Return whether it is standardized: real numbers, not one-hot values, pixels or return samples."""
        return isinstance(self.space, spaces.Box) and not self.is_image

    @cached_property
    def is_as_given(self) -> bool:
        """Whether preprocessing leaves its numbers as they are: those of a Box that holds no pixels."""
        return isinstance(self.space, spaces.Box) and not is_image_space(self.space)


class InputEncoder(nn.Module):
    """Encode the chosen fields of a ``Batch`` as one matrix, with continuous columns standardized by the demonstrations.

    ``fit`` fixes the statistics: running statistics would shift under the discriminator while it learns. The columns of
    ``next_observations`` use the statistics of ``observations``, so that one potential h can read both s and s'.

    The absorbing state is encoded as the row ``absorbing_state``: 3 in the column of ``absorbing``, 0 in all others. A
    one-centered gradient penalty makes the score fall by up to 1 per unit between the two sides, so this number sets how
    much less than the expert a step earns after an end that the expert never shows. With 10, Hopper learned to stand still
    for fear of falling. With 1, the row lies so close to the demonstrations' mean that R1 cannot tell them apart.

    Args:
        observation_space: Box (images too), Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        action_space: as ``observation_space``, without Dict.
        fields: names in ``FIELDS``, in the order of the columns; "returns" comes last.
        n_returns: number of return samples per row.
        standardizes: whether ``fit`` sets statistics; otherwise numbers are not changed.

    Raises:
        ConfigurationError: an unknown or repeated field.
        IncompatibleSpaces: an unsupported space, or a Discrete or MultiDiscrete space that does not start at 0.

    Example:
        >>> encoder = InputEncoder(env.observation_space, env.action_space, ("observations", "actions"))
        >>> encoder.fit(batch)
        >>> encoder(batch).features.shape  # four numbers, and two columns for the two actions
        torch.Size([64, 6])
    """

    mean: Tensor
    std: Tensor
    clip: Tensor
    _negative_clip: Tensor
    absorbing_state: Tensor

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        fields: Sequence[str],
        *,
        n_returns: int = 1,
        standardizes: bool = True,
    ) -> None:
        super().__init__()
        self.observation_space, self.action_space, self.fields = observation_space, action_space, tuple(fields)
        self.n_returns = n_returns
        if not fields or len(set(fields)) < len(fields) or not set(fields) <= set(FIELDS):
            raise ConfigurationError(f"inputs {tuple(fields)}: expected one or more different names out of {FIELDS}")
        if "returns" in fields and (fields[-1] != "returns" or len(fields) == 1):
            raise ConfigurationError(f"inputs {tuple(fields)}: 'returns' comes last, after what they are the returns of")
        self.parts = self._lay_out()
        self.dim = sum(part.width for part in self.parts if part.field != "returns")  # of the features
        self._standardizes = standardizes and any(part.is_continuous for part in self.parts)
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("std", torch.ones(self.dim))
        clip = torch.full((self.dim,), torch.inf)
        for part in self.parts:
            if part.is_continuous and standardizes:
                clip[part.columns] = _CLIP
        self.register_buffer("clip", clip, persistent=False)
        self.register_buffer("_negative_clip", -clip, persistent=False)
        absorbing_state = torch.zeros(self.dim)
        if "absorbing" in fields:
            absorbing_state[self.columns("absorbing")] = _ABSORBING_BIT
        self.register_buffer("absorbing_state", absorbing_state, persistent=False)

    def _lay_out(self) -> tuple[Part, ...]:
        parts: list[Part] = []
        start = 0
        for field in self.fields:
            for key, space in self._leaves(field):
                width = 1 if space is None else _checked_width(space, field)
                parts.append(Part(field, key, space, start, width))
                start += width
        return tuple(parts)

    def _leaves(self, field: str) -> list[tuple[str | None, spaces.Space | None]]:
        if field in ("dones", "absorbing", "returns"):
            return [(None, None)]
        if field == "actions":
            return [(None, self.action_space)]
        if isinstance(self.observation_space, spaces.Dict):
            return [(key, self.observation_space.spaces[key]) for key in sorted(self.observation_space.spaces)]
        return [(None, self.observation_space)]

    @property
    def has_images(self) -> bool:
        """Return whether any part is an image. Encoded pixels are float32, four times the size of the original bytes."""
        return any(part.is_image for part in self.parts)

    def columns(self, field: str) -> slice:
        """Return the columns that hold ``field``."""
        parts = [part for part in self.parts if part.field == field]
        return slice(parts[0].start, parts[-1].start + parts[-1].width)

    def fit(self, batch: Batch) -> None:
        """Set mean and standard deviation of the continuous columns; a constant column keeps a deviation of 1."""
        if not self._standardizes:
            return
        raw = self._raw(representative(batch))
        for part in self.parts:
            if part.is_continuous:
                source = part if part.field != "next_observations" else self._observation_twin(part)
                values = raw[:, source.columns]
                deviation = values.std(dim=0, correction=0)
                is_constant = deviation <= 1e-6 * (1 + values.abs().amax(dim=0))
                self.mean[part.columns] = values.mean(dim=0)
                self.std[part.columns] = torch.where(is_constant, torch.ones_like(deviation), deviation)

    def reach_bounds(self) -> None:
        """Raise standard deviations so that no value within the bounds of its space is clipped. Call it after ``fit``."""
        for part in self.parts:
            if part.is_continuous:
                mean = self.mean[part.columns]
                low, high = (torch.as_tensor(bound, device=mean.device).reshape(-1) for bound in _bounds(part.space))
                farthest = torch.maximum(mean - low, high - mean)  # (width,), infinite if a bound is infinite
                least = torch.where(farthest.isfinite(), farthest / self.clip[part.columns], 0.0)
                self.std[part.columns] = torch.maximum(self.std[part.columns], least)

    def _observation_twin(self, part: Part) -> Part:
        twins = [other for other in self.parts if other.field == "observations" and other.key == part.key]
        return twins[0] if twins else part

    def forward(self, batch: Batch) -> Encoded:
        """Encode a batch; gradients flow through its tensors.

        Raises:
            ConfigurationError: the batch lacks an input field.
            IncompatibleSpaces: rows of the wrong shape, or values outside a discrete space.
        """
        features = self._raw(batch)
        if self._standardizes:
            features = torch.clamp((features - self.mean) / self.std, self._negative_clip, self.clip)
        if batch.absorbing is not None and "absorbing" in self.fields:
            features = torch.where(batch.absorbing.unsqueeze(1) != 0, self.absorbing_state, features)
        offset = torch.zeros_like(batch.dones) if batch.log_probs is None else batch.log_probs
        return Encoded(features, batch.dones, offset, self.returns_of(batch) if self.fields[-1] == "returns" else None)

    def returns_of(self, batch: Batch) -> Tensor:
        """Return the return samples of a batch, ``(batch, n_returns)``.

        Raises:
            ConfigurationError: the batch has no returns.
            IncompatibleSpaces: the wrong number of samples per row.
        """
        if batch.returns is None:
            raise ConfigurationError("the discriminator's inputs include 'returns', but the batch has none")
        returns = batch.returns.float().unsqueeze(1) if batch.returns.dim() == 1 else batch.returns.float()
        if returns.shape != (len(batch), self.n_returns):
            raise IncompatibleSpaces(
                f"returns: given shape {tuple(batch.returns.shape)} for {len(batch)} rows; "
                f"expected {self.n_returns} samples per row"
            )
        return returns

    def _raw(self, batch: Batch) -> Tensor:
        return torch.cat([_encode(_value(batch, part), part) for part in self.parts if part.field != "returns"], dim=1)


def representative(batch: Batch) -> Batch:
    """Return evenly spaced rows of a batch, at most about 260,000: enough for means and standard deviations."""
    return batch[:: -(-len(batch) // _REPRESENTATIVE_ROWS) or 1]


def contiguous(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Return the parts with their positions in a matrix that holds only them."""
    start, moved = 0, []
    for part in parts:
        moved.append(replace(part, start=start))
        start += part.width
    return tuple(moved)


def _checked_width(space: spaces.Space, field: str) -> int:
    if np.any(getattr(space, "start", 0)):
        raise IncompatibleSpaces(
            f"{field}: {space} does not start at 0, as Stable-Baselines3 requires; shift it with a wrapper"
        )
    is_grid = isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim != 1
    if is_grid or not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise IncompatibleSpaces(
            f"{field}: {space} cannot be encoded; use Box, Discrete, MultiDiscrete (of one axis), MultiBinary or, for "
            "observations, a Dict of them"
        )
    return get_flattened_obs_dim(space)


def _bounds(space: spaces.Space | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the float32 bounds of a Box; the largest float32 numbers count as infinite."""
    assert isinstance(space, spaces.Box)
    low, high = (np.asarray(bound, dtype=np.float64) for bound in (space.low, space.high))
    largest = np.finfo(np.float32).max
    low, high = np.where(low <= -largest, -np.inf, low), np.where(high >= largest, np.inf, high)
    return low.astype(np.float32), high.astype(np.float32)


def _value(batch: Batch, part: Part) -> Tensor:
    value: Observations | None = getattr(batch, part.field)
    if value is None and part.field == "absorbing":
        return torch.zeros_like(batch.dones)
    if value is None:
        raise ConfigurationError(f"the discriminator's inputs include {part.field!r}, but the batch has none")
    if part.key is not None:
        if not isinstance(value, dict) or part.key not in value:
            raise IncompatibleSpaces(f"{part.field}: the key {part.key!r} of the Dict space is missing")
        return value[part.key]
    if isinstance(value, dict):
        raise IncompatibleSpaces(f"{part.field}: given a dict; expected {part.space}")
    return value


def _encode(value: Tensor, part: Part) -> Tensor:
    """Encode one part, ``(batch, *shape) -> (batch, width)``."""
    shape = () if part.space is None else part.space.shape
    if shape == () and tuple(value.shape[1:]) == (1,):
        value = value.squeeze(1)  # SB3's buffers store Discrete actions in this shape
    if tuple(value.shape[1:]) != shape:
        raise IncompatibleSpaces(
            f"{part.field}: given rows of shape {tuple(value.shape[1:])}; expected {part.space or 'one number per row'}; "
            "check that the demonstrations belong to this environment"
        )
    if part.space is None:
        return value.float().unsqueeze(1)
    return _preprocess(value, part).float().reshape(value.shape[0], part.width)


def _preprocess(value: Tensor, part: Part) -> Tensor:
    """Preprocess as SB3 does: one-hot for discrete values, pixels divided by 255."""
    assert part.space is not None
    if part.is_as_given:
        return value
    try:
        encoded = preprocess_obs(value, part.space)
    except RuntimeError as error:
        if not isinstance(part.space, spaces.Discrete | spaces.MultiDiscrete):
            raise
        raise IncompatibleSpaces(
            f"{part.field}: values from {int(value.min())} to {int(value.max())} do not fit {part.space} ({error}); "
            "check that the demonstrations belong to this environment"
        ) from error
    assert isinstance(encoded, Tensor)
    return encoded
