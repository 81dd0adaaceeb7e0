import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize, VecTransposeImage

from ganq_irl.generators.observations import channels_first, demonstrated_spaces
from ganq_irl.spaces import in_layout_of
from tests.scripted import BOX, SpacesEnv, vec_env

IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
FIRST = spaces.Box(0, 255, (3, 36, 40), np.uint8)


def test_images_turn_channels_first_and_nothing_else_does():
    place = spaces.Box(-1, 1, (4, 5, 6), np.float32)
    assert channels_first(IMAGE) == FIRST
    assert channels_first(FIRST) == FIRST
    assert channels_first(place) == place
    assert channels_first(spaces.Dict(a=IMAGE, b=place)) == spaces.Dict(a=FIRST, b=place)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_observations_follow_the_space(kind):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 36, 40, 3), dtype=np.uint8)
    moved = in_layout_of(FIRST, kind(pixels))
    np.testing.assert_array_equal(np.asarray(moved), pixels.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(np.asarray(in_layout_of(FIRST, moved)), np.asarray(moved))  # already there
    both = in_layout_of(spaces.Dict(a=FIRST, b=BOX), {"a": kind(pixels), "b": kind(np.ones((2, 1)))})
    assert tuple(both["a"].shape) == (2, 3, 36, 40)
    assert tuple(both["b"].shape) == (2, 1)


def test_demonstrations_are_as_the_environment_gives_them():
    env = vec_env(SpacesEnv, observation_space=IMAGE, action_space=BOX)
    for wrapped in (env, VecTransposeImage(env), VecNormalize(VecTransposeImage(env), norm_obs=False)):
        assert demonstrated_spaces(wrapped) == (IMAGE, BOX)
    flat = vec_env(SpacesEnv, observation_space=spaces.Box(-1, 1, (2,), np.float32), action_space=BOX)
    assert demonstrated_spaces(VecFrameStack(flat, 3))[0].shape == (6,)  # what a stacking environment would record
