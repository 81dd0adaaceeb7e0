"""GAN-Q for continuous actions: what TD3 keeps, what the adversaries add, and that it learns."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch.nn.functional import smooth_l1_loss
from torch.nn.utils import parameters_to_vector

from ganq_irl.algorithms.ganq import ContinuousGANQ
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, TrainingDiverged
from ganq_irl.networks.return_noise import noise_grid
from ganq_irl.networks.twin_return_models import samples_of_smallest_mean

BEST = -1.1
BOX = spaces.Box(-np.inf, np.inf, (2,))
KINDS = {
    "MlpPolicy": BOX,
    "CnnPolicy": spaces.Box(0, 255, (3, 36, 36), np.uint8),
    "MultiInputPolicy": spaces.Dict({"a": BOX, "b": spaces.Discrete(3)}),
}


class Bandit(gym.Env):
    """One step an episode: reward 1 - (a - BEST)², or ``length`` steps of it; bounds that are not symmetric."""

    action_space = spaces.Box(-2.0, 1.0, (1,))

    def __init__(self, length=1, observation_space=BOX):
        self.length, self.observation_space, self.time = length, observation_space, 0
        self.observation_space.seed(0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        self.time += 1
        reward = 1 - (float(action[0]) - BEST) ** 2
        return self.observation_space.sample(), reward, self.time == self.length, False, {}


def small(env=None, policy="MlpPolicy", **options):
    defaults = {
        "learning_starts": 20,
        "batch_size": 16,
        "buffer_size": 500,
        "critic_hidden_sizes": (8,),
        "policy_kwargs": {"net_arch": [8, 8]},
        "seed": 0,
        "device": "cpu",
    }
    return ContinuousGANQ(policy, env or Bandit(length=5), **{**defaults, **options})


def flat(model):
    modules = [model.policy, *(adversary.learner.discriminator for adversary in model.adversaries)]
    return torch.cat([parameters_to_vector(module.parameters()).detach().clone() for module in modules])


def filled(**options):
    """A model with 60 transitions to sample and no update behind it."""
    return small(learning_starts=100, **options).learn(60)


# --- the generators


@pytest.fixture
def twins():
    return filled().critic


def test_samples_stand_around_the_means_that_sb3s_critic_interface_gives(twins):
    observations, actions = torch.randn(7, 2), torch.rand(7, 1)
    means, samples = twins.samples(observations, actions, noise_grid())
    assert means.shape == (2, 7, 1)
    assert samples.shape == (2, 7, 32)
    torch.testing.assert_close(torch.stack(twins(observations, actions)), means)
    torch.testing.assert_close(means[0], twins.q1_forward(observations, actions))
    torch.testing.assert_close(samples.mean(dim=2, keepdim=True), means)
    assert samples.std(dim=2).min() > 0


def test_the_action_is_an_input_and_the_twins_are_not_one(twins):
    observations, noise = torch.randn(7, 2), noise_grid(3)
    _, low = twins.samples(observations, torch.full((7, 1), -1.0), noise)
    _, high = twins.samples(observations, torch.full((7, 1), 1.0), noise)
    assert not torch.isclose(low, high).any()
    assert not torch.isclose(low[0], low[1]).any()


def test_samples_of_the_smallest_mean_by_hand():
    means = torch.tensor([[[1.0], [5.0]], [[2.0], [4.0]], [[3.0], [6.0]]])
    samples = torch.tensor([[[0.0, 2.0], [5.0, 5.0]], [[-9.0, 13.0], [3.0, 5.0]], [[3.0, 3.0], [6.0, 6.0]]])
    torch.testing.assert_close(samples_of_smallest_mean(means, samples), torch.tensor([[0.0, 2.0], [3.0, 5.0]]))


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**16))
def test_the_mean_of_the_chosen_samples_is_the_minimum_of_the_means(twins, batch, n, seed):
    spread = torch.randn(twins, batch, n, generator=torch.Generator().manual_seed(seed))
    means = torch.randn(twins, batch, 1, generator=torch.Generator().manual_seed(seed + 1))
    chosen = samples_of_smallest_mean(means, means + spread - spread.mean(dim=2, keepdim=True))
    torch.testing.assert_close(chosen.mean(dim=1), means.amin(dim=(0, 2)), atol=1e-5, rtol=0)


# --- one update


def seen_by_critics(model, sampled):
    """What each critic's update is given when the generators take one step on ``sampled``: ``(real, fake)``."""
    seen = []
    for adversary in model.adversaries:
        original = adversary.learner.update

        def spy(real, fake, original=original, **options):
            seen.append((real, fake))
            return original(real, fake, **options)

        adversary.learner.update = spy
    model._step_return_models(sampled, measures=False)
    return seen


