"""The absorbing state: what the replay holds, what the discriminator sees, and what an episode's end is worth."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.algorithms import DAC
from ganq_irl.algorithms.absorbing import AbsorbingValue, absorbing_transitions, with_absorbing
from ganq_irl.discriminator import STATE_TRANSITION, Discriminator, DiscriminatorLearner, InputEncoder
from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.off_policy.pricing import relabeled
from ganq_irl.rewards import RewardModel
from ganq_irl.types import Batch
from tests.algorithms.absorbing_examples import counting, dac
from tests.scripted import BOX, CONTINUOUS, HAS_CROSSQ, CountingEnv, demonstrations, flat, generator, imitator, vec_env
from tests.toys import ACTIONS, OBSERVATIONS, toy_batch


def some_batch(dones):
    ones = torch.full((len(dones), 3), 1.5)
    return Batch(ones, torch.full((len(dones), 1), 0.5), ones + 1, torch.tensor(dones, dtype=torch.float32))


# Transitions.


def test_each_terminal_row_brings_the_loop_of_the_absorbing_state():
    batch = some_batch([0, 1, 0, 1, 1])
    extended = with_absorbing(batch)
    assert len(extended) == 8
    assert extended.absorbing.tolist() == [0] * 5 + [1] * 3
    assert torch.equal(extended.observations[:5], batch.observations)
    assert torch.equal(extended.dones[:5], batch.dones)
    for field in (extended.observations, extended.actions, extended.next_observations, extended.dones):
        assert not field[5:].any()
    assert len(with_absorbing(some_batch([0, 0]))) == 2


def test_the_default_penalty_bounds_the_absorbing_state_by_its_distance_where_no_demonstration_ends():
    """A one-centered penalty moves the slope between two sides towards 1; before fakes were paired, nothing bounded it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = InputEncoder(OBSERVATIONS, ACTIONS, ("observations", "actions", "absorbing"))
        discriminator = Discriminator(encoder, (32, 32), "relu")
    learner = DiscriminatorLearner(
        discriminator, never_ending(100), seed=0, learning_rate=3e-3, stabilizers=["gradient-penalty"]
    )
    for i in range(150):
        learner.update(never_ending(2 * i), with_absorbing(toy_batch(seed=2 * i + 1)))
    real = never_ending(1)
    ended = absorbing_transitions(real)
    with torch.no_grad():
        distance = (encoder(real).features - encoder(ended).features).norm(dim=1).mean()
        gap = discriminator(real).mean() - discriminator(ended).mean()
    assert 0.5 * distance < gap < distance


def never_ending(seed):
    batch = toy_batch(seed=seed)
    return replace(batch, dones=torch.zeros_like(batch.dones), absorbing=torch.zeros_like(batch.dones))


def test_loops_of_dict_observations_and_discrete_actions():
    rows = Batch({"a": torch.ones(2, 3), "b": torch.ones(2, dtype=torch.long)}, torch.ones(2).long(), {}, torch.ones(2))
    assert not any(
        value.any() for value in (*absorbing_transitions(rows).observations.values(), absorbing_transitions(rows).actions)
    )
    assert absorbing_transitions(rows).actions.dtype == torch.long


def test_an_epoch_of_demonstrations_has_one_loop_for_each_terminated_episode():
    run = dac(learns_absorbing=True)
    terminated = [trajectory.terminated for trajectory in demonstrations(CountingEnv())]
    assert 0 < sum(terminated) < len(terminated)
    assert with_absorbing(run._demonstrations).absorbing.sum() == sum(terminated)


def watched(run):
    """Batches that the discriminator is given from now on."""
    seen, update = [], run.learner.update
    run.learner.update = lambda real, fake, **options: seen.append((real, fake)) or update(real, fake, **options)
    return seen


