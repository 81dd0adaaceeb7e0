"""What every algorithm that replays demonstrations keeps, with a generator of each kind that it allows."""

import numpy as np
import pytest
import torch

from ganq_irl.algorithms import ALGORITHMS, AdversarialImitation, DAgger, OffPolicyImitation, RewardLearning
from ganq_irl.errors import StorageError, UnsupportedGenerator
from ganq_irl.space_matrix import INVERSE_SOFT_Q
from ganq_irl.storage import CONFIG_FILE, TENSORS_FILE, load_folder, save_folder
from tests.scripted import OFF_POLICY, ON_POLICY, demonstrations_for, flat, generator

REPLAYED = [name for name, algorithm in ALGORITHMS.items() if issubclass(algorithm, OffPolicyImitation)]
TAUGHT_BY_IQ_LEARN = ("sac", "dqn")
EVERY = [(algorithm, name) for algorithm in REPLAYED for name in (*ON_POLICY, *OFF_POLICY)]
REFUSED = [
    (algorithm, name)
    for algorithm, name in EVERY
    if name in ON_POLICY or (algorithm in INVERSE_SOFT_Q and name not in TAUGHT_BY_IQ_LEARN)
]
OF_EACH_KIND = ("sac", "td3", "dqn", "gan-q-continuous")
ALLOWED = [pair for pair in EVERY if pair not in REFUSED and pair[1] in OF_EACH_KIND]

OBSERVATIONS = np.random.default_rng(0).uniform(-2, 2, (20, 2)).astype(np.float32)


def small(name, seed=0):
    """A generator; SAC's entropy coefficient is fixed, as IQ-Learn wants it."""
    return generator(name, seed=seed, **({"ent_coef": 0.1} if name == "sac" else {}))


def untrained(algorithm, name, seed=0):
    return ALGORITHMS[algorithm](small(name, seed), demonstrations_for(name), seed=seed)


def trained(algorithm, name, n_steps=66, seed=0):
    return untrained(algorithm, name, seed).learn(n_steps)


def test_every_algorithm_is_held_by_one_contract_or_the_other():
    assert ["sqil", *INVERSE_SOFT_Q] == REPLAYED
    families = AdversarialImitation | OffPolicyImitation | RewardLearning | DAgger
    assert all(issubclass(algorithm, families) for algorithm in ALGORITHMS.values())


@pytest.mark.parametrize(("algorithm", "name"), REFUSED)
def test_combinations_that_have_no_meaning_are_refused_in_one_sentence(algorithm, name):
    with pytest.raises(UnsupportedGenerator, match="; use ") as error:
        untrained(algorithm, name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("algorithm", "name"), ALLOWED)
def test_a_run_learns_and_is_repeated_bit_by_bit(algorithm, name):
    start = flat(untrained(algorithm, name).policy)
    first, second = trained(algorithm, name), trained(algorithm, name)
    assert torch.isfinite(flat(first.policy)).all()
    assert not torch.equal(flat(first.policy), start)
    assert torch.equal(flat(first.policy), flat(second.policy))
    assert not torch.equal(flat(first.policy), flat(trained(algorithm, name, seed=1).policy))


@pytest.mark.parametrize(("algorithm", "name"), ALLOWED)
def test_a_saved_run_comes_back_and_goes_on(algorithm, name, tmp_path):
    first = trained(algorithm, name)
    first.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {CONFIG_FILE, TENSORS_FILE}
    second = ALGORITHMS[algorithm].load(tmp_path / "run", small(name, seed=9), demonstrations_for(name))
    assert torch.equal(flat(first.policy), flat(second.policy))
    np.testing.assert_array_equal(*(run.predict(OBSERVATIONS, deterministic=True)[0] for run in (first, second)))
    assert second.generator.num_timesteps == first.generator.num_timesteps
    assert second.generator._n_updates == first.generator._n_updates > 0
    # The next demonstrations are those that the first would have drawn.
    assert torch.equal(*(run.expert.draw(16, None).observations for run in (first, second)))
    second.learn(66, reset_num_timesteps=False)
    assert second.generator._n_updates > first.generator._n_updates
    assert torch.isfinite(flat(second.policy)).all()


@pytest.mark.parametrize("algorithm", REPLAYED)
def test_a_run_of_another_kind_is_refused(algorithm, tmp_path):
    untrained(algorithm, "sac").save(tmp_path / "run")
    other = next(name for name in REPLAYED if name != algorithm)
    for cls, name, message in (
        (ALGORITHMS[other], "sac", f"saved with the algorithm '{algorithm}'"),
        (ALGORITHMS[algorithm], "dqn", "saved with the generator 'SAC'"),
    ):
        with pytest.raises(StorageError, match=message):
            cls.load(tmp_path / "run", small(name), demonstrations_for(name))
    model = generator("sac", ent_coef=0.1, policy_kwargs={"net_arch": [9]})
    with pytest.raises(StorageError, match="does not match the generator"):
        ALGORITHMS[algorithm].load(tmp_path / "run", model, demonstrations_for("sac"))
    config, tensors = load_folder(tmp_path / "run")
    save_folder(tmp_path / "run", {**config, "schema": 99}, tensors)
    with pytest.raises(StorageError, match="schema 99"):
        ALGORITHMS[algorithm].load(tmp_path / "run", small("sac"), demonstrations_for("sac"))