@pytest.mark.parametrize("n_steps", [1, 3])
def test_real_samples_are_td3s_clipped_target_and_both_sides_are_seen_from_the_generators_mean(n_steps):
    model = filled(n_steps=n_steps, target_policy_noise=0.0, gamma=0.9)
    with torch.no_grad():  # targets that differ from what learns, and from each other
        for parameter in [*model.critic_target.parameters(), *model.actor_target.parameters()]:
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(parameter))))
    sampled = batch, rewards, discounts = model._sample(64)
    assert set(batch.dones.tolist()) == {0.0, 1.0}
    noise = torch.randn(model.n_samples, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        means, samples = model.critic_target.samples(
            batch.next_observations, model.actor_target(batch.next_observations), noise
        )
        smaller = torch.where(means[0] <= means[1], samples[0], samples[1])
        assert len({bool(first) for first in means[0] <= means[1]}) == 2
        targets = rewards + discounts * smaller
        means, samples = model.critic.samples(batch.observations, batch.actions, noise)
    torch.testing.assert_close(targets[batch.dones == 1], rewards[batch.dones == 1].expand(-1, model.n_samples))
    whole = batch.dones == 0
    if n_steps == 1:
        torch.testing.assert_close(discounts[whole], torch.full_like(discounts[whole], 0.9))
    else:
        assert discounts[whole].min() == pytest.approx(0.9**3)
    model._noise_generator.manual_seed(7)
    for index, (real, fake) in enumerate(seen_by_critics(model, sampled)):
        scale = model.adversaries[index].residuals.scale
        torch.testing.assert_close(real.returns * scale, targets - means[index])
        torch.testing.assert_close(fake.returns.detach() * scale, samples[index] - means[index])
        assert fake.actions.abs().max() <= 1  # as the actor says them, not as the environment takes them


def test_smoothing_noise_is_clipped_and_the_smoothed_action_too():
    model = filled(target_policy_noise=50.0, target_noise_clip=0.25)
    batch, _, _ = model._sample(16)
    seen = []
    model.critic_target.samples = lambda observations, actions, noise: (
        seen.append(actions)
        or (
            torch.zeros(2, 16, 1),
            torch.zeros(2, 16, 4),
        )
    )
    model._next_samples(batch.next_observations, noise_grid(4))
    distance = (seen[0] - model.actor_target(batch.next_observations)).abs()
    assert distance.max() <= 0.25 + 1e-6
    assert (distance > 0.2).float().mean() > 0.9
    with torch.no_grad():
        model.actor_target.mu[-2].bias.fill_(50.0)
    model._next_samples(batch.next_observations, noise_grid(4))
    assert seen[1].max() <= 1


def test_each_side_learns_from_its_own_loss_alone():
    model = filled()
    sampled = model._sample(16)
    model._step_return_models(sampled, measures=False)
    critics = [parameter for adversary in model.adversaries for parameter in adversary.learner.discriminator.parameters()]
    gradients = [parameter.grad.clone() for parameter in critics]
    actor, generators = (parameters_to_vector(module.parameters()).clone() for module in (model.actor, model.critic))
    model._step_actor(sampled[0].observations)
    assert all(torch.equal(before, parameter.grad) for before, parameter in zip(gradients, critics, strict=True))
    assert torch.equal(generators, parameters_to_vector(model.critic.parameters()))
    assert not torch.equal(actor, parameters_to_vector(model.actor.parameters()))


def test_the_actor_climbs_the_first_mean():
    model = filled(learning_rate=1e-3)
    observations = model._sample(16)[0].observations
    before = -model.critic.q1_forward(observations, model.actor(observations)).mean()
    torch.testing.assert_close(model._step_actor(observations), before.detach())
    assert -model.critic.q1_forward(observations, model.actor(observations)).mean() < before


def test_the_actor_and_the_targets_wait_for_policy_delay():
    model = filled(policy_delay=3)
    watched = (model.actor, model.critic_target)
    before = [parameters_to_vector(module.parameters()).clone() for module in watched]
    model.train(2, 16)
    assert all(torch.equal(b, parameters_to_vector(m.parameters())) for b, m in zip(before, watched, strict=True))
    model.train(1, 16)
    assert not any(torch.equal(b, parameters_to_vector(m.parameters())) for b, m in zip(before, watched, strict=True))


def test_a_td_weight_adds_a_huber_loss_of_both_means():
    plain, hybrid = filled(), filled(td_weight=0.5)
    batch, rewards, _ = plain._sample(16)
    rewards = rewards + 100.0
    with torch.no_grad():
        means = plain.critic(batch.observations, batch.actions)
    sampled = (batch, rewards, torch.zeros(16, 1))  # nothing follows: the target is the reward
    losses = [model._step_return_models(sampled, measures=True)[0]["generator_loss"] for model in (plain, hybrid)]
    expected = sum(0.5 * smooth_l1_loss(mean, rewards) for mean in means)
    torch.testing.assert_close(losses[1] - losses[0], expected)


# --- as an SB3 algorithm


def test_runs_are_repeated_bit_by_bit_and_seeds_differ():
    first, second, other = (small(seed=seed).learn(60) for seed in (0, 0, 1))
    assert first._n_updates == 40
    assert torch.equal(flat(first), flat(second))
    assert not torch.isclose(flat(first), flat(other)).all()


def test_a_saved_model_comes_back_bit_by_bit_and_goes_on_alike(tmp_path):
    first = small(n_steps=2, loss="hinge", policy_kwargs={"net_arch": [8], "n_critics": 3}).learn(60)
    first.save(tmp_path / "model")
    first.save_replay_buffer(tmp_path / "buffer")
    second = ContinuousGANQ.load(tmp_path / "model", device="cpu")
    second.load_replay_buffer(tmp_path / "buffer")
    assert len(second.adversaries) == 3
    assert (second.loss, second.n_bootstrap_steps) == ("hinge", 2)
    observations = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    for method in ("predict", "return_distribution"):
        one, other = (getattr(model, method)(observations) for model in (first, second))
        np.testing.assert_array_equal(one[0], other[0])
    for model in (first, second):
        np.random.seed(0)  # noqa: NPY002  # SB3's buffers draw from it
        model.set_logger(first.logger)
        model.train(3, 16)
    assert torch.equal(flat(first), flat(second))


def test_predictions_lie_within_bounds_that_are_not_symmetric():
    model = small().learn(40)
    actions, _ = model.predict(100 * np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32))
    assert actions.shape == (200, 1)
    assert actions.min() >= -2
    assert actions.max() <= 1
    assert np.ptp(actions) > 0.1