@pytest.mark.parametrize("name", ["sac", "dqn", "gan-q"])
def test_the_discriminator_sees_loops_on_both_sides_and_the_replay_holds_none(name):
    run = dac(name, learns_absorbing=True)
    seen = watched(run)
    run.learn(70)
    buffer = run.generator.replay_buffer
    stored = buffer.next_observations[: buffer.size(), 0]
    assert buffer.size() == 70
    assert stored.shape[1:] == run.generator.observation_space.shape == (3,)
    assert (stored[:, 2] > 0).all()  # each is a step of an episode
    assert seen
    for side in (0, 1):
        loops_seen = sum(pair[side].absorbing.sum() for pair in seen)
        assert loops_seen == sum(pair[side].dones.sum() for pair in seen) > 0
        for pair in seen:
            assert len(pair[side]) == 16 + pair[side].absorbing.sum()
    # Episodes 1, 3, ... are cut by a time limit after four steps: no row of theirs is terminal.
    fakes = Batch.cat([fake for _, fake in seen])
    assert (fakes.next_observations[fakes.dones == 1][:, 2] == 3).all()
    assert (fakes.next_observations[:, 2] == 4).any()


def test_the_encoder_sees_the_bit_alone():
    run = dac(learns_absorbing=True, inputs=STATE_TRANSITION)
    encoder = run.learner.discriminator.encoder
    features = encoder(with_absorbing(some_batch([0, 1]))).features
    assert encoder.dim == 7
    assert features[:2, 6].tolist() == [0, 0]
    assert features[:2, :6].abs().min() > 0
    assert features[2].tolist() == [0] * 6 + [3]
    plain = dac(inputs=STATE_TRANSITION).learner.discriminator.encoder
    torch.testing.assert_close(plain(some_batch([0, 1])).features, features[:2, :6])
    # A batch that says nothing of absorbing states has none.
    torch.testing.assert_close(encoder(some_batch([0, 1])).features, features[:2])


def test_the_gradient_penalty_bounds_a_state_that_the_fakes_alone_show():
    """Where no demonstration ends, only the penalty's own points keep the absorbing state's score from running away."""
    run = dac(learns_absorbing=True)
    points = []
    gradient_norms = run.learner.discriminator.gradient_norms
    run.learner.discriminator.gradient_norms = lambda rows: points.append(rows) or gradient_norms(rows)
    run.learner.update(with_absorbing(some_batch([0] * 8)), with_absorbing(some_batch([1] * 8)))
    bits = torch.cat([rows.features for rows in points])[:, -1]
    assert len(bits) == 16
    assert (bits > 0).sum() == 8


# The value.


class Model:
    """What AbsorbingValue looks at in a generator whose targets move at each gradient step."""

    policy = torch.nn.ModuleDict({"critic_target": torch.nn.Identity()})

    def __init__(self, tau, gamma):
        self.tau, self.gamma, self._n_updates, self.policy_delay = tau, gamma, 100, 1


def test_the_value_follows_the_targets_by_their_own_bootstrap():
    tau, gamma, reward = 0.1, 0.9, -2.0
    model = Model(tau, gamma)
    value = AbsorbingValue(model)
    value.follow(reward)
    assert value.value == 0  # what the targets did before is not counted
    for n_moves in (1, 3, 6, 400):
        model._n_updates = 100 + n_moves
        value.follow(reward)
        assert value.value == pytest.approx(reward / (1 - gamma) * (1 - (1 - tau * (1 - gamma)) ** n_moves))
    assert value.value == pytest.approx(-20, rel=0.02)
    value.follow(reward)
    assert value.terminal_bonus(torch.tensor([0.0, 1.0])).tolist() == pytest.approx([0, 0.9 * value.value])


def test_a_hard_copy_is_a_step_of_value_iteration():
    model = Model(1.0, 0.5)
    value = AbsorbingValue(model)
    value.follow(1.0)
    values = []
    for reward in (1.0, 1.0, 3.0):
        model._n_updates += 1
        value.follow(reward)
        values.append(value.value)
    assert values == [1, 1.5, 3.75]


