"""DAC with demonstrations in the generator's replay, priced by today's discriminator as all else."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.save_util import load_from_pkl

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.off_policy.pricing import executed_actions
from ganq_irl.types import Batch
from tests.algorithms.absorbing_examples import counting, dac
from tests.scripted import OFF_POLICY, CountingEnv, demonstrations, flat


def batch_of(run, batch_size=16):
    """What the generator would learn from after 60 steps."""
    run.learn(60)
    with run._installed():
        return run.generator.replay_buffer.sample(batch_size)


@pytest.mark.parametrize(
    ("name", "share", "n_expert"), [*((name, 0.5, 8) for name in OFF_POLICY), ("sac", 0.25, 4), ("dqn", 0.1, 1)]
)
def test_the_share_of_every_generators_batches_is_demonstrated(name, share, n_expert):
    run = dac(name, expert_share=share)
    drawn = []
    draw = run.expert.draw
    run.expert.draw = lambda batch_size, env: drawn.append(draw(batch_size, env)) or drawn[-1]
    batch = batch_of(run)
    assert len(drawn[-1].rewards) == n_expert
    assert torch.equal(batch.rewards[-n_expert:], drawn[-1].rewards)
    assert torch.equal(batch.observations[-n_expert:], drawn[-1].observations)


def test_both_parts_are_priced_by_todays_discriminator():
    run = dac("sac", expert_share=0.5)
    batch = batch_of(run)
    actions = executed_actions(batch.actions, run.generator.action_space)
    rows = Batch(batch.observations, actions, batch.next_observations, batch.dones.flatten())
    torch.testing.assert_close(batch.rewards.flatten(), run.price(rows))
    run.learner.update(run._demonstrations[:4], rows[:4])
    assert not torch.equal(run.price(rows), batch.rewards.flatten())


def test_the_discriminator_sees_only_the_generators_own_as_fake():
    run = dac("sac", expert_share=0.5)
    seen = []
    update = run.learner.update
    run.learner.update = lambda real, fake, **keywords: seen.append(fake.observations) or update(real, fake, **keywords)
    run.learn(60)
    stored = run.generator.replay_buffer
    own = stored.observations[: stored.size(), 0]
    assert all((own == row.numpy()).all(axis=1).any() for rows in seen for row in rows)


def test_an_end_of_a_demonstration_is_worth_what_absorbing_states_are():
    run = dac("sac", expert_share=0.5, learns_absorbing=True).learn(60)
    run.absorbing.value = 1000.0
    samples = run.expert.draw(len(run.expert), None)
    is_end = samples.dones.flatten() != 0
    assert is_end.any()
    assert (samples.rewards.flatten()[is_end] > 500).all()
    assert (samples.rewards.flatten()[~is_end] < 500).all()


def test_without_a_share_it_is_dac():
    runs = [dac("sac", **options).learn(80) for options in ({}, {"expert_share": 0.0}, {"expert_share": 0.5})]
    plain, none, half = (flat(run.policy) for run in runs)
    assert torch.equal(plain, none)
    assert not torch.equal(plain, half)


def test_the_generator_is_given_back_without_the_demonstrations(tmp_path):
    run = dac("sac", expert_share=0.5)
    run.learn(60, callback=CheckpointCallback(20, str(tmp_path), save_replay_buffer=True))
    assert type(run.generator.replay_buffer) is ReplayBuffer
    assert type(load_from_pkl(next(tmp_path.glob("*replay_buffer*.pkl")))) is ReplayBuffer


def test_the_draws_go_on_where_they_were_saved(tmp_path):
    run = dac("sac", expert_share=0.5).learn(60)
    run.save(tmp_path / "run")
    options = {"batch_size": 16, "hidden_sizes": (8,), "expert_share": 0.5}
    loaded = type(run).load(tmp_path / "run", counting("sac"), demonstrations(CountingEnv()), **options)
    np.testing.assert_array_equal(*(one.expert.draw(8, None).observations for one in (run, loaded)))


@pytest.mark.parametrize("share", [-0.1, 1.0, 2])
def test_other_shares_are_refused(share):
    with pytest.raises(ConfigurationError, match=r"expert_share: given .*; expected a number from 0 to below 1"):
        dac("sac", expert_share=share)
