"""IQ-Learn on SB3's SAC and DQN: what its updates hand to the objective, how it acts, and the reward that Q stands for."""

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms import IQLearn
from ganq_irl.algorithms.iq_reward import SoftQReward
from ganq_irl.errors import ConfigurationError, StorageError, TrainingDiverged, UnsupportedGenerator
from ganq_irl.generators.policies.store import save_policy
from tests.scripted import (
    DISCRETE,
    ON_POLICY,
    SpacesEnv,
    WalkEnv,
    action_space_of,
    demonstrations,
    demonstrations_for,
    flat,
    generator,
    pushed_home,
    vec_env,
    walk,
)

SUPPORTED = ("sac", "dqn")
OBSERVATIONS = np.random.default_rng(0).uniform(-2, 2, (20, 2)).astype(np.float32)


def imitator(name, env=None, options=None, **settings):
    settings = {"ent_coef": 0.1, **settings} if name == "sac" else settings
    return IQLearn(generator(name, env, **settings), demonstrations_for(name), **(options or {}))


class Handed:
    """An objective that keeps what it was handed."""

    def __init__(self, objective):
        self.objective, self.calls, self.bound = objective, [], objective.bound

    def __call__(self, q_values, values, continuations, n_expert):
        self.calls.append([tensor.detach().clone() for tensor in (q_values, values, continuations)] + [n_expert])
        self.requires_grad = continuations.requires_grad
        return self.objective(q_values, values, continuations, n_expert)


class Drawn:
    """A replay that keeps its samples."""

    def __init__(self, replay):
        self.replay, self.samples = replay, []

    def draw(self, batch_size, env):
        self.samples.append(self.replay.draw(batch_size, env))
        return self.samples[-1]


def one_step(iq):
    """What the objective was handed in one gradient step, and the demonstrated half of its batch."""
    return step_of(iq.learn(60))


def step_of(iq):
    before = copy.deepcopy(iq.generator.policy)
    iq.update.objective, iq.update.expert = Handed(iq.update.objective), Drawn(iq.expert)
    iq.update.train(1, 16)
    return before, iq.update.objective, iq.update.expert.samples[0]


@pytest.mark.parametrize("use_target", [True, False])
def test_dqn_hands_over_soft_values(use_target):
    before, objective, expert = one_step(imitator("dqn", options={"use_target": use_target, "temperature": 0.3}, gamma=0.9))
    (q_values, values, continuations, n_expert) = objective.calls[0]
    assert n_expert == 16
    assert len(q_values) == len(values) == len(continuations) == 32
    following = (before.q_net_target if use_target else before.q_net)(expert.next_observations)
    of_state = before.q_net(expert.observations)
    torch.testing.assert_close(q_values[:16], of_state.gather(1, expert.actions.long()).squeeze(1))
    torch.testing.assert_close(values[:16], 0.3 * torch.logsumexp(of_state / 0.3, dim=1))
    left = 0.9 * (1 - expert.dones.squeeze(1))
    torch.testing.assert_close(continuations[:16], left * 0.3 * torch.logsumexp(following / 0.3, dim=1))
    assert objective.requires_grad == (not use_target)


@pytest.mark.parametrize("use_target", [True, False])
def test_every_critic_of_sac_is_handed_the_values_of_the_smallest(use_target):
    before, objective, expert = one_step(imitator("sac", options={"use_target": use_target}))
    assert len(objective.calls) == 2
    for q_values, critic in zip(
        (call[0] for call in objective.calls), before.critic(expert.observations, expert.actions), strict=True
    ):
        torch.testing.assert_close(q_values[:16], critic.squeeze(1))
    first, second = objective.calls
    torch.testing.assert_close(first[1:3], second[1:3])
    assert not first[2][:16][expert.dones.squeeze(1) == 1].any()  # nothing comes after a termination
    assert objective.requires_grad == (not use_target)


