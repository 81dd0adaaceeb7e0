"""FastPPO against SB3's PPO from the same seed: what it does, what it stores, what it learns, and what it logs."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from ganq_irl.accelerated.ppo import FastPPO
from ganq_irl.accelerated.ppo.networks import ActorCritic, actor_modules
from ganq_irl.accelerated.ppo.update import Epoch, Minibatch, PPOLoss, Updater
from ganq_irl.generators.options import LinearSchedule
from tests.scripted import SpacesEnv, WalkEnv, flat, vec_env

BOX, DISCRETE = spaces.Box(-2.0, 2.0, (1,), np.float32), spaces.Discrete(3)
TOLERANCE = 1e-6


class Rollouts(BaseCallback):
    """Copies of each rollout, and of the parameters that collected it."""

    def __init__(self):
        super().__init__()
        self.buffers, self.parameters = [], []

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        self.parameters.append(flat(self.model.policy))

    def _on_rollout_end(self):
        names = ("observations", "actions", "rewards", "episode_starts", "values", "log_probs", "advantages", "returns")
        self.buffers.append({name: np.copy(getattr(self.model.rollout_buffer, name)) for name in names})


def build(cls, env, **options):
    small = {
        "n_steps": 256 // env.num_envs,
        "batch_size": 64,
        "n_epochs": 4,
        "gamma": 0.95,
        "learning_rate": 1e-3,
        "device": "cpu",
    }
    return cls("MlpPolicy", env, seed=0, **{**small, **options})


def walk_env(action_space, n_envs, normalized=False):
    """Episodes that terminate, that hit the time limit, and that a rollout's end cuts."""
    env = vec_env(WalkEnv, n_envs, action_space=action_space)
    return VecNormalize(env) if normalized else env


def both(make, rollouts=3, **options):
    """``(model, rollouts)`` of SB3's PPO and of ours, from the same seed on the same environments."""
    pair = []
    for cls in (PPO, FastPPO):
        env, seen = make(), Rollouts()
        model = build(cls, env, **options)
        model.learn(rollouts * model.n_steps * env.num_envs, callback=seen)
        pair.append((model, seen))
    assert pair[1][0].slow_reason is None
    return pair


def assert_equal_learning(pair):
    (theirs, their_rollouts), (ours, our_rollouts) = pair
    assert len(our_rollouts.buffers) == len(their_rollouts.buffers)
    for given, wanted in zip(our_rollouts.buffers, their_rollouts.buffers, strict=True):
        for name, array in wanted.items():
            np.testing.assert_allclose(given[name], array, rtol=1e-5, atol=1e-5, err_msg=name)
            assert given[name].dtype == array.dtype
    parameters = [[*seen.parameters, flat(model.policy)] for model, seen in pair]
    for wanted, given in zip(*parameters, strict=True):
        torch.testing.assert_close(given, wanted, rtol=0, atol=TOLERANCE)
    assert not torch.equal(flat(ours.policy), our_rollouts.parameters[0])
    assert ours._n_updates == theirs._n_updates