@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("policy", KINDS)
def test_every_kind_of_observation(policy, shares):
    space = KINDS[policy]
    options = {"net_arch": [8], "share_features_extractor": shares}
    model = small(Bandit(5, space), policy, policy_kwargs=options, batch_size=4, n_steps=2, learning_starts=10)
    before = flat(model)
    model.learn(14)
    after = flat(model)
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
    assert model.return_distribution(space.sample(), n=5).shape == (5,)


def test_return_distribution_is_that_of_the_actors_action():
    model = small().learn(40)
    observations = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    samples = model.return_distribution(observations, n=32)
    assert samples.shape == (9, 32)
    rows = torch.as_tensor(observations)
    with torch.no_grad():
        values = model.critic.q1_forward(rows, model.actor(rows)).squeeze(1).numpy()
    np.testing.assert_allclose(samples.mean(axis=1), values, atol=1e-5)


def test_normalized_observations_several_environments_and_callbacks(tmp_path):
    env = VecNormalize(DummyVecEnv([lambda: Bandit(5)] * 2), norm_reward=False)
    test_env = VecNormalize(DummyVecEnv([lambda: Monitor(Bandit(5))]), norm_reward=False, training=False)
    callback = EvalCallback(test_env, n_eval_episodes=1, eval_freq=20, best_model_save_path=str(tmp_path), verbose=0)
    model = small(env, action_noise=NormalActionNoise(np.zeros(1), 0.1 * np.ones(1)), gradient_steps=-1)
    model.learn(100, callback)
    assert model._n_updates == 80
    assert (tmp_path / "best_model.zip").exists()
    raw = model.replay_buffer.observations[: model.replay_buffer.pos]
    batch, _, _ = model._sample(16)
    assert not np.isin(batch.observations.numpy(), raw.astype(np.float32)).any()


