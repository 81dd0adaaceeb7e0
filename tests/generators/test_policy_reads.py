"""A policy that cannot read the observations is refused in a sentence, from the factory and from GAN-Q's constructors."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.factory import GENERATORS, build_generator, generator_class, policy_classes
from ganq_irl.networks.extractors import LeavesExtractor, why_unreadable
from ganq_irl.space_matrix import TRAITS
from tests.scripted import SpacesEnv, vec_env

VECTOR = spaces.Box(-1, 1, (3,), np.float32)
SMALL = spaces.Box(0, 255, (7, 7, 3), np.uint8)
IMAGE = spaces.Box(0, 255, (3, 36, 40), np.uint8)
FLOATS = spaces.Box(0, 1, (3, 36, 40), np.float32)
ONE_SENTENCE = r"^\w+: its {} reads [^.]*, and the observations are .*; use {}$"


def env_for(name, observation_space):
    actions = VECTOR if TRAITS[name].acts_in == (spaces.Box,) else spaces.Discrete(3)
    return vec_env(SpacesEnv, observation_space=observation_space, action_space=actions)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_cnn_for_images_that_are_too_small(name):
    if "CnnPolicy" not in policy_classes(name):
        pytest.skip("it has no policy for images")
    with pytest.raises(ConfigurationError, match=ONE_SENTENCE.format("NatureCNN", "MlpPolicy")):
        build_generator(name, env_for(name, SMALL), device="cpu", policy="CnnPolicy")


@pytest.mark.parametrize("name", ["ppo", "gan-q-continuous"])
@pytest.mark.parametrize(
    ("policy", "observation_space", "extractor", "instead"),
    [
        ("CnnPolicy", VECTOR, "NatureCNN", "MlpPolicy"),
        ("CnnPolicy", spaces.Dict(a=VECTOR), "NatureCNN", "MultiInputPolicy"),
        ("MlpPolicy", spaces.Dict(a=VECTOR), "FlattenExtractor", "MultiInputPolicy"),
    ],
)
def test_a_policy_for_other_observations(name, policy, observation_space, extractor, instead):
    with pytest.raises(ConfigurationError, match=ONE_SENTENCE.format(extractor, instead)):
        build_generator(name, env_for(name, observation_space), device="cpu", policy=policy)


def test_an_extractor_that_was_asked_for_is_to_be_left_out():
    options = {"policy_kwargs": {"features_extractor_class": "NatureCNN"}}
    with pytest.raises(ConfigurationError, match=r"; use MlpPolicy without features_extractor_class$"):
        build_generator("ppo", env_for("ppo", SMALL), device="cpu", **options)


@pytest.mark.parametrize("name", ["gan-q", "gan-q-continuous"])
def test_gan_q_says_it_from_python_as_well(name):
    with pytest.raises(ConfigurationError, match=ONE_SENTENCE.format("NatureCNN", "MlpPolicy")):
        generator_class(name)("CnnPolicy", env_for(name, SMALL), device="cpu", buffer_size=64)


@pytest.mark.parametrize("name", ["gan-q", "gan-q-continuous"])
def test_gan_q_reads_small_images_of_a_dict(name):
    env = env_for(name, spaces.Dict(picture=SMALL))
    model = generator_class(name)("MultiInputPolicy", env, device="cpu", buffer_size=64, learning_starts=10)
    model.learn(32)
    assert len(model.predict(env.reset())[0]) == env.num_envs


@pytest.mark.parametrize(
    ("extractor", "observation_space", "normalize_images", "is_readable"),
    [
        (NatureCNN, IMAGE, True, True),
        (NatureCNN, FLOATS, True, False),
        (NatureCNN, FLOATS, False, True),
        (FlattenExtractor, SMALL, True, True),
        (CombinedExtractor, spaces.Dict(a=IMAGE), True, True),
        (CombinedExtractor, spaces.Dict(a=SMALL), True, False),
        (CombinedExtractor, VECTOR, True, False),
        (LeavesExtractor, spaces.Dict({"a.b": SMALL}), True, True),
        (type("Own", (NatureCNN,), {}), SMALL, True, True),
        (None, VECTOR, True, True),
    ],
)
def test_what_each_extractor_reads(extractor, observation_space, normalize_images, is_readable):
    assert (why_unreadable(extractor, observation_space, normalize_images) is None) == is_readable
