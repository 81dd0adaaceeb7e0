"""AIRL's entropy weight: minus log π of the executed action in the generator's reward, and nowhere else."""

import pytest
import torch

from ganq_irl.errors import ConfigurationError, TrainingDiverged
from ganq_irl.generators.policies.outputs import log_probs
from tests.scripted import BOX, demonstrations_for, generator, imitator


def airl(name="ppo", **options):
    return imitator("airl", generator(name), demonstrations_for(name), absorbing=False, **options)


def parts(run, rows=None):
    """f and log π, of the demonstrations unless others are given."""
    rows, discriminator = run._demonstrations if rows is None else rows, run.learner.discriminator
    return discriminator.shaped_reward(discriminator.encode(rows)), log_probs(run.generator, rows)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["ppo", "sac", "dqn"])
def test_the_reward_is_f_and_the_weighted_surprise(name, weight):
    run = airl(name, entropy_weight=weight).learn(100)
    f, log_pi = parts(run)
    assert log_pi.std() > 0
    torch.testing.assert_close(run.price(run._demonstrations), f - weight * log_pi)


def test_weight_one_beside_f_is_the_logit():
    runs = [airl(reward="f", entropy_weight=1.0), airl(reward="logit")]
    torch.testing.assert_close(*(run.price(run._demonstrations) for run in runs))


def test_it_comes_on_top_of_the_logit():
    run = airl(reward="logit", entropy_weight=0.5)
    f, log_pi = parts(run)
    torch.testing.assert_close(run.price(run._demonstrations), f - 1.5 * log_pi)


def test_a_positive_reward_has_the_whole_surprise_in_it():
    run = airl(reward="gail").learn(100)
    f, log_pi = parts(run)
    rewards = run.price(run._demonstrations)
    torch.testing.assert_close(rewards, torch.nn.functional.softplus(f - log_pi))
    assert (rewards > 0).all()
    torch.testing.assert_close(run.recovered_reward().price(run._demonstrations), airl_g(run))


def airl_g(run):
    discriminator = run.learner.discriminator
    return discriminator.reward(discriminator.encode(run._demonstrations)).detach()


def test_without_it_nothing_changes():
    given, default = (airl(**options).learn(64) for options in ({"entropy_weight": 0.0}, {}))
    assert torch.equal(given.price(given._demonstrations), default.price(default._demonstrations))


def test_the_policy_is_paid_for_the_action_that_was_executed():
    """Beyond the bounds a Gaussian's density falls without end, and so would the pay for going there rise."""
    run = airl(entropy_weight=1.0)
    with torch.no_grad():
        run.policy.log_std.fill_(2.0)  # most actions are clipped
    run.learn(64)
    recorded = []
    price = run.price
    run.price = lambda batch: recorded.append(batch) or price(batch)
    run.learn(64, reset_num_timesteps=False)
    (rollout,) = recorded
    assert (rollout.actions.abs() == BOX.high[0]).float().mean() > 0.5
    assert rollout.actions.abs().max() <= BOX.high[0]
    f, log_pi = parts(run, rollout)
    torch.testing.assert_close(price(rollout), f - log_pi)


def test_the_recovered_reward_knows_no_policy():
    weighted, plain = airl(entropy_weight=0.7), airl()
    rows = plain._demonstrations
    assert torch.equal(weighted.recovered_reward().price(rows), plain.recovered_reward().price(rows))


def test_a_run_with_it_is_saved_and_loaded(tmp_path):
    run = airl(entropy_weight=0.2).learn(64)
    run.save(tmp_path / "run")
    options = {"batch_size": 16, "hidden_sizes": (8,), "n_updates": 2, "entropy_weight": 0.2, "absorbing": False}
    loaded = type(run).load(tmp_path / "run", generator("ppo"), demonstrations_for("ppo"), **options)
    assert torch.equal(loaded.price(run._demonstrations), run.price(run._demonstrations))


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_other_weights_are_refused(weight):
    with pytest.raises(ConfigurationError, match="entropy_weight: given"):
        airl(entropy_weight=weight)


def test_an_infinite_surprise_stops_the_run():
    run = airl(entropy_weight=0.1)
    with torch.no_grad():
        run.policy.log_std.fill_(-60.0)
    with pytest.raises(TrainingDiverged, match="no longer finite"):
        run.price(run._demonstrations)