def test_schedules_of_both_sides_run_over_the_whole_run():
    model = small(learning_rate=lambda left: 1e-3 * left, critic_learning_rate=lambda left: 1e-2 * left).learn(50)
    left = model._current_progress_remaining
    assert 0 < left + 1e-9 < 0.1
    optimizers = [(model.actor.optimizer, 1e-3), (model.critic.optimizer, 1e-3)]
    optimizers += [(adversary.learner.optimizer, 1e-2) for adversary in model.adversaries]
    for optimizer, initial in optimizers:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(initial * left)


def test_the_moments_of_either_optimizer():
    model = small()
    assert model.actor.optimizer.defaults["betas"] == (0.9, 0.999)
    assert model.critic.optimizer.defaults["betas"] == (0.0, 0.999)
    chosen = small(policy_kwargs={"net_arch": [8], "return_model_optimizer_kwargs": {"betas": (0.5, 0.9)}})
    assert chosen.critic.optimizer.defaults["betas"] == (0.5, 0.9)


# --- what is refused


def test_discrete_actions_are_refused_in_one_sentence():
    with pytest.raises(IncompatibleSpaces, match=r"Discrete\(2\); use .* or gan-q$") as error:
        ContinuousGANQ("MlpPolicy", "CartPole-v1")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"n_samples": 0}, "n_samples"),
        ({"td_weight": -1.0}, "td_weight"),
        ({"n_steps": 0}, "n_steps"),
        ({"loss": "wassertein"}, "wasserstein"),
        ({"stabilizers": ["gradient-penaltyy"]}, "gradient-penalty"),
    ],
)
def test_settings_that_cannot_be_used_are_named(options, named):
    with pytest.raises(ConfigurationError, match=named):
        small(**options)


def test_a_loss_that_is_not_finite_ends_the_run():
    model = filled()
    model.replay_buffer.rewards[:] = np.nan
    with pytest.raises(TrainingDiverged, match="lower learning_rate"):
        model.train(1, 16)


# --- learning


@pytest.mark.once
def test_it_learns_the_best_action_of_a_bandit_and_its_return():
    model = small(
        Bandit(),
        action_noise=NormalActionNoise(np.zeros(1), 0.3 * np.ones(1)),
        learning_starts=200,
        batch_size=32,
        tau=0.05,
        critic_hidden_sizes=(32,),
        policy_kwargs={"net_arch": [32, 32]},
    )
    model.learn(1000)
    observations = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    actions, _ = model.predict(observations)
    assert abs(actions.mean() - BEST) < 0.3
    assert abs(actions - BEST).max() < 0.6  # the bounds are 0.9 and 2.1 away
    returns = model.return_distribution(observations)
    assert abs(returns.mean() - 1) < 0.3
