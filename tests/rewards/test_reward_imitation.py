import numpy as np
import pytest
import torch
from gymnasium import spaces
from imitation.rewards.reward_nets import BasicRewardNet

from ganq_irl.discriminator import STATE_ACTION, Discriminator, InputEncoder
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.rewards import Coverage, RewardModel, VecRewardWrapper, epic_distance, rewards_of
from ganq_irl.rewards.imitation import from_imitation, to_imitation
from tests.scripted import BOX, WalkEnv, generator, vec_env
from tests.toys import ACTIONS, OBSERVATIONS, toy_batch, toy_discriminator


def rows(n=10):
    batch = toy_batch(n)
    return [value.numpy() for value in (batch.observations, batch.actions, batch.next_observations, batch.dones)]


@pytest.mark.parametrize(("kind", "form"), [("plain", "logit"), ("shaped", "f"), ("shaped", "g")])
def test_a_model_as_a_net_prices_the_same(kind, form):
    model = RewardModel(toy_discriminator(kind), form)
    net = to_imitation(model)
    np.testing.assert_array_equal(net.predict(*rows()), model.reward(*rows()))
    np.testing.assert_array_equal(net.predict_processed(*rows()), model.reward(*rows()))
    np.testing.assert_array_equal(from_imitation(net).reward(*rows()), model.reward(*rows()))
    assert net.device == model.device


def test_imitations_own_wrapper_pays_it():
    from imitation.rewards.reward_wrapper import RewardVecEnvWrapper

    model = RewardModel(Discriminator(InputEncoder(WalkEnv().observation_space, BOX, STATE_ACTION), (8,)), "logit")
    theirs = RewardVecEnvWrapper(vec_env(WalkEnv), to_imitation(model).predict_processed)
    ours = VecRewardWrapper(vec_env(WalkEnv), model)
    for venv in (theirs, ours):
        venv.seed(0)  # theirs was reset as it was made
        venv.reset()
    for _ in range(5):
        actions = np.full((2, 1), 0.3, np.float32)
        np.testing.assert_allclose(ours.step(actions)[1], theirs.step(actions)[1], rtol=1e-6)


def test_a_net_is_read_as_a_reward():
    torch.manual_seed(0)
    net = BasicRewardNet(OBSERVATIONS, ACTIONS, use_next_state=True, use_done=True)
    reward = from_imitation(net)
    arrays = reward.reward(*rows())
    np.testing.assert_allclose(arrays, net.predict(*rows()), rtol=1e-6)
    assert arrays.shape == (10,)
    tensors = reward.reward(*map(torch.as_tensor, rows()))
    assert isinstance(tensors, torch.Tensor)
    np.testing.assert_array_equal(tensors.numpy(), arrays)
    np.testing.assert_array_equal(rewards_of(reward, toy_batch(10)), arrays.astype(float))
    coverage = Coverage.sampled(toy_batch(50), np.random.default_rng(0), n_canonical=8)
    assert epic_distance(reward, reward, coverage, 0.9) == pytest.approx(0, abs=1e-6)
    assert epic_distance(reward, RewardModel(toy_discriminator(), "logit"), coverage, 0.9) > 0.1


def test_a_generator_learns_on_a_net():
    net = BasicRewardNet(WalkEnv().observation_space, BOX)
    model = generator("ppo", VecRewardWrapper(vec_env(WalkEnv), from_imitation(net)))
    model.learn(64)
    assert model.num_timesteps == 64


def test_what_cannot_be_adapted_is_refused():
    space = spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float32))
    model = RewardModel(Discriminator(InputEncoder(space, ACTIONS, STATE_ACTION), (4,)), "logit")
    with pytest.raises(IncompatibleSpaces, match="does not support Dict observations"):
        to_imitation(model)
    with pytest.raises(ConfigurationError, match="expected one of imitation's RewardNets"):
        from_imitation(model)
