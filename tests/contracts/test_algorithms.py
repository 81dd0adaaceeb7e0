"""What every adversarial algorithm keeps, with every generator it allows, every loss and every reward form."""

import functools
import itertools
import json
import pickle

import numpy as np
import pytest
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from ganq_irl.algorithms import ALGORITHMS, AdversarialImitation
from ganq_irl.discriminator import LOSSES
from ganq_irl.errors import ConfigurationError, StorageError, UnsupportedGenerator
from ganq_irl.rewards import REWARD_FORMS, RewardModel
from ganq_irl.storage import CONFIG_FILE, TENSORS_FILE, load_folder, save_folder
from tests.scripted import HAVE_NO_LOG_PROB, OFF_POLICY, ON_POLICY, demonstrations_for, flat, generator, imitator

ADVERSARIAL = [name for name, algorithm in ALGORITHMS.items() if issubclass(algorithm, AdversarialImitation)]
OF_EACH_KIND = {"airl": ("ppo", "fast-ppo", "a2c", "sac", "tqc", "dqn", "qrdqn"), "dac": ("sac", "td3", "dqn", "gan-q")}
"""GAIL meets every generator. Others do with one what GAIL does; AIRL also needs densities, and DAC a replay."""
ALLOWED = [
    (algorithm, name)
    for algorithm in ADVERSARIAL
    for name in ((*ON_POLICY, *OFF_POLICY) if algorithm == "gail" else OF_EACH_KIND.get(algorithm, ("ppo", "sac")))
]
REFUSED = [("airl", name) for name in HAVE_NO_LOG_PROB] + [("dac", name) for name in ON_POLICY]

OBSERVATIONS = np.random.default_rng(0).uniform(-2, 2, (20, 2)).astype(np.float32)


def trained(algorithm, name, n_steps=66, seed=0, **options):
    return imitator(algorithm, generator(name, seed=seed), demonstrations_for(name), seed=seed, **options).learn(n_steps)


@functools.cache
def shared(algorithm, name):
    """A trained run that no test trains on."""
    return trained(algorithm, name)


def same_predictions(first, second):
    np.testing.assert_array_equal(*(model.predict(OBSERVATIONS, deterministic=True)[0] for model in (first, second)))


@pytest.mark.parametrize(("algorithm", "name"), REFUSED)
def test_combinations_that_have_no_meaning_are_refused_in_one_sentence(algorithm, name):
    with pytest.raises(UnsupportedGenerator, match=rf"; use .* as its generator, or gail with {name}$") as error:
        imitator(algorithm, generator(name), demonstrations_for(name))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("algorithm", "name"), ALLOWED)
def test_a_run_learns_on_both_sides_and_is_repeated_bit_by_bit(algorithm, name):
    start = imitator(algorithm, generator(name), demonstrations_for(name))
    policy, discriminator = flat(start.policy), flat(start.learner.discriminator)
    first, second = shared(algorithm, name), trained(algorithm, name)
    for before, runs in (
        (policy, [flat(run.policy) for run in (first, second)]),
        (discriminator, [flat(run.learner.discriminator) for run in (first, second)]),
    ):
        assert torch.isfinite(runs[0]).all()
        assert not torch.equal(runs[0], before)
        assert torch.equal(*runs)
    rows = first._demonstrations
    assert torch.equal(first.recovered_reward().price(rows), second.recovered_reward().price(rows))