def test_values_of_sac_are_those_of_its_actor(monkeypatch):
    """V(s) = min Q(s, a) - τ log π(a|s), with a and log π as the actor gives them."""
    iq = imitator("sac")
    action, log_prob = torch.tensor([[0.25]]), torch.tensor([-1.5])

    def act(observations):
        return (action + 0 * observations[:, :1]), log_prob.expand(len(observations))

    iq.learn(60)
    monkeypatch.setattr(iq.generator.actor, "action_log_prob", act)
    monkeypatch.setattr("ganq_irl.algorithms.iq_updates._descend", lambda *_: None)
    before, objective, expert = step_of(iq)
    actions = action.expand(16, 1)
    values, continuations = objective.calls[0][1:3]
    of_state, following = (
        torch.cat(critic(observations, actions), dim=1).min(dim=1).values + 0.15
        for critic, observations in (
            (before.critic, expert.observations),
            (before.critic_target, expert.next_observations),
        )
    )
    torch.testing.assert_close(values[:16], of_state)
    torch.testing.assert_close(continuations[:16], 0.99 * (1 - expert.dones.squeeze(1)) * following)


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_environments_reward_has_no_part_in_it(name):
    runs = [imitator(name, walk(name, bonus=bonus)).learn(66) for bonus in (0.0, 1e6)]
    assert torch.equal(*(flat(run.policy) for run in runs))


@pytest.mark.parametrize("name", SUPPORTED)
def test_settings_change_what_is_learned(name):
    base = flat(imitator(name).learn(60).policy)
    changes = [{"loss": "value_expert"}, {"loss": "value"}, {"chi2_alpha": 2.0}, {"seed": 1}]
    changes += [{"regularize": "both" if name == "dqn" else "expert"}]
    changes += [{"use_target": name == "dqn"}]
    changes += [{"temperature": 1.0}] if name == "dqn" else [{"actor_learning_rate": 0.1}]
    for change in changes:
        assert not torch.equal(base, flat(imitator(name, options=change).learn(60).policy)), change


def test_the_actors_learning_rate_follows_its_own_schedule():
    iq = imitator("sac", options={"actor_learning_rate": lambda progress: 1e-2 * progress}, learning_rate=1e-3)
    iq.learn(100)
    # train is called after the step that ends a collection, with what was left after the step before it
    assert iq.generator.actor.optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-3)
    assert iq.generator.critic.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3)


def test_target_networks_are_the_generators():
    iq = imitator("sac", tau=1.0)
    iq.learn(60)
    assert torch.equal(flat(iq.generator.critic), flat(iq.generator.critic_target))


def test_sacs_entropy_coefficient_may_be_learned():
    with pytest.warns(UserWarning, match="ent_coef=0.01"):
        iq = imitator("sac", ent_coef="auto")
    iq.learn(100)
    assert float(iq.generator.log_ent_coef.detach()) != 0
    assert iq.recovered_reward().temperature == pytest.approx(float(iq.generator.log_ent_coef.detach().exp()))


def test_state_dependent_exploration_and_several_critics():
    kwargs = {"net_arch": [8], "n_critics": 3}
    iq = imitator("sac", use_sde=True, policy_kwargs=kwargs).learn(60)
    assert torch.isfinite(iq.recovered_reward().price(demonstrations().to_batch())).all()


# How it acts.


def test_actions_of_dqn_are_drawn_from_the_softmax_and_the_best_where_deterministic():
    iq = imitator("dqn", options={"temperature": 0.5}).learn(60)
    observation = OBSERVATIONS[:1]
    with torch.no_grad():
        q_values = iq.generator.q_net(torch.as_tensor(observation))[0]
    drawn = iq.predict(np.repeat(observation, 20_000, axis=0))[0]
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    np.testing.assert_allclose(shares, torch.softmax(q_values / 0.5, dim=0), atol=0.02)
    assert (iq.predict(OBSERVATIONS, deterministic=True)[0] == iq.policy.predict(OBSERVATIONS)[0]).all()
    assert iq.predict(OBSERVATIONS[0])[0].shape == ()


