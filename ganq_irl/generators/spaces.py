"""Convert observations between the layouts of an environment, an SB3 policy, and a policy's normalizer."""

from __future__ import annotations

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage

from ganq_irl.rewards.wrappers import layers_of
from ganq_irl.spaces import in_layout_of as in_layout_of


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
