"""log π(a|s) against SB3's own, against numerical integration, and against closed forms."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.generators.policies.outputs import has_log_prob, log_probs
from ganq_irl.space_matrix import TRAITS
from ganq_irl.types import Batch
from tests.scripted import (
    DISCRETE,
    HAS_CROSSQ,
    HAVE_NO_LOG_PROB,
    OFF_POLICY,
    ON_POLICY,
    SpacesEnv,
    flat,
    generator,
    global_random_state,
    vec_env,
    walk,
)

LOPSIDED = spaces.Box(np.array([-1.0], np.float32), np.array([5.0], np.float32))
BOX3 = spaces.Box(-1, 1, (3,), np.float32)


def batch_of(observations, actions):
    return Batch(observations, actions, observations, torch.zeros(len(actions)))


def model_for(name, action_space, observation_space=BOX3, **options):
    env = vec_env(SpacesEnv, observation_space=observation_space, action_space=action_space)
    return generator(name, env, **options)


def sampled(space, n=10):
    space.seed(0)
    return torch.as_tensor(np.stack([space.sample() for _ in range(n)]))


@pytest.mark.parametrize(
    "action_space",
    [spaces.Box(-2, 2, (2,), np.float32), spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)],
    ids=lambda space: type(space).__name__,
)
@pytest.mark.parametrize("name", ON_POLICY)
def test_actor_critic_policies_say_what_sb3_says(name, action_space):
    model = model_for(name, action_space)
    observations, actions = sampled(BOX3), sampled(action_space)
    as_float = actions if isinstance(action_space, spaces.Discrete) else actions.float()
    with torch.no_grad():
        expected = model.policy.evaluate_actions(observations, as_float)[1]
    given = log_probs(model, batch_of(observations, actions))
    assert given.shape == (10,)
    torch.testing.assert_close(given, expected)


def test_a_box_of_two_axes_is_one_action():
    space = spaces.Box(-1, 1, (2, 2), np.float32)
    model = model_for("ppo", space)
    observations, actions = sampled(BOX3), sampled(space)
    with torch.no_grad():
        expected = model.policy.evaluate_actions(observations, actions.reshape(10, 4))[1]
    torch.testing.assert_close(log_probs(model, batch_of(observations, actions)), expected)


def test_clipped_actions_have_the_density_at_the_bound():
    """Not of the unclipped sample, whose log-density falls without end outside the bounds."""
    model = model_for("ppo", LOPSIDED)
    observations = sampled(BOX3, 1)
    with torch.no_grad():
        distribution = model.policy.get_distribution(observations).distribution
        expected = distribution.log_prob(torch.tensor([[5.0]])).item()
    assert log_probs(model, batch_of(observations, torch.tensor([[5.0]]))).item() == pytest.approx(expected)


def test_sacs_density_is_its_actors():
    """SB3's actor gives log π with its sample, in scaled units: here less log((5 - -1) / 2)."""
    model = model_for("sac", LOPSIDED)
    observations = sampled(BOX3, 50)
    with torch.no_grad():
        scaled, expected = model.actor.action_log_prob(observations)
    executed = torch.as_tensor(model.policy.unscale_action(scaled.numpy()))
    given = log_probs(model, batch_of(observations, executed))
    torch.testing.assert_close(given, expected - np.log(3.0), atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("name", ["sac", "tqc", *(["crossq"] if HAS_CROSSQ else []), "ppo-squashed"])
def test_a_squashed_density_integrates_to_one_over_the_action_box(name):
    squashed = {"use_sde": True, "policy_kwargs": {"net_arch": [8], "squash_output": True}}
    model = model_for("ppo", LOPSIDED, **squashed) if name == "ppo-squashed" else model_for(name, LOPSIDED)
    grid = torch.linspace(-1, 5, 40_001)[1:-1].unsqueeze(1)
    for observation in sampled(BOX3, 3):
        density = log_probs(model, batch_of(observation.expand(len(grid), 3), grid)).exp()
        assert torch.trapezoid(density, grid.flatten()).item() == pytest.approx(1, abs=2e-3)


@pytest.mark.skipif(not HAS_CROSSQ, reason="sb3-contrib before 2.4")
def test_batch_statistics_play_no_part():
    """CrossQ samples its replay, and AIRL prices what is sampled, while batch renormalization is in training mode."""
    model = model_for("crossq", LOPSIDED)
    model.policy.set_training_mode(True)
    model.actor.set_bn_training_mode(False)
    before, modes = flat(model.policy), [module.training for module in model.policy.modules()]
    rows = batch_of(sampled(BOX3), sampled(LOPSIDED))
    together, alone = log_probs(model, rows), log_probs(model, rows[:1])
    torch.testing.assert_close(together[:1], alone)
    assert torch.equal(flat(model.policy), before)
    assert [module.training for module in model.policy.modules()] == modes


def test_a_gaussian_density_integrates_to_one_in_the_environments_units():
    model = model_for("ppo", LOPSIDED)
    grid = torch.linspace(-8, 8, 4001).unsqueeze(1)
    density = log_probs(model, batch_of(sampled(BOX3, 1).expand(len(grid), 3), grid)).exp()
    assert torch.trapezoid(density, grid.flatten()).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
@pytest.mark.parametrize("name", DISCRETE)
def test_value_learners_get_the_boltzmann_policy(name, temperature):
    model = model_for(name, spaces.Discrete(3))
    observations = sampled(BOX3)
    with torch.no_grad():
        networks = {"dqn": "q_net", "qrdqn": "quantile_net", "gan-q": "q_net_average"}
        q = getattr(model, networks[name])(observations)
        q = q.mean(dim=1) if name == "qrdqn" else q
    expected = torch.exp(q / temperature) / torch.exp(q / temperature).sum(1, keepdim=True)
    for action in range(3):
        given = log_probs(model, batch_of(observations, torch.full((10,), action)), temperature)
        torch.testing.assert_close(given.exp(), expected[:, action])


@pytest.mark.parametrize("name", ["ppo", "sac", "dqn"])
def test_raw_observations_are_normalized_as_the_policy_was_taught(name):
    env = VecNormalize(walk(name), norm_reward=False)
    model = generator(name, env)
    model.learn(64)
    raw = torch.tensor([[2.0, -0.5], [0.1, 0.3]])
    actions = torch.tensor([0, 2]) if name == "dqn" else torch.tensor([[0.5], [-1.0]])
    given = log_probs(model, batch_of(raw, actions))
    normalized = torch.as_tensor(env.normalize_obs(raw.numpy()))
    model._vec_normalize_env = None
    torch.testing.assert_close(given, log_probs(model, batch_of(normalized, actions)))
    assert not torch.allclose(given, log_probs(model, batch_of(raw, actions)))


@pytest.mark.parametrize(
    "observation_space",
    [
        spaces.Discrete(4),
        spaces.Box(-1, 1, (2,), np.float64),
        spaces.Box(0, 255, (3, 36, 36), np.uint8),
        spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float64), b=spaces.Discrete(3)),
    ],
    ids=["discrete", "float64", "image", "dict"],
)
@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_every_kind_of_observation(name, observation_space):
    model = model_for(name, spaces.Discrete(2), observation_space, **({} if name == "ppo" else {"buffer_size": 20}))
    observation_space.seed(0)
    samples = [observation_space.sample() for _ in range(4)]
    if isinstance(observation_space, spaces.Dict):
        observations = {key: torch.as_tensor(np.stack([sample[key] for sample in samples])) for key in samples[0]}
    else:
        observations = torch.as_tensor(np.stack(samples))
    both = [log_probs(model, batch_of(observations, torch.full((4,), action))) for action in (0, 1)]
    torch.testing.assert_close(both[0].exp() + both[1].exp(), torch.ones(4))


@pytest.mark.parametrize("name", [*ON_POLICY, *OFF_POLICY])
def test_deterministic_policies_have_none(name):
    assert has_log_prob(generator(name)) == (name not in HAVE_NO_LOG_PROB) == TRAITS[name].has_log_prob


def test_no_gradient_and_no_random_number():
    model = generator("sac")
    state = global_random_state()
    given = log_probs(model, batch_of(torch.zeros(2, 2), torch.zeros(2, 1)))
    assert not given.requires_grad
    assert global_random_state() == state