class Explored(BaseCallback):
    """Whether each action taken after the random ones is the greedy one."""

    def __init__(self):
        super().__init__()
        self.is_greedy = []

    def _on_step(self):
        if self.num_timesteps > self.model.learning_starts + 2:
            greedy, _ = self.model.predict(self.model._last_obs, deterministic=True)
            self.is_greedy.extend(greedy == self.locals["actions"])
        return True


@pytest.mark.parametrize(("temperature", "is_greedy"), [(1e-6, True), (1e6, False)])
def test_exploration_is_the_softmax_and_not_epsilon_greedy(temperature, is_greedy):
    """At a low temperature it is all but greedy, at a high one random, whatever ε is."""
    watch, rate = Explored(), float(is_greedy)
    options = {"exploration_initial_eps": rate, "exploration_final_eps": rate}
    imitator("dqn", options={"temperature": temperature}, **options).learn(90, callback=watch)
    assert len(watch.is_greedy) > 20
    assert all(watch.is_greedy) is is_greedy


def test_sac_acts_as_sac():
    iq = imitator("sac").learn(60)
    np.testing.assert_array_equal(
        iq.predict(OBSERVATIONS, deterministic=True)[0], iq.generator.predict(OBSERVATIONS, deterministic=True)[0]
    )


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_generator_is_given_back_as_it_was(name, tmp_path):
    model = imitator(name).generator
    plain = type(model)
    IQLearn(model, demonstrations_for(name)).learn(60, callback=CheckpointCallback(20, str(tmp_path)))
    assert type(model) is plain
    restored = plain.load(next(tmp_path.glob("*.zip")), device="cpu")
    assert restored.predict(OBSERVATIONS, deterministic=True)[0].shape[0] == 20


# The recovered reward.


@pytest.mark.parametrize("name", SUPPORTED)
def test_the_recovered_reward_is_q_minus_the_discounted_value(name):
    iq = imitator(name, gamma=0.9).learn(100)
    rows = demonstrations_for(name).to_batch()
    reward = iq.recovered_reward()
    priced = reward.price(rows)
    policy = iq.policy
    with torch.no_grad():
        if name == "dqn":
            q_values = policy.q_net(rows.observations).gather(1, rows.actions.reshape(-1, 1)).squeeze(1)
            values = 0.01 * torch.logsumexp(policy.q_net(rows.next_observations) / 0.01, dim=1)
        else:
            q_values = torch.cat(policy.critic(rows.observations, rows.actions / 2), dim=1).min(dim=1).values
            draws = []
            for _ in range(2000):
                actions, log_probs = policy.actor.action_log_prob(rows.next_observations)
                draws.append(torch.cat(policy.critic(rows.next_observations, actions), dim=1).min(dim=1).values)
                draws[-1] -= float(iq.generator.ent_coef_tensor) * log_probs
            values = torch.stack(draws).mean(dim=0)
    expected = q_values - 0.9 * (1 - rows.dones) * values
    torch.testing.assert_close(priced, expected, atol=0.01 if name == "sac" else 1e-6, rtol=1e-5)
    torch.testing.assert_close(reward.price(rows[:3]), priced[:3])  # a row's reward is its own


def test_a_reward_is_a_copy_that_is_stored_without_pickling(tmp_path):
    iq = imitator("sac", VecNormalize(walk("sac"), norm_reward=False)).learn(60)
    rows = demonstrations().to_batch()
    reward = iq.recovered_reward()
    before = reward.price(rows)
    reward.save(tmp_path / "reward")
    iq.learn(60, reset_num_timesteps=False)
    assert torch.equal(reward.price(rows), before)
    loaded = SoftQReward.load(tmp_path / "reward")
    assert torch.equal(loaded.price(rows), before)
    assert loaded.provenance == reward.provenance
    assert loaded.provenance["algorithm"] == "iq-learn"
    arrays = (rows.observations.numpy(), rows.actions.numpy(), rows.next_observations.numpy(), rows.dones.numpy())
    np.testing.assert_array_equal(loaded.reward(*arrays), before.numpy())


def test_a_policy_is_no_reward(tmp_path):
    save_policy(generator("dqn"), tmp_path / "policy")
    with pytest.raises(StorageError, match="not its reward"):
        SoftQReward.load(tmp_path / "policy")