@pytest.mark.parametrize(("algorithm", "name"), ALLOWED)
def test_a_saved_run_comes_back_and_goes_on(algorithm, name, tmp_path):
    first = shared(algorithm, name)
    first.save(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {CONFIG_FILE, TENSORS_FILE}
    options = {"batch_size": 16, "hidden_sizes": (8,), "n_updates": 2}
    second = ALGORITHMS[algorithm].load(tmp_path / "run", generator(name, seed=9), demonstrations_for(name), **options)
    same_predictions(first, second)
    assert torch.equal(flat(first.policy), flat(second.policy))
    assert torch.equal(flat(first.learner.discriminator), flat(second.learner.discriminator))
    assert torch.equal(
        first.recovered_reward().price(first._demonstrations), second.recovered_reward().price(first._demonstrations)
    )
    assert second.generator.num_timesteps == first.generator.num_timesteps
    assert second.learner.n_updates == first.learner.n_updates > 0
    if isinstance(first.generator, OnPolicyAlgorithm):
        assert second._values.state_dict() == first._values.state_dict()
    # The next batches of both sides are those that the first would have drawn.
    assert torch.equal(*(run._sampler.state_dict()["left"] for run in (first, second)))
    assert torch.equal(first._sampler.draw(16), second._sampler.draw(16))
    assert first._numpy_rng.random() == second._numpy_rng.random()
    second.learn(66, reset_num_timesteps=False)
    assert second.learner.n_updates > first.learner.n_updates
    assert torch.isfinite(flat(second.policy)).all()
    assert torch.isfinite(flat(second.learner.discriminator)).all()


@pytest.mark.parametrize(
    ("algorithm", "name", "form"),
    [
        ("gail", "ppo", "logit"),
        ("airl", "sac", "g"),
        ("dac", "sac", "logit"),
        ("fairl", "ppo", "fairl"),
        ("wail", "ppo", "score"),
        ("vail", "ppo", "logit"),
        ("gaifo", "ppo", "logit"),
        ("amp", "ppo", "amp"),
    ],
)
def test_the_recovered_reward_is_saved_and_loaded_bit_by_bit(algorithm, name, form, tmp_path):
    run = trained(algorithm, name)
    reward = run.recovered_reward()
    reward.save(tmp_path / "reward")
    loaded = RewardModel.load(tmp_path / "reward")
    rows = run._demonstrations
    assert torch.equal(loaded.price(rows), reward.price(rows))
    assert torch.isfinite(reward.price(rows)).all()
    assert reward.provenance["algorithm"] == algorithm
    assert loaded.provenance == reward.provenance
    assert loaded.form.name == form
    before = reward.price(rows)
    run.learn(66, reset_num_timesteps=False)
    assert torch.equal(reward.price(rows), before)  # a copy: training on does not change it


class Exploit:
    """A pickle of it creates a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["run", "reward"])
@pytest.mark.parametrize("target", [CONFIG_FILE, TENSORS_FILE])
def test_a_pickle_in_place_of_a_file_is_not_executed(kind, target, tmp_path):
    folder, load = saved(kind, tmp_path)
    (folder / target).write_bytes(pickle.dumps(Exploit(tmp_path / "owned")))
    with pytest.raises(StorageError):
        load()
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("kind", ["run", "reward"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / CONFIG_FILE).write_text(
            (folder / CONFIG_FILE).read_text().replace("bce", "js", 1).replace("gail", "airl", 1)
        ),
        lambda folder: (folder / TENSORS_FILE).write_bytes((folder / TENSORS_FILE).read_bytes()[:-8]),
        lambda folder: (folder / TENSORS_FILE).write_bytes(flip((folder / TENSORS_FILE).read_bytes())),
        lambda folder: (folder / TENSORS_FILE).unlink(),
        lambda folder: (folder / CONFIG_FILE).write_text("[]"),
    ],
    ids=["config", "truncated", "flipped", "missing", "no-dict"],
)
def test_altered_files_are_refused(kind, damage, tmp_path):
    folder, load = saved(kind, tmp_path)
    load()
    damage(folder)
    with pytest.raises(StorageError):
        load()


def flip(content):
    return content[:-1] + bytes([content[-1] ^ 1])


def saved(kind, tmp_path):
    """A folder, and how to load it."""
    run = imitator("gail", generator("ppo"))
    folder = tmp_path / kind
    (run if kind == "run" else run.recovered_reward()).save(folder)
    if kind == "reward":
        return folder, lambda: RewardModel.load(folder)
    options = {"batch_size": 16, "hidden_sizes": (8,), "n_updates": 2}
    return folder, lambda: ALGORITHMS["gail"].load(folder, generator("ppo"), demonstrations_for("ppo"), **options)


@pytest.mark.parametrize(
    ("algorithm", "name", "options", "message"),
    [
        ("airl", "ppo", {}, "saved with the algorithm 'gail'"),
        ("gail", "a2c", {}, "saved with the generator 'PPO'"),
        ("gail", "ppo", {"hidden_sizes": (9,)}, "does not match the generator"),
        ("gail", "ppo", {"normalize_values": False}, "normalize_values"),
    ],
)
def test_a_run_of_another_kind_is_refused(algorithm, name, options, message, tmp_path):
    saved("run", tmp_path)
    options = {"batch_size": 16, "hidden_sizes": (8,), **options}
    with pytest.raises(StorageError, match=message):
        ALGORITHMS[algorithm].load(tmp_path / "run", generator(name), demonstrations_for(name), **options)


def test_a_newer_schema_is_refused(tmp_path):
    for kind in ("run", "reward"):
        folder, load = saved(kind, tmp_path)
        config, tensors = load_folder(folder)
        save_folder(folder, {**config, "schema": 99}, tensors)
        with pytest.raises(StorageError, match="schema 99"):
            load()


# Losses and reward forms.


LOSSES_AND_FORMS = [
    (("gail", "airl")[(i + j) % 2], loss, form)  # every pair, with the two discriminators by turns
    for (i, loss), (j, form) in itertools.product(enumerate(LOSSES), enumerate(REWARD_FORMS))
]


@pytest.mark.once
@pytest.mark.parametrize(("algorithm", "loss", "form"), LOSSES_AND_FORMS)
def test_every_loss_and_form_runs_or_says_what_to_use(algorithm, loss, form):
    model = generator("ppo")
    shaped, reads_ratio = algorithm == "airl", REWARD_FORMS[form].of_log_ratio is not None
    if REWARD_FORMS[form].needs_shaped and not shaped:
        with pytest.raises(ConfigurationError, match="use AIRL, or the reward 'logit'"):
            imitator(algorithm, model, loss=loss, reward=form)
        return
    if reads_ratio and not LOSSES[loss].has_log_ratio:
        with pytest.raises(ConfigurationError, match="use the reward 'f' or 'g'" if shaped else "use the reward 'score'"):
            imitator(algorithm, model, loss=loss, reward=form)
        return
    run = imitator(algorithm, model, loss=loss, reward=form, learning_rate=0.01).learn(64)
    rewards = run.price(run._demonstrations)
    assert rewards.shape == (len(run._demonstrations),)
    assert torch.isfinite(rewards).all()
    assert rewards.std() > 0
    sign = REWARD_FORMS[form].sign
    assert sign == "both" or (torch.sign(rewards) == {"positive": 1, "negative": -1}[sign]).all()
    assert torch.isfinite(run.recovered_reward().price(run._demonstrations)).all()


def test_configs_are_plain_json(tmp_path):
    saved("reward", tmp_path)
    config = json.loads((tmp_path / "reward" / CONFIG_FILE).read_text())
    assert config["form"] == "logit"
    assert config["observation_space"]["type"] == "Box"
