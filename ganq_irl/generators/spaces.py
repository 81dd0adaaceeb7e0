"""Convert observations between the layouts of an environment, an SB3 policy, and a policy's normalizer."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecTransposeImage

from ganq_irl.spaces import in_layout_of as in_layout_of
from ganq_irl.types import Observations


def channels_first(space: spaces.Space) -> spaces.Space:
    """Return the space that SB3 passes to a policy, with transposed images."""
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: channels_first(value) for key, value in space.spaces.items()})
    if isinstance(space, spaces.Box) and is_image_space(space) and not is_image_space_channels_first(space):
        return VecTransposeImage.transpose_space(space)
    return space


def policy_observations(model: BaseAlgorithm, observations: Observations) -> Observations:
    """Convert raw observations to the model's policy input: normalized if its environment is wrapped in VecNormalize."""
    normalizer = model.get_vec_normalize_env()
    if normalizer is None:
        return observations
    if isinstance(observations, dict):
        arrays: Any = normalizer.normalize_obs({key: value.cpu().numpy() for key, value in observations.items()})
        return {key: torch.as_tensor(value, device=model.device) for key, value in arrays.items()}
    return torch.as_tensor(normalizer.normalize_obs(observations.cpu().numpy()), device=model.device)


def demonstrated_spaces(env: VecEnv) -> tuple[spaces.Space, spaces.Space]:
    """Return the spaces of demonstrations: those of the environment before SB3 transposed its images."""
    observation_space, layer = env.observation_space, env
    while isinstance(layer, VecEnvWrapper):
        if isinstance(layer, VecTransposeImage):
            observation_space = layer.venv.observation_space
        layer = layer.venv
    return observation_space, env.action_space