def test_terminal_rewards_with_its_value_are_the_extended_decision_process():
    """Value iteration with s_a as a state, and without it but with γ V(s_a) in the terminal rewards, agree."""
    rng, gamma, of_absorbing = np.random.default_rng(0), 0.9, -0.7
    rewards, ends = rng.normal(size=(5, 2)), rng.random((5, 2)) < 0.3
    following = rng.integers(5, size=(5, 2))
    extended, plain = np.zeros(6), np.zeros(5)
    beyond = gamma * of_absorbing / (1 - gamma)
    for _ in range(500):
        backup = rewards + gamma * extended[np.where(ends, 5, following)]
        extended = np.append(backup.max(axis=1), of_absorbing + gamma * extended[5])
        plain = (rewards + np.where(ends, beyond, gamma * plain[following])).max(axis=1)
    np.testing.assert_allclose(plain, extended[:5])


UPDATES = {
    "sac": "stable_baselines3.sac.sac",
    "td3": "stable_baselines3.td3.td3",
    "ddpg": "stable_baselines3.td3.td3",
    "tqc": "sb3_contrib.tqc.tqc",
    "gan-q-continuous": "ganq_irl.algorithms.ganq.continuous",
    "dqn": "stable_baselines3.dqn.dqn",
    "qrdqn": "sb3_contrib.qrdqn.qrdqn",
    "gan-q": "stable_baselines3.dqn.dqn",
}
"""Where each generator calls ``polyak_update``."""


RHYTHMS = [(1, 1, 1, 1), (1, 2, 3, 2), (2, 3, 4, 3), (1, 4, 5, 4)]
"""Environments, ``train_freq``, ``gradient_steps``, and updates from one move of the targets to the next."""


@pytest.mark.parametrize(
    ("name", "n_envs", "train_freq", "gradient_steps", "interval"),
    [(name, *rhythm) for name in UPDATES for rhythm in (RHYTHMS if name in ("sac", "td3", "dqn") else RHYTHMS[2:3])],
)
def test_moves_of_the_targets_are_counted_as_the_generator_makes_them(
    name, n_envs, train_freq, gradient_steps, interval, monkeypatch
):
    tau, gamma, moves, at_follow = 0.25, 0.9, [], []
    module = importlib.import_module(UPDATES[name])
    update, follow = module.polyak_update, AbsorbingValue.follow

    def counting_update(params, target_params, tau_):
        moves.extend([tau_] if tau_ == tau else [])  # 1.0 copies batch statistics
        update(params, target_params, tau_)

    def following(value, reward):
        follow(value, 1.0)
        at_follow.append(len(moves))

    monkeypatch.setattr(module, "polyak_update", counting_update)
    monkeypatch.setattr(AbsorbingValue, "follow", following)
    options = {"policy_delay" if "td3" in name or "continuous" in name else "target_update_interval": interval}
    options = {} if name == "ddpg" else options
    env = vec_env(CountingEnv, n_envs, action_space=BOX if name in CONTINUOUS else spaces.Discrete(3))
    model = generator(
        name, env, tau=tau, gamma=gamma, train_freq=train_freq, gradient_steps=gradient_steps, learning_starts=20, **options
    )
    run = dac(model=model, learns_absorbing=True)
    run.learn(36)
    end_of_first = len(moves)
    model.learn(8, reset_num_timesteps=False)  # as plain SB3, which does not count
    start_of_second = len(moves)
    run.learn(16, reset_num_timesteps=False)
    networks = 2 if name in ("td3", "ddpg", "gan-q-continuous") else 1  # actor and critics
    n_moves = (end_of_first - at_follow[0] + at_follow[-1] - start_of_second) / networks
    assert n_moves > 3
    assert run.absorbing.value == pytest.approx(1 / (1 - gamma) * (1 - (1 - tau * (1 - gamma)) ** n_moves))


@pytest.mark.skipif(not HAS_CROSSQ, reason="sb3-contrib before 2.4")
def test_a_generator_without_targets_is_refused():
    with pytest.raises(UnsupportedGenerator, match="sb3_contrib's CrossQ has no such torch networks; use sac"):
        dac(model=counting("crossq"), learns_absorbing=True)


