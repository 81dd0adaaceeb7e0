"""FAIRL, WAIL, GAIfO, AMP and VAIL: what each makes of GAIL's parts."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from ganq_irl.algorithms import ALGORITHMS, BC
from ganq_irl.algorithms.bc import BCSettings
from ganq_irl.algorithms.gail import GAILSettings
from ganq_irl.discriminator import BottleneckDiscriminator
from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.off_policy.pricing import latest_indices, latest_rewards
from ganq_irl.types import Batch
from tests.scripted import demonstrations, generator, imitator, walk


def logit(run, rows):
    return run.learner.discriminator.score(run.learner.discriminator.encode(rows))


def trained(algorithm, **options):
    """With scores that are not all near 0."""
    run = imitator(algorithm, generator("ppo"), learning_rate=0.01, absorbing=False, **options).learn(128)
    rows = run._demonstrations
    with torch.no_grad():
        score = logit(run, rows)
    assert score.std() > 1e-3
    return run, rows, score


def test_fairl_pays_minus_the_log_ratio_times_the_ratio():
    run, rows, score = trained("fairl")
    torch.testing.assert_close(run.price(rows), -score * torch.exp(score))
    assert run.learner.loss.name == "bce"


def test_wail_pays_a_wasserstein_critics_score():
    run, rows, score = trained("wail")
    torch.testing.assert_close(run.price(rows), score)
    (stabilizer,) = run.learner.stabilizers
    assert stabilizer.settings() == {"name": "gradient-penalty", "weight": 10.0}
    real, fake = torch.tensor([2.0]), torch.tensor([-1.0])
    assert (run.learner.loss.real(real) + run.learner.loss.fake(fake)).item() == -3
    with pytest.raises(ConfigurationError, match="use the reward 'score'"):
        imitator("wail", generator("ppo"), reward="logit")


def test_gaifo_sees_states_and_what_follows_them():
    run, rows, score = trained("gaifo")
    assert run.learner.discriminator.encoder.fields == ("observations", "next_observations")
    torch.testing.assert_close(run.price(rows), score)
    for change, same in (({"actions": rows.actions + 1}, True), ({"next_observations": rows.observations}, False)):
        fields = {"observations": rows.observations, "actions": rows.actions, "next_observations": rows.next_observations}
        assert torch.equal(run.price(Batch(**{**fields, **change}, dones=rows.dones)), run.price(rows)) == same
    with pytest.raises(ConfigurationError, match="remove 'actions', or use GAIL"):
        imitator("gaifo", generator("ppo"), inputs=("observations", "actions"))


def test_amp_adds_the_environments_reward_to_that_of_a_least_squares_score():
    run, rows, score = trained("amp", task_weight=0.25)
    assert run.learner.discriminator.encoder.fields == ("observations", "next_observations")
    torch.testing.assert_close(run.price(rows), 0.75 * (1 - (1 - score.clamp(0, 1)).square()))
    (stabilizer,) = run.learner.stabilizers
    assert stabilizer.settings() == {"name": "r1", "weight": 10.0}


@pytest.mark.parametrize(("algorithm", "name"), [("gail", "ppo"), ("gail", "sac"), ("dac", "sac"), ("dac", "dqn")])
def test_a_task_weight_mixes_the_discriminators_reward_with_the_environments(algorithm, name):
    class Captured(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            self.learned = latest_rewards(self.model, 16)

    def learned(**options):
        captured, model = Captured(), generator(name, walk(name, limit=1000))
        run = imitator(algorithm, model, frozen=True, absorbing=False, **options)
        run.learn(64 if name == "ppo" else 42, callback=captured)  # up to the first update, so that the policy is the same
        return captured.learned, model

    style, _ = learned()
    mixed, model = learned(task_weight=0.25)
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        paid = (mixed - 0.75 * style) / 0.25
        assert np.ptp(paid) > 0
        assert (paid <= 1e-4).all()  # WalkEnv pays minus its distance from the origin
    else:
        paid = buffer.rewards[latest_indices(buffer, 16)].ravel()
        assert np.ptp(paid) > 0
        np.testing.assert_allclose(mixed, 0.75 * style + 0.25 * paid, rtol=1e-4, atol=1e-5)


def test_demonstrations_in_the_generators_batches_have_no_reward_of_the_environment():
    with pytest.raises(ConfigurationError, match="set one of them to 0"):
        imitator("dac", generator("sac"), expert_share=0.5, task_weight=0.5)


def test_vail_pays_by_the_mean_code():
    run, rows, _ = trained("vail", code_size=4)
    discriminator = run.learner.discriminator
    assert isinstance(discriminator, BottleneckDiscriminator)
    with torch.no_grad():
        outputs = discriminator.network(discriminator.encode(rows).features)
        expected = discriminator.network.decision(outputs[:, :4]).squeeze(1)
    torch.testing.assert_close(run.price(rows), expected)
    assert torch.equal(run.price(rows), run.price(rows))


def test_vail_raises_the_price_of_information_and_logs_it():
    class Memory(KVWriter):
        rows: list = []  # noqa: RUF012

        def write(self, key_values, key_excluded, step=0):
            self.rows.append(dict(key_values))

        def close(self):
            pass

    model = generator("ppo")
    model.set_logger(Logger(None, [Memory()]))
    run = imitator("vail", model, capacity=0.0, beta_rate=0.5, stabilizers=["label-smoothing"]).learn(192)
    assert [stabilizer.name for stabilizer in run.learner.stabilizers] == ["label-smoothing", "information"]
    logged = [row for row in Memory.rows if "discriminator/beta" in row]
    assert logged[-1]["discriminator/beta"] > logged[0]["discriminator/beta"] > 0.1
    assert logged[0]["discriminator/information"] > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_keyword_that_is_no_setting_is_refused(algorithm):
    with pytest.raises(TypeError, match="absorb"):
        ALGORITHMS[algorithm](generator("sac"), demonstrations(), absorb=True)


def test_signatures_name_the_settings_of_each_algorithm():
    signatures = {name: set(inspect.signature(algorithm).parameters) for name, algorithm in ALGORITHMS.items()}
    assert signatures["vail"] - signatures["gail"] == {"capacity", "beta_rate", "code_size"}
    assert "normalize_values" not in signatures["dac"]
    for name, algorithm in ALGORITHMS.items():
        fields = {field.name for field in dataclasses.fields(algorithm.modes["default"])}
        assert signatures[name] == fields | {"generator", "demonstrations"}
    fields = {field.name for field in dataclasses.fields(BCSettings)}
    assert set(inspect.signature(BC).parameters) == fields | {"observation_space", "action_space", "demonstrations"}


def test_settings_are_checked_alike_however_they_are_made():
    """From Python, from a table of TOML, and as settings of their own; and they never change."""
    lists = {"hidden_sizes": [8.0], "learning_rate": {"initial": 0.1, "final": 0.0}, "batch_size": 16.0}
    settings = GAILSettings(**lists)
    assert (settings.learning_rate(0.5), settings.hidden_sizes, settings.batch_size) == (0.05, (8,), 16)
    assert ALGORITHMS["gail"](generator("ppo"), demonstrations(), **lists).settings == settings
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.loss = "js"
    for make in (GAILSettings, ALGORITHMS["gail"].settings_from):
        with pytest.raises(ConfigurationError, match="batch_size: given 0; expected at least 1"):
            make(**{"batch_size": 0}) if make is GAILSettings else make({"batch_size": 0})
    with pytest.raises(ConfigurationError, match="mode: given 'paper'; GAILSettings are those of 'default'"):
        GAILSettings(mode="paper")