def assert_equal_logs(theirs, ours):
    given, wanted = ours.logger.name_to_value, theirs.logger.name_to_value
    assert list(given) == list(wanted)
    for key, value in wanted.items():
        if not key.startswith("time/"):
            assert given[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


@pytest.mark.parametrize(("action_space", "n_envs"), [(BOX, 8), (DISCRETE, 1)], ids=["box-8", "discrete-1"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target_kl": 0.003, "clip_range_vf": 0.1, "ent_coef": 0.02},
        {
            "learning_rate": LinearSchedule(2e-3),
            "clip_range": LinearSchedule(0.2, 0.02),
            "clip_range_vf": LinearSchedule(0.3, 0.1),
            "normalize_advantage": False,
            "max_grad_norm": 0.05,
            "vf_coef": 0.3,
            "gae_lambda": 0.8,
        },
    ],
    ids=["plain", "kl", "schedules"],
)
def test_parameters_after_several_seeded_updates_are_those_of_sb3(action_space, n_envs, options):
    pair = both(lambda: walk_env(action_space, n_envs), **options)
    assert_equal_learning(pair)
    assert_equal_logs(pair[0][0], pair[1][0])
    if "target_kl" in options:
        assert pair[1][0]._n_updates < 3 * 4, "the bound was never reached: nothing was tested"


def test_the_examples_above_meet_time_limits_and_terminations():
    (_, _), (model, seen) = both(lambda: walk_env(BOX, 8), rollouts=1)
    (_, _), (_, without) = both(lambda: walk_env(BOX, 8), rollouts=1, gamma=0.0)
    bootstraps = seen.buffers[0]["rewards"] - without.buffers[0]["rewards"]
    n_ends = int(seen.buffers[0]["episode_starts"][1:].sum())
    assert 0 < np.count_nonzero(bootstraps) < n_ends
    assert model.ep_info_buffer


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("batch_size", [48, 51, 85, 256, 300])
def test_truncated_minibatches(batch_size):
    """256 rows: 16 of them left, one left (which is not normalized), one left again, none, and fewer than one minibatch."""
    pair = both(lambda: walk_env(BOX, 2), rollouts=2, batch_size=batch_size)
    assert_equal_learning(pair)
    assert_equal_logs(pair[0][0], pair[1][0])


@pytest.mark.parametrize(
    "policy_kwargs",
    [
        {"activation_fn": nn.ReLU, "net_arch": [32]},
        {"activation_fn": nn.ELU, "net_arch": {"pi": [16, 16], "vf": [32]}},
        {"activation_fn": nn.LeakyReLU, "net_arch": [8, 8, 8], "share_features_extractor": False},
        {"net_arch": [], "log_std_init": -1.0},
        {"optimizer_class": torch.optim.SGD, "ortho_init": False},
        {"optimizer_class": torch.optim.AdamW, "optimizer_kwargs": {"weight_decay": 0.1, "eps": 1e-5}},
    ],
)
def test_networks_and_optimizers(policy_kwargs):
    assert_equal_learning(both(lambda: walk_env(BOX, 2), rollouts=2, policy_kwargs=policy_kwargs))


@pytest.mark.parametrize("action_space", [BOX, DISCRETE], ids=["box", "discrete"])
def test_under_vec_normalize(action_space):
    assert_equal_learning(both(lambda: walk_env(action_space, 2, normalized=True)))


@pytest.mark.parametrize(
    ("observation_space", "action_space"),
    [
        (spaces.Box(-1.0, 1.0, (2, 3), np.float64), spaces.Box(-1.0, 1.0, (2, 2), np.float32)),
        (spaces.Box(0, 9, (4,), np.int64), spaces.Box(-1.0, 1.0, (3,), np.float64)),
        (spaces.Box(-1.0, 1.0, (3,), np.float32), spaces.Discrete(7)),
    ],
)
def test_shapes_and_types_of_spaces(observation_space, action_space):
    assert_equal_learning(
        both(lambda: vec_env(SpacesEnv, 8, observation_space=observation_space, action_space=action_space))
    )


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_an_update_at_sb3_defaults(env_id):
    """320 steps of the optimizer. Later rollouts of Pendulum magnify rounding, also between SB3 with Adam and fused Adam."""
    assert_equal_learning(both(lambda: make_vec_env(env_id, 8, seed=0), rollouts=1, n_steps=256, n_epochs=10))


@pytest.mark.parametrize("n_envs", [1, 2, 9, 16])
@pytest.mark.parametrize(
    "action_space", [spaces.Box(-1, 1, (n,)) for n in (1, 3, 17)] + [spaces.Discrete(n) for n in (2, 19)]
)
def test_actions_are_sb3s_bit_for_bit_and_so_is_the_random_state_left(action_space, n_envs):
    env = vec_env(SpacesEnv, 1, observation_space=spaces.Box(-1, 1, (5,)), action_space=action_space)
    policy = build(FastPPO, env).policy
    torch.manual_seed(0)
    for module in actor_modules(policy):
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    observations = torch.randn(n_envs, 5)
    torch.manual_seed(1)
    with torch.no_grad():
        expected, state = policy(observations)[0], torch.get_rng_state()
        torch.manual_seed(1)
        network = ActorCritic(policy)
        given = network.head.sample(network.actor(observations))
    assert torch.equal(given.reshape(expected.shape), expected)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("clip_range_vf", [None, 0.3])
@pytest.mark.parametrize("action_space", [spaces.Box(-1, 1, (3,)), spaces.Discrete(4)], ids=["box", "discrete"])
@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU, nn.ELU, nn.LeakyReLU])
def test_the_gradient_is_autograds(action_space, activation, clip_range_vf):
    """In double precision, so that rounding hides nothing; old log-probabilities far off, so that ratios are clipped."""
    env = vec_env(SpacesEnv, 1, observation_space=spaces.Box(-1, 1, (5,)), action_space=action_space)
    policy = build(FastPPO, env, policy_kwargs={"activation_fn": activation, "net_arch": [7, 6]}).policy.double()
    torch.manual_seed(0)
    for parameter in policy.parameters():
        nn.init.normal_(parameter, std=0.7)
    n, loss = 40, PPOLoss(clip_range=0.2, clip_range_vf=clip_range_vf, ent_coef=0.3, vf_coef=0.6)
    is_discrete = isinstance(action_space, spaces.Discrete)
    actions = (torch.randint(4, (n, 1)) if is_discrete else torch.randn(n, 3)).double()
    observations, advantages, returns = (torch.randn(shape).double() for shape in ((n, 5), n, n))
    mlp, latent = policy.mlp_extractor(observations)
    distribution = policy._get_action_dist_from_latent(mlp)
    log_prob = distribution.log_prob(actions.flatten() if is_discrete else actions)
    values = policy.value_net(latent).flatten()
    old_log_prob, old_values = ((x + 0.3 * torch.randn(n)).detach() for x in (log_prob, values))

    ratio = torch.exp(log_prob - old_log_prob)
    policy_loss = -torch.min(advantages * ratio, advantages * ratio.clamp(0.8, 1.2)).mean()
    moved = values - old_values
    predicted = values if clip_range_vf is None else old_values + moved.clamp(-clip_range_vf, clip_range_vf)
    total = policy_loss - 0.3 * distribution.entropy().mean() + 0.6 * nn.functional.mse_loss(returns, predicted)
    expected = torch.autograd.grad(total, list(policy.parameters()))
    assert 0 < ((ratio - 1).abs() > 0.2).sum() < n
    assert clip_range_vf is None or 0 < (moved.abs() > clip_range_vf).sum() < n

    empty = [torch.empty(n, dtype=torch.double) for _ in range(3)]
    batch = Minibatch(observations, actions, old_values, old_log_prob, advantages, returns, *empty)
    policy.optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    with torch.no_grad():
        updater = Updater(policy, loss, max_grad_norm=1e9)
        updater.evaluate(batch)
        updater.step(batch)
    for parameter, wanted in zip(policy.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-9, atol=1e-12)
    epoch = Epoch(batch, n)
    epoch.n_seen = n
    assert loss.total(epoch.metrics(loss)) == pytest.approx(total.item())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("action_space", [BOX, DISCRETE], ids=["box", "discrete"])
def test_on_a_gpu(action_space):
    (theirs, _), (ours, _) = both(lambda: walk_env(action_space, 8), rollouts=1, device="cuda")
    torch.testing.assert_close(flat(ours.policy), flat(theirs.policy), rtol=0, atol=1e-5)


def test_equal_seeds_give_equal_parameters_and_others_do_not():
    def learned(seed):
        model = FastPPO("MlpPolicy", gym.make("CartPole-v1"), n_steps=64, n_epochs=2, seed=seed, device="cpu").learn(128)
        return flat(model.policy)

    assert torch.equal(learned(1), learned(1))
    assert not torch.equal(learned(1), learned(2))
