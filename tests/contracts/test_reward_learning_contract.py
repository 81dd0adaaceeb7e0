"""What every algorithm keeps that learns a reward from compared segments, on-policy and off-policy."""

import numpy as np
import pytest
import torch

from ganq_irl.algorithms import ALGORITHMS, RewardLearning
from ganq_irl.errors import ConfigurationError, StorageError
from ganq_irl.rewards import RewardModel
from ganq_irl.rewards.export import PricedTransitions
from ganq_irl.storage import CONFIG_FILE, TENSORS_FILE
from tests.scripted import BRIEF, WalkEnv, demonstrations_for, flat, generator, vec_env, walk

LEARNERS = [name for name, algorithm in ALGORITHMS.items() if issubclass(algorithm, RewardLearning)]
PAIRS = [
    (algorithm, name)
    for algorithm in LEARNERS
    for name in (("ppo", "fast-ppo", "sac", "dqn") if algorithm == "preferences" else ("ppo", "sac"))
]
"""Once a ranked reward is learned, a generator trains on it as on one of preferences."""
SMALL = {"segment_length": 4, "n_updates": 5, "hidden_sizes": (8,)}
OBSERVATIONS = np.random.default_rng(0).uniform(-2, 2, (20, 2)).astype(np.float32)


def untrained(algorithm, name, seed=0, env=None, **settings):
    settings = SMALL | BRIEF.get(algorithm, {}) | settings
    return ALGORITHMS[algorithm](generator(name, env, seed=seed), demonstrations_for(name), seed=seed, **settings)


def trained(algorithm, name, seed=0, **settings):
    return untrained(algorithm, name, seed, **settings).learn(130)


@pytest.mark.parametrize(("algorithm", "name"), PAIRS)
def test_a_run_learns_on_both_sides_and_is_repeated_bit_by_bit(algorithm, name):
    start = untrained(algorithm, name)
    first, second, other = trained(algorithm, name), trained(algorithm, name), trained(algorithm, name, seed=1)
    for part in (lambda run: run.policy, lambda run: run.ensemble):
        assert torch.isfinite(flat(part(first))).all()
        assert torch.equal(flat(part(first)), flat(part(second)))
        assert not torch.equal(flat(part(first)), flat(part(start)))
        assert not torch.equal(flat(part(first)), flat(part(other)))


@pytest.mark.parametrize(("algorithm", "name"), PAIRS)
def test_a_saved_run_comes_back_and_goes_on(algorithm, name, tmp_path):
    first = trained(algorithm, name)
    first.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {CONFIG_FILE, TENSORS_FILE}
    settings = SMALL | BRIEF.get(algorithm, {})
    second = ALGORITHMS[algorithm].load(tmp_path / "run", generator(name, seed=9), demonstrations_for(name), **settings)
    rows = demonstrations_for(name).to_batch()
    np.testing.assert_array_equal(*(run.predict(OBSERVATIONS, deterministic=True)[0] for run in (first, second)))
    assert torch.equal(first.price(rows), second.price(rows))
    assert second.generator.num_timesteps == first.generator.num_timesteps
    second.learn(66, reset_num_timesteps=False)
    assert torch.isfinite(flat(second.policy)).all()


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_the_recovered_reward_is_saved_and_loaded_bit_by_bit(algorithm, tmp_path):
    run = trained(algorithm, "ppo")
    rows = demonstrations_for("ppo").to_batch()
    reward = run.recovered_reward()
    reward.save(tmp_path / "reward")
    loaded = RewardModel.load(tmp_path / "reward")
    assert torch.equal(loaded.price(rows), reward.price(rows))
    assert torch.equal(reward.price(rows), run.price(rows))
    assert reward.price(rows).std() > 0
    assert loaded.provenance == reward.provenance
    traced = PricedTransitions(loaded)  # as it is exported
    torch.testing.assert_close(traced(*traced.flat(rows)), reward.price(rows))
    assert reward.provenance["algorithm"] == algorithm


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_a_run_of_another_shape_is_refused(algorithm, tmp_path):
    trained(algorithm, "ppo").save(tmp_path / "run")
    settings = SMALL | BRIEF.get(algorithm, {})
    for changed, message in (({"hidden_sizes": (9,)}, "does not match"), ({"normalize_values": False}, "normalize_values")):
        with pytest.raises(StorageError, match=message):
            ALGORITHMS[algorithm].load(tmp_path / "run", generator("ppo"), demonstrations_for("ppo"), **(settings | changed))


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_segments_fit_into_rollouts_and_buffers(name):
    assert untrained("preferences", name, segment_length=None).segment_length == (32 if name == "ppo" else 50)
    with pytest.raises(ConfigurationError, match=r"segment_length: given 1000, but (n_steps|buffer_size) is \d+; give"):
        untrained("preferences", name, segment_length=1000)


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_a_generator_does_not_see_the_environments_reward(name):
    """A teacher that looks at observations alone: whatever the environment pays, the same is learned."""

    def nearer(left, right):
        return "left" if abs(left.observations[:, 0]).mean() < abs(right.observations[:, 0]).mean() else "right"

    runs = [trained("preferences", name, env=walk(name, bonus=bonus), teacher=nearer) for bonus in (0.0, 5.0)]
    assert torch.equal(*(flat(run.policy) for run in runs))
    assert torch.equal(*(flat(run.ensemble) for run in runs))


def test_ends_of_episodes_teach_the_level_of_a_reward():
    """Segments that end early hold fewer steps, so that the reward's zero is not arbitrary and is kept."""
    run = trained("preferences", "ppo", env=vec_env(WalkEnv, 2, 0, limit=40), segment_length=20)
    assert any(len(segment) < 20 for each in run.comparisons for segment in (each.left, each.right))
    assert torch.equal(run.ensemble.center, torch.zeros(3))
