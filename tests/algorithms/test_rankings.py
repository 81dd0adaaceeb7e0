"""T-REX and D-REX: a ranking teaches a reward, which ranks behavior beyond what was shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms import DREX, TREX
from ganq_irl.errors import ConfigurationError
from ganq_irl.feedback import compare_ranked, cut_segments
from ganq_irl_demos import Demonstrations, Trajectory
from tests.scripted import BOX, WalkEnv, demonstrations_for, flat, generator, pushed_home, walk

QUICK = {"segment_length": 6, "hidden_sizes": (32,), "n_updates": 60, "n_comparisons": 150, "learning_rate": 1e-2}
SMALL = {"segment_length": 4, "hidden_sizes": (8,), "n_updates": 5, "n_comparisons": 20}


def at_distance(distance, seed, length=12):
    """An episode around ``|x| = distance``; its return falls with the distance."""
    rng = np.random.default_rng(seed)
    x = rng.choice([-1.0, 1.0]) * distance + 0.1 * rng.normal(size=length + 1)
    observations = np.stack([x, 0.1 * rng.normal(size=length + 1)], axis=1).astype(np.float32)
    actions = rng.uniform(-1, 1, size=(length, 1)).astype(np.float32)
    return Trajectory(observations, actions, -np.abs(observations[1:, 0]), truncated=True)


def shown(distances, repeats=4):
    episodes = [at_distance(distance, seed) for distance in distances for seed in range(repeats)]
    return Demonstrations(episodes, WalkEnv().observation_space, BOX)


def scores(run, distances):
    """Mean learned reward around each distance."""
    return [run.price(shown([distance]).to_batch()).mean().item() for distance in distances]


def test_a_ranking_teaches_a_reward_that_goes_on_beyond_the_best_demonstration():
    run = TREX(generator("ppo"), shown([1.0, 1.5, 2.0, 2.5]), **QUICK)
    run.learn_reward()
    distances = [0.25, 0.5, 1.0, 1.75, 2.5]
    found = scores(run, distances)
    assert spearmanr(found, distances).statistic == pytest.approx(-1)
    assert found[0] > found[2] + 0.2  # nothing that was shown is as near to 0


def test_ranks_are_given_or_follow_the_returns():
    demos = shown([1.0, 2.0])
    by_returns, given, reversed_ = (
        TREX(generator("ppo"), demos, **SMALL, ranks=ranks)
        for ranks in (None, demos.returns.tolist(), (-demos.returns).tolist())
    )
    for run in (by_returns, given, reversed_):
        run.learn_reward()
    assert torch.equal(flat(by_returns.ensemble), flat(given.ensemble))
    assert not torch.equal(flat(by_returns.ensemble), flat(reversed_.ensemble))


def test_the_ranks_in_a_file_count_more_than_returns(caplog):
    demos = shown([1.0, 2.0])
    places = [float(place) for place in range(len(demos))]
    ranked = replace(demos, trajectories=[replace(one, rank=place) for one, place in zip(demos, places, strict=True)])
    assert demos.returns[0] > demos.returns[-1]
    run = TREX(generator("ppo"), ranked, **SMALL)
    assert run.ranks == places
    assert TREX(generator("ppo"), ranked, **SMALL, ranks=places[::-1]).ranks == places[::-1]
    with caplog.at_level("INFO"):
        run.learn_reward()
    assert f"ranked {len(demos)} demonstrations by their ranks" in caplog.text


def test_segments_of_the_higher_rank_are_preferred_on_either_side():
    rng = np.random.default_rng(0)
    demos = [at_distance(distance, 0) for distance in (1.0, 2.0, 3.0)]
    draw = [lambda n, one=one: cut_segments([one], n, 4, rng) for one in demos]
    comparisons = compare_ranked(draw, [3, 2, 1], 200, rng)
    sides = [[abs(side.observations[:, 0]).mean() for side in (each.left, each.right)] for each in comparisons]
    assert [each.answer for each in comparisons] == ["left" if left < right else "right" for left, right in sides]
    assert 60 < sum(each.answer == "left" for each in comparisons) < 140


def test_ranks_within_the_margin_are_not_compared():
    rng = np.random.default_rng(0)
    draw = [lambda n, place=place: [at_distance(place, 0)] * n for place in (1.0, 2.0, 3.0)]
    comparisons = compare_ranked(draw, [0.0, 0.1, 0.5], 50, rng, margin=0.45)
    assert all(abs(abs(each.left.observations[:, 0]).mean() - 2.0) > 0.5 for each in comparisons)
    with pytest.raises(ConfigurationError, match="nothing can be ranked: 3 ranks from 0 to 0"):
        compare_ranked(draw, [0, 0, 0], 5, rng)


def test_more_noise_is_worse_so_that_the_expert_need_not_be_ranked():
    demos = pushed_home(WalkEnv(generator("dqn").action_space), 20)
    run = DREX(generator("dqn"), demos, **QUICK, n_clone_updates=100, noise_steps=400)
    run.learn_reward()
    near, far = scores(run, [0.2]), scores(run, [2.0])
    assert near[0] > far[0] + 0.3


def test_clones_leave_normalization_and_the_policy_as_they_were():
    env = VecNormalize(walk("ppo"), norm_reward=False)
    model = generator("ppo", env)
    before = env.obs_rms.mean.copy(), flat(model.policy)
    run = DREX(model, demonstrations_for("ppo"), **SMALL, n_clone_updates=5, noise_steps=40)
    run.learn_reward()
    np.testing.assert_array_equal(env.obs_rms.mean, before[0])
    assert torch.equal(flat(model.policy), before[1])
    assert env.training


@pytest.mark.parametrize(
    ("algorithm", "settings", "message"),
    [
        (TREX, {"ranks": [1.0]}, "ranks: given 1 for 4 demonstrations"),
        (TREX, {"ranks": [1.0] * 4}, "nothing can be ranked"),
        (TREX, {"segment_length": 100}, "segment_length: given 100, but the longest demonstration is"),
        (DREX, {"noises": [0.0, 2.0]}, r"noises: given \[0.0, 2.0\]; expected shares"),
        (
            DREX,
            {"noises": [0.1, 0.2], "noise_margin": 0.5, "noise_steps": 40, "n_clone_updates": 2},
            "nothing can be ranked",
        ),
        (DREX, {"segment_length": 11, "noise_steps": 10, "n_clone_updates": 2}, "no episode of the clone had 11 steps"),
    ],
)
def test_wrong_settings_are_refused(algorithm, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        algorithm(generator("ppo"), demonstrations_for("ppo"), **(SMALL | settings)).learn(64)


def test_demonstrations_without_rewards_need_ranks():
    unpaid = Demonstrations(
        [Trajectory(one.observations, one.actions, None, truncated=True) for one in shown([1.0, 2.0])],
        WalkEnv().observation_space,
        BOX,
    )
    with pytest.raises(ConfigurationError, match="holds neither ranks nor rewards to rank by; give a column rank"):
        TREX(generator("ppo"), unpaid, **SMALL)