@pytest.mark.parametrize("name", ["sac", "dqn"])
def test_terminal_transitions_are_paid_what_lies_beyond(name):
    run = dac(name, learns_absorbing=True).learn(70)
    run.absorbing.value = -5.0
    model = run.generator
    samples = relabeled(model.replay_buffer, run.price).sample(200)
    ended = samples.dones.reshape(-1) == 1
    assert ended.any()
    assert not ended.all()
    alone = run.recovered_reward()
    rows = Batch(
        samples.observations,
        samples.actions * (2 if name == "sac" else 1),  # the replay's are scaled to [-1, 1]
        samples.next_observations,
        samples.dones.reshape(-1),
    )
    expected = alone.price(rows) - 5.0 * model.gamma * ended
    torch.testing.assert_close(samples.rewards.reshape(-1), expected)
    plain = dac(name).learn(70)
    torch.testing.assert_close(plain.price(rows), plain.recovered_reward().price(rows))


def test_n_step_returns_reach_beyond_their_end():
    run = dac(model=counting("gan-q", n_steps=5), learns_absorbing=True).learn(70)
    run.absorbing.value = 10.0
    model = run.generator
    with torch.no_grad():
        for parameter in run.learner.discriminator.parameters():
            parameter.zero_()  # every transition is paid 0, and what lies beyond alone remains
    samples = relabeled(model.replay_buffer, run.price).sample(300)
    steps = 3 - samples.observations[:, 2]  # to the end of an episode that terminates
    ended = samples.dones.reshape(-1) == 1
    assert set(steps[ended].tolist()) == {1, 2, 3}
    torch.testing.assert_close(samples.rewards.reshape(-1), torch.where(ended, 10 * model.gamma**steps, 0.0))


def test_the_value_moves_while_learning_by_the_reward_of_the_loop():
    run = dac(learns_absorbing=True, frozen=True)  # a reward that does not change
    assert run.absorbing.value == 0
    run.learn(120)
    loop = absorbing_transitions(run._demonstrations[:1])
    reward, tau, gamma = run.recovered_reward().price(loop).item(), run.generator.tau, run.generator.gamma
    n_moves = run.absorbing._counted - run.absorbing._n_pending  # of those that the last round knew of
    assert n_moves > 20
    assert run.absorbing.value == pytest.approx(reward / (1 - gamma) * (1 - (1 - tau * (1 - gamma)) ** n_moves))
    assert run.price(loop).item() == pytest.approx(reward)  # the loop itself is no end


@pytest.mark.once
def test_an_end_that_the_expert_never_shows_is_worth_less_than_nothing():
    worth = {}
    for expert, policy in ((False, True), (True, False)):
        scripts = ({"script": ((4, ended),)} for ended in (expert, policy))
        shown = demonstrations(CountingEnv(**next(scripts)))
        model = generator("sac", vec_env(CountingEnv, 1, **next(scripts)))
        run = imitator("dac", model, shown, inputs=("observations",), learns_absorbing=True, learning_rate=0.02).learn(200)
        worth[expert] = run.absorbing.value
    assert worth[False] < -0.15  # -0.12 with a discriminator that learns nothing
    assert worth[True] > 0.5


def test_absorbing_runs_are_repeated_saved_and_loaded(tmp_path):
    first, second = (dac(learns_absorbing=True).learn(90) for _ in range(2))
    assert first.absorbing.state_dict() == second.absorbing.state_dict()
    assert torch.equal(flat(first.policy), flat(second.policy))
    assert not torch.equal(flat(first.policy), flat(dac().learn(90).policy))
    first.save(tmp_path / "run")
    options = {"batch_size": 16, "hidden_sizes": (8,), "n_updates": 2}
    loaded = DAC.load(tmp_path / "run", counting("sac"), demonstrations(CountingEnv()), learns_absorbing=True, **options)
    assert loaded.absorbing.state_dict() == first.absorbing.state_dict()
    rows = first._demonstrations
    assert torch.equal(loaded.price(rows), first.price(rows))
    first.recovered_reward().save(tmp_path / "reward")
    assert torch.equal(RewardModel.load(tmp_path / "reward").price(rows), first.recovered_reward().price(rows))
