"""Every kind of observation and action that SB3's policies take."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize, VecTransposeImage, is_vecenv_wrapped

from ganq_irl.discriminator import Encoded
from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.types import Batch
from tests.scripted import BOX, SpacesEnv, demonstrations, generator, imitator, vec_env

VECTOR = spaces.Box(-1, 1, (2,), np.float32)
IMAGE = spaces.Box(0, 255, (36, 40, 3), np.uint8)
OBSERVATION_SPACES = {
    "vector": VECTOR,
    "float64": spaces.Box(-1, 1, (2,), np.float64),
    "grid": spaces.Box(-1, 1, (2, 3), np.float32),
    "discrete": spaces.Discrete(4),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "multi-binary": spaces.MultiBinary(3),
    "dict": spaces.Dict(place=VECTOR, goal=spaces.Discrete(3)),
    "image": IMAGE,
    "dict-image": spaces.Dict(pixels=IMAGE, place=VECTOR),
}
ACTION_SPACES = {
    "box": BOX,
    "grid": spaces.Box(-1, 1, (2, 2), np.float32),
    "discrete": spaces.Discrete(3),
    "multi-discrete": spaces.MultiDiscrete([2, 3]),
    "multi-binary": spaces.MultiBinary(2),
}
BOTH = pytest.mark.parametrize("algorithm", ["gail", "airl"])


def learned(algorithm, name, observation_space, action_space, wrap=lambda env: env, **options):
    env = wrap(vec_env(SpacesEnv, observation_space=observation_space, action_space=action_space))
    small = {"n_steps": 16, "batch_size": 16, "n_epochs": 1} if name == "ppo" else {"buffer_size": 80}
    demos = demonstrations(SpacesEnv(observation_space, action_space))
    run = imitator(algorithm, generator(name, env, **small), demos, **options).learn(40 if name == "ppo" else 60)
    assert run.learner.n_updates
    assert torch.isfinite(run.price(run._demonstrations)).all()
    return run


@BOTH
@pytest.mark.parametrize("kind", OBSERVATION_SPACES)
def test_observations_on_policy(algorithm, kind):
    """Dict observations met an empty AssertionError in imitation's GAIL."""
    run = learned(algorithm, "ppo", OBSERVATION_SPACES[kind], spaces.Discrete(3))
    # Images are not encoded before they are drawn: a rollout of them would take four times the memory.
    assert isinstance(run._pool(run._demonstrations[:16]), Batch if "image" in kind else Encoded)


@BOTH
@pytest.mark.parametrize("kind", ["discrete", "dict", "image", "dict-image"])
def test_observations_off_policy(algorithm, kind):
    """AIRL with DQN met a TypeError in imitation."""
    learned(algorithm, "dqn", OBSERVATION_SPACES[kind], spaces.Discrete(3))


@BOTH
@pytest.mark.parametrize("kind", ACTION_SPACES)
def test_actions_on_policy(algorithm, kind):
    learned(algorithm, "ppo", VECTOR, ACTION_SPACES[kind])


@BOTH
@pytest.mark.parametrize("kind", ["box", "grid"])
def test_actions_off_policy(algorithm, kind):
    learned(algorithm, "sac", VECTOR, ACTION_SPACES[kind])


@BOTH
def test_a_dict_under_vec_normalize(algorithm):
    """SB3 transposes images around VecNormalize on-policy; off-policy its own buffer wants it the other way round."""

    def normalized(env):
        return VecNormalize(env, norm_reward=False, norm_obs_keys=["place"])

    space = OBSERVATION_SPACES["dict-image"]
    learned(algorithm, "ppo", space, spaces.Discrete(3), normalized)
    learned(algorithm, "dqn", space, spaces.Discrete(3), lambda env: normalized(VecTransposeImage(env)))
    with pytest.raises(UnsupportedGenerator, match=r"VecNormalize\(VecTransposeImage\(env\)\)"):
        learned(algorithm, "dqn", space, spaces.Discrete(3), normalized)


def test_images_are_transposed_for_policy_and_discriminator_and_not_for_the_user():
    run = learned("gail", "ppo", IMAGE, spaces.Discrete(3))
    assert is_vecenv_wrapped(run.generator.get_env(), VecTransposeImage)
    recorded = demonstrations(SpacesEnv(IMAGE, spaces.Discrete(3)))
    expected = np.concatenate([episode.observations[:-1] for episode in recorded]).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(run._demonstrations.observations.numpy(), expected)
    reward = run.recovered_reward()
    assert reward.observation_space.shape == (3, 36, 40)
    assert reward.reward(expected, np.zeros(len(expected), int), expected, np.zeros(len(expected))).shape == (len(expected),)


@pytest.mark.parametrize(
    "inputs", [("observations",), ("observations", "next_observations"), ("observations", "actions", "next_observations")]
)
def test_gail_scores_what_it_is_told_to(inputs):
    run = learned("gail", "ppo", VECTOR, BOX, inputs=inputs)
    rows = run._demonstrations
    for field in ("observations", "actions", "next_observations"):
        assert torch.equal(run.price(negated(rows, field)), run.price(rows)) == (field not in inputs)


@pytest.mark.parametrize("reward_inputs", [("observations",), ("observations", "actions")])
def test_airl_recovers_a_reward_of_what_it_is_told_to(reward_inputs):
    run = learned("airl", "ppo", VECTOR, BOX, reward_inputs=reward_inputs)
    reward, rows = run.recovered_reward(), run._demonstrations
    for field in ("observations", "actions", "next_observations"):
        assert torch.equal(reward.price(negated(rows, field)), reward.price(rows)) == (field not in reward_inputs)


def negated(batch, field):
    return replace(batch, **{field: -getattr(batch, field)})
