"""Choose the features extractor for an observation space; and an extractor for spaces that Stable-Baselines3's refuse."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from ganq_irl.discriminator.inputs import SMALLEST_IMAGE
from ganq_irl.spaces import has_scalars


class LeavesExtractor(BaseFeaturesExtractor):
    """Features of a Box of shape ``()``, or of a Dict that Stable-Baselines3's CombinedExtractor does not support.

    Images of at least 36 x 36 pixels go through NatureCNN, everything else is flattened, and the results are concatenated in
    the order of the keys. Scalars, smaller images and all keys are supported. CombinedExtractor uses the keys as names of
    torch modules, so it fails for "images.top" and "type".

    Args:
        observation_space: a Dict of spaces that Stable-Baselines3 can preprocess, or a single space.
        cnn_output_dim: number of features per image.
        normalized_image: whether every Box with three axes is an image, whatever its dtype and bounds.

    Example:
        >>> extractor = LeavesExtractor(spaces.Dict({"images.top": spaces.Box(0, 1, (3,)), "type": spaces.Box(0, 1, (2,))}))
        >>> extractor.features_dim
        5
    """

    def __init__(self, observation_space: spaces.Space, cnn_output_dim: int = 256, normalized_image: bool = False) -> None:
        leaves = observation_space.spaces if isinstance(observation_space, spaces.Dict) else {None: observation_space}
        images = {key: leaf for key, leaf in leaves.items() if is_cnn_image(leaf, normalized_image)}
        flat = sum(get_flattened_obs_dim(leaf) for key, leaf in leaves.items() if key not in images)
        super().__init__(observation_space, int(flat) + cnn_output_dim * len(images))
        self._cnn_of = {key: number for number, key in enumerate(images)}
        self.cnns = nn.ModuleList(NatureCNN(leaf, cnn_output_dim, normalized_image) for leaf in images.values())

    def forward(self, observations: PyTorchObs) -> Tensor:
        """Map ``(batch, *shape)``, or a dict of such tensors, to ``(batch, features_dim)``."""
        if isinstance(observations, Tensor):
            return self._read(None, observations)
        space = self._observation_space
        assert isinstance(space, spaces.Dict)
        return torch.cat([self._read(key, observations[key]) for key in space.spaces], dim=1)

    def _read(self, key: str | None, values: Tensor) -> Tensor:
        number = self._cnn_of.get(key)
        return values.reshape(len(values), -1) if number is None else self.cnns[number](values)


def default_extractor(observation_space: spaces.Space, normalize_images: bool = True) -> type[BaseFeaturesExtractor]:
    """Return the features extractor for an observation space.

    It is NatureCNN for images, CombinedExtractor for Dict, and FlattenExtractor otherwise, as in Stable-Baselines3's
    policies, or ``LeavesExtractor`` where these fail.

    Args:
        observation_space: observation space of a policy, with channels-first images.
        normalize_images: setting of the policy; if it is False, every Box with three axes is an image.

    Example:
        >>> default_extractor(env.observation_space).__name__
        'FlattenExtractor'
    """
    if needs_leaves_extractor(observation_space):
        return LeavesExtractor
    if isinstance(observation_space, spaces.Dict):
        return CombinedExtractor
    return NatureCNN if is_cnn_image(observation_space, not normalize_images) else FlattenExtractor


def why_unreadable(extractor: Any, observation_space: spaces.Space, normalize_images: bool = True) -> str | None:
    """Return why one of Stable-Baselines3's extractors fails at a policy's observation space, or None if it does not.

    Args:
        extractor: a class, subclasses of SB3's excepted, which may read anything.
        observation_space: of a policy, images channels first.
        normalize_images: as the policy has it.
    """
    is_dict = isinstance(observation_space, spaces.Dict)
    reads = {
        NatureCNN: (
            is_cnn_image(observation_space, not normalize_images),
            f"{'uint8 ' * normalize_images}images of at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels",
        ),
        FlattenExtractor: (not is_dict, "observations other than a Dict"),
        CombinedExtractor: (
            is_dict and not needs_leaves_extractor(observation_space),
            "Dict observations without scalars, smaller images and dotted keys",
        ),
    }
    readable, what = reads.get(extractor, (True, ""))
    shown = " ".join(str(observation_space).split())
    return None if readable else f"its {extractor.__name__} reads {what}, and the observations are {shown}"


def needs_leaves_extractor(observation_space: spaces.Space) -> bool:
    """Return whether Stable-Baselines3's own extractors fail for a policy's observation space."""
    if has_scalars(observation_space):
        return True
    leaves = observation_space.spaces if isinstance(observation_space, spaces.Dict) else {}
    return any(_is_refused(key, leaf) for key, leaf in leaves.items())


def _is_refused(key: str, leaf: spaces.Space) -> bool:
    is_name = bool(key) and "." not in key and not hasattr(nn.ModuleDict(), key)
    return not is_name or (is_image_space(leaf) and not is_cnn_image(leaf))


def is_cnn_image(space: spaces.Space, normalized_image: bool = False) -> bool:
    """Return whether NatureCNN supports a policy's observation space: an image, channels first, at least 36 x 36 pixels."""
    if not is_image_space(space, normalized_image=normalized_image):
        return False
    assert space.shape is not None
    return min(space.shape[1:]) >= SMALLEST_IMAGE