@pytest.mark.once
def test_demonstrated_actions_earn_more_than_others():
    """The expert pushes towards 0; what it did is priced above what it did not do, and the policy does it."""
    env = WalkEnv(action_space_of("dqn"))
    model = generator("dqn", learning_starts=100, learning_rate=3e-3, gamma=0.9, target_update_interval=50)
    iq = IQLearn(model, pushed_home(env)).learn(1500)
    observations = np.array([[0.8, 0.0], [-0.8, 0.0]], np.float32)
    assert iq.predict(observations, deterministic=True)[0].tolist() == [0, 2]
    home, away = (np.array(actions) for actions in ([0, 2], [2, 0]))
    following = np.array([[[0.3, -0.5], [-0.3, 0.5]], [[1.3, 0.5], [-1.3, -0.5]]], np.float32)
    reward = iq.recovered_reward().reward
    dones = np.zeros(2, np.float32)
    assert (reward(observations, home, following[0], dones) > reward(observations, away, following[1], dones)).all()


def test_dict_observations_with_images():
    observation_space = spaces.Dict(
        image=spaces.Box(0, 255, (36, 36, 3), np.uint8), vector=spaces.Box(-1, 1, (3,), np.float32)
    )
    make = {"observation_space": observation_space, "action_space": spaces.Discrete(3)}
    model = generator("dqn", vec_env(SpacesEnv, **make), buffer_size=100)
    iq = IQLearn(model, demonstrations(SpacesEnv(**make))).learn(48)
    sample = {key: value[None] for key, value in observation_space.sample().items()}
    sample["image"] = sample["image"].transpose(0, 3, 1, 2)
    assert iq.predict(sample)[0].shape == (1,)
    rows = {key: value.repeat(2, axis=0) for key, value in sample.items()}
    assert iq.recovered_reward().reward(rows, np.array([0, 2]), rows, np.zeros(2, np.float32)).shape == (2,)


# What is refused.


@pytest.mark.parametrize("name", [*ON_POLICY, "td3", "ddpg", "gan-q-continuous", "qrdqn", "gan-q"])
def test_generators_whose_critic_it_cannot_teach_are_refused(name):
    own = "dqn" if name in DISCRETE else "sac"
    with pytest.raises(
        UnsupportedGenerator, match=rf"iq-learn replaces .*; use {own} as its generator, or gail with"
    ) as error:
        IQLearn(generator(name), demonstrations(WalkEnv(action_space_of(name))))
    assert "\n" not in str(error.value)


def test_n_step_returns_are_refused():
    from ganq_irl.generators.off_policy.n_step import NStepReplayBuffer

    kind = {"replay_buffer_class": NStepReplayBuffer, "replay_buffer_kwargs": {"n_steps": 3, "gamma": 0.99}}
    with pytest.raises(UnsupportedGenerator, match=r"3-step returns.*use n_steps=1|upgrade stable-baselines3"):
        imitator("sac", **kind)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sac", {"temperature": 0.1}, "temperature: given 0.1, but SAC's temperature is the ent_coef"),
        ("dqn", {"actor_learning_rate": 0.1}, "actor_learning_rate: given 0.1, but DQN has no actor"),
        ("dqn", {"temperature": 0}, "temperature: given 0; expected a number above 0"),
        ("dqn", {"loss": "softq"}, "loss: unknown 'softq'"),
    ],
)
def test_settings_that_cannot_be_used(name, options, message):
    with pytest.raises(ConfigurationError, match=message):
        imitator(name, options=options)


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_divergence_is_an_error_that_says_what_to_lower(name):
    iq = imitator(name)
    with torch.no_grad():
        for parameter in (iq.policy.critic if name == "sac" else iq.policy.q_net).parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="lower the generator's learning_rate"):
        fill_and_train(iq)


def fill_and_train(iq):
    model = iq.generator
    healthy = generator("sac" if model.action_space.shape else "dqn").learn(60)
    model.replay_buffer = healthy.replay_buffer
    model._logger = healthy.logger
    iq.update.train(1, 16)
