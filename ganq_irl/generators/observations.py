"""Convert observations between the layouts of an environment, an SB3 policy, and VecNormalize's statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, VecTransposeImage
from torch import Tensor

from ganq_irl.rewards.wrappers import layers_of
from ganq_irl.types import Observations

Observation = np.ndarray | dict[str, np.ndarray]


def channels_first(space: spaces.Space) -> spaces.Space:
    """Return the space that SB3 passes to a policy, with transposed images."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: channels_first(value) for key, value in space.spaces.items()})
    if isinstance(space, spaces.Box) and is_image_space(space) and not is_image_space_channels_first(space):
        return VecTransposeImage.transpose_space(space)
    return space


def demonstrated_spaces(env: VecEnv) -> tuple[spaces.Space, spaces.Space]:
    """Return the spaces of demonstrations: those of the environment before SB3 transposed its images."""
    innermost = [layer.venv for layer in layers_of(env) if isinstance(layer, VecTransposeImage)][-1:]
    return (innermost or [env])[0].observation_space, env.action_space


def normalized(env: Any, observations: Observations) -> Observations:
    """Normalize observations with the current statistics of a ``VecNormalize``; do nothing if ``env`` is None."""
    if env is None:
        return observations
    if isinstance(observations, dict):
        arrays = env.normalize_obs({key: value.cpu().numpy() for key, value in observations.items()})
        return {key: torch.as_tensor(value, device=observations[key].device) for key, value in arrays.items()}
    return torch.as_tensor(env.normalize_obs(observations.cpu().numpy()), device=observations.device)


@dataclass(frozen=True)
class ObservationNormalizer:
    """VecNormalize's normalization with frozen statistics: ``clip((x - mean) / sqrt(var + epsilon), -clip, clip)``.

    Attributes:
        mean: running mean for each key of a Dict space, or under the key "" for other spaces.
        var: running variance, likewise.
        epsilon: added to the variance.
        clip: bound of the result.
    """

    mean: dict[str, np.ndarray]
    var: dict[str, np.ndarray]
    epsilon: float
    clip: float

    def __call__(self, observation: Observation) -> Observation:
        """Return the normalized observation as float32; keys without statistics are unchanged."""
        if isinstance(observation, dict):
            return {key: self._normalize(key, value) if key in self.mean else value for key, value in observation.items()}
        return self._normalize("", observation)

    def _normalize(self, key: str, value: np.ndarray) -> np.ndarray:
        scaled = (value - self.mean[key]) / np.sqrt(self.var[key] + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def normalizer_of(env: VecNormalize | None) -> ObservationNormalizer | None:
    """Copy an environment's statistics; None if it does not normalize observations."""
    if env is None or not env.norm_obs:
        return None
    statistics = env.obs_rms if isinstance(env.obs_rms, dict) else {"": env.obs_rms}
    return ObservationNormalizer(
        mean={key: np.array(value.mean) for key, value in statistics.items()},
        var={key: np.array(value.var) for key, value in statistics.items()},
        epsilon=float(env.epsilon),
        clip=float(env.clip_obs),
    )


def build_normalizer(config: dict[str, Any] | None, tensors: dict[str, Tensor]) -> ObservationNormalizer | None:
    """Build a normalizer from a stored policy's JSON and tensors."""
    if config is None:
        return None
    mean, var = ({key: tensors[f"normalizer.{name}.{key}"].numpy() for key in config["keys"]} for name in ("mean", "var"))
    return ObservationNormalizer(mean, var, float(config["epsilon"]), float(config["clip"]))
