import logging
from collections import deque
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from ganq_irl.algorithms import AdversarialImitation
from ganq_irl.errors import TrainingDiverged
from ganq_irl.runs import load_run, run_experiment
from ganq_irl.runs.checkpoints import read_checkpoint
from ganq_irl.runs.monitor import HORIZON, HORIZON_OFF_POLICY, DiscriminatorMonitor, EarlyTerminationMonitor
from tests.resume_examples import record_demos, tiny_config
from tests.scripted import generator

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    return record_demos(tmp_path_factory.mktemp("demos"))


class Poison(BaseCallback):
    """Put a number that is not finite somewhere."""

    def __init__(self, step, poison):
        super().__init__()
        self.step, self.poison = step, poison

    def _on_step(self):
        if self.num_timesteps == self.step:
            self.poison(self.model, self.locals)
        return True


def parameter_of_policy(model, _):
    with torch.no_grad():
        next(model.policy.parameters()).flatten()[0] = torch.nan


def reward(_, local):
    local["rewards"][0] = np.inf


@pytest.mark.parametrize(
    "algo", ["ppo", "fast-ppo", "a2c", "trpo", "sac", "td3", "dqn", "qrdqn", "gan-q", "gan-q-continuous"]
)
def test_a_parameter_that_is_not_finite_ends_the_run(algo, tmp_path):
    with pytest.raises(TrainingDiverged, match=r"diverged at step \d+: .*the last good checkpoint is .*step-000000000064"):
        run_experiment(tiny_config(algo), tmp_path / "run", progress_bar=False, callback=Poison(70, parameter_of_policy))
    assert load_run(tmp_path / "run").info["status"] == "failed"
    for folder in (tmp_path / "run" / "checkpoints").iterdir():
        policy = read_checkpoint(folder).state()["training"]["algorithm"]["generator"]["parameters"]["policy"]
        assert all(torch.isfinite(tensor).all() for tensor in policy.values())


class Infinite(gym.Wrapper):
    def step(self, action):
        observation, *_, info = self.env.step(action)
        self.count = getattr(self, "count", 0) + 1
        return observation, np.inf if self.count == 40 else 0.0, False, False, info


gym.register("tests/Infinite-v0", lambda **kwargs: Infinite(gym.make("CartPole-v1").unwrapped), max_episode_steps=20)


@pytest.mark.parametrize("algo", ["ppo", "dqn", "gan-q"])
def test_a_reward_that_is_not_finite_is_named(algo, tmp_path):
    config = tiny_config(algo, env="tests/Infinite-v0", env_kwargs={})
    config.env_kwargs.clear()
    with pytest.raises(TrainingDiverged, match=r"at step 40: the environment's reward is inf"):
        run_experiment(config, tmp_path / "run", progress_bar=False)


def test_a_loss_that_is_not_finite_is_named(tmp_path):
    def poison(model, _):
        model.logger.record("train/value_loss", float("nan"))

    with pytest.raises(TrainingDiverged, match=r"the loss train/value_loss is nan.*holds no checkpoint yet"):
        run_experiment(tiny_config("dqn"), tmp_path / "run", progress_bar=False, callback=Poison(25, poison))


def test_a_gradient_that_is_not_finite_is_named(tmp_path):
    def poison(model, _):
        next(model.policy.parameters()).grad = torch.full_like(next(model.policy.parameters()), torch.inf)

    config = tiny_config("dqn", generator_kwargs={"learning_starts": 90})
    with pytest.raises(TrainingDiverged, match=r"at step 32: the policy's gradient \S+ is not finite"):
        run_experiment(config, tmp_path / "run", progress_bar=False, callback=Poison(31, poison))


def test_a_discriminator_that_is_not_finite_is_named(demos, tmp_path):
    config = tiny_config("gail", "ppo", demos, adversary={"learning_rate": 1e38})
    with pytest.raises(TrainingDiverged, match=r"diverged at step \d+: .*discriminator"):
        run_experiment(config, tmp_path / "run", progress_bar=False)


class Break(BaseCallback):
    """Make one quantity of a run not finite, from step 64 on, where the run looks at it next."""

    def __init__(self, quantity):
        super().__init__()
        self.quantity = quantity

    def _on_training_start(self):
        train = self.model.train

        def broken(*args, **kwargs):
            train(*args, **kwargs)
            if self.num_timesteps >= 64:
                self.model.logger.record("train/loss", float("nan"))

        if self.quantity == "loss":
            self.model.train = broken

    def _on_rollout_start(self):
        if self.num_timesteps >= 64:
            first = next(self.model.policy.parameters())
            if self.quantity == "gradient":
                first.grad = torch.full_like(first, torch.inf)
            elif self.quantity == "parameter":
                first.data.flatten()[0] = torch.nan

    def _on_step(self):
        return True


NAMED = {
    "loss": r"the loss train/loss is nan",
    "gradient": r"the policy's gradient \S+ is not finite",
    "parameter": r"the policy's parameter \S+ is not finite",
}
ADVERSARIES = [("gail", "ppo"), ("dac", "sac"), ("gan-q", None)]


@pytest.mark.parametrize("quantity", NAMED)
@pytest.mark.parametrize(("algo", "generator"), ADVERSARIES)
def test_step_quantity_and_last_good_checkpoint_are_named(algo, generator, quantity, demos, tmp_path):
    config = tiny_config(algo, generator, demos)
    with pytest.raises(
        TrainingDiverged, match=rf"diverged at step \d+: {NAMED[quantity]}.*last good checkpoint is .*step-0"
    ):
        run_experiment(config, tmp_path / "run", progress_bar=False, callback=Break(quantity))


@pytest.mark.parametrize(("algo", "generator", "value"), [("gail", "ppo", np.nan), ("dac", "sac", np.inf)])
def test_a_learned_reward_that_is_not_finite_is_named(algo, generator, value, demos, tmp_path, monkeypatch):
    class Spoiled(BaseCallback):
        def _on_step(self):
            if self.num_timesteps == 64:
                price = AdversarialImitation._reward_of
                spoiled = lambda *args: torch.full_like(price(*args), value)  # noqa: E731
                monkeypatch.setattr(AdversarialImitation, "_reward_of", spoiled)
            return True

    with pytest.raises(
        TrainingDiverged, match=r"at step \d+: the reward 'logit' is no longer finite.*good checkpoint is .*step-0"
    ):
        run_experiment(tiny_config(algo, generator, demos), tmp_path / "run", progress_bar=False, callback=Spoiled())


class Model:
    def __init__(self):
        self.logger = Logger(None, [])
        self.num_timesteps = 0

    def get_env(self):
        return None


def watched(caplog, accuracies, model=None, entropy=None):
    watch = DiscriminatorMonitor()
    watch.init_callback(model or Model())
    with caplog.at_level(logging.WARNING):
        for real, fake in accuracies:
            watch.logger.record("discriminator/real_accuracy", real)
            watch.logger.record("discriminator/fake_accuracy", fake)
            if entropy is not None:
                watch.logger.record("discriminator/entropy", entropy)
            watch.on_rollout_end()
    return watch, [record.getMessage() for record in caplog.records]


def test_a_discriminator_that_has_won_is_reported_once(caplog):
    _, messages = watched(caplog, [(1.0, 1.0)] * 50)
    assert len(messages) == 1
    assert "has won" in messages[0]
    assert "spectral-norm" in messages[0]


@pytest.mark.parametrize(("entropy", "reports"), [(0.0, 1), (0.24, 1), (0.62, 0), (float(np.log(2)), 0)])
def test_one_that_is_right_and_not_sure_still_teaches(entropy, reports, caplog):
    """0.24: DAC on a demonstration that stands upright, which learned nothing; 0.62: HalfCheetah early on, which did."""
    assert len(watched(caplog, [(1.0, 1.0)] * 50, entropy=entropy)[1]) == reports


def test_the_entropy_of_d_says_nothing_of_one_that_has_given_up(caplog):
    assert len(watched(caplog, [(0.5, 0.5)] * 50, entropy=0.69)[1]) == 1


@pytest.mark.parametrize("sides", [(0.5, 0.5), (1.0, 0.0), (0.04, 1.0)])
def test_a_discriminator_that_has_given_up_is_reported(sides, caplog):
    _, messages = watched(caplog, [sides] * 50)
    assert ["given up" in message for message in messages] == [True]


@pytest.mark.parametrize("sides", [(0.8, 0.7), (0.97, 0.99), (0.6, 0.55)])
def test_a_fair_game_is_not_reported(sides, caplog):
    assert watched(caplog, [sides] * 50)[1] == []


def test_a_few_rounds_prove_nothing(caplog):
    assert watched(caplog, [(1.0, 1.0)] * (HORIZON - 1))[1] == []


def test_off_policy_a_round_is_one_update_and_proves_less(caplog):
    model = generator("sac")
    model.set_logger(Logger(None, []))
    assert watched(caplog, [(0.5, 0.5)] * (HORIZON_OFF_POLICY - 1), model)[1] == []
    assert len(watched(caplog, [(0.5, 0.5)] * HORIZON_OFF_POLICY, model)[1]) == 1


def test_what_wavers_is_reported_once_and_what_comes_back_again(caplog):
    wavering = [(1.0, 1.0)] * 30 + [(0.98, 0.99), (1.0, 1.0)] * 20
    assert len(watched(caplog, wavering)[1]) == 1
    caplog.clear()
    back = [(1.0, 1.0)] * 30 + [(0.7, 0.7)] * 30 + [(1.0, 1.0)] * 60
    assert len(watched(caplog, back)[1]) == 2


def test_it_remembers_across_a_checkpoint(caplog):
    watch, _ = watched(caplog, [(1.0, 1.0)] * 30)
    caplog.clear()
    again = DiscriminatorMonitor()
    again.load_state_dict(watch.state_dict())
    again.init_callback(Model())
    again.logger.record("discriminator/real_accuracy", 1.0)
    again.logger.record("discriminator/fake_accuracy", 1.0)
    again.on_rollout_end()
    assert not caplog.records


def test_it_remembers_doubt_across_a_checkpoint(caplog):
    watch, _ = watched(caplog, [(1.0, 1.0)] * 30, entropy=0.62)
    again = DiscriminatorMonitor()
    again.load_state_dict(watch.state_dict())
    again.init_callback(Model())
    for name, value in {"real_accuracy": 1.0, "fake_accuracy": 1.0, "entropy": 0.0}.items():
        again.logger.record(f"discriminator/{name}", value)
    again.on_rollout_end()
    assert not caplog.records  # one sure round in ten; with the doubt forgotten it would be all that there is


def test_a_run_watches_its_discriminator_but_not_a_frozen_one(demos, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("ganq_irl.runs.monitor.WON", 0.0)
    monkeypatch.setattr("ganq_irl.runs.monitor.SURE", 1.0)
    for control, n_reports in (("frozen", 0), ("none", 1)):
        config = tiny_config("gail", "fast-ppo", demos, control=control, timesteps=192)
        with caplog.at_level(logging.WARNING):
            run_experiment(config, tmp_path / control, progress_bar=False)
        assert caplog.text.count("the discriminator has won") == n_reports


# A policy that only ends its episodes.


class Rewarded:
    """A model whose last hundred episodes, and last rewards, are given."""

    def __init__(self):
        self.logger, self.num_timesteps, self.ep_info_buffer = Logger(None, []), 0, deque(maxlen=100)
        self.rollout_buffer = SimpleNamespace(rewards=np.zeros(1))

    def get_env(self):
        return None


def ends_watched(caplog, rounds, shown=(1000, 1000)):
    """What is said where each round is a hundred episodes of one length at one mean reward."""
    model, watch = Rewarded(), EarlyTerminationMonitor(shown, timesteps=10)
    watch.init_callback(model)
    with caplog.at_level(logging.WARNING):
        for round_, (length, reward) in enumerate(rounds, 1):
            watch.num_timesteps = round_
            model.ep_info_buffer.extend({"l": length} for _ in range(100))
            model.rollout_buffer.rewards = np.array([reward - 1, reward + 1])
            watch.on_rollout_end()
    return watch, [record.getMessage() for record in caplog.records]


def test_episodes_that_negative_rewards_cut_short_are_reported_once(caplog):
    _, (message,) = ends_watched(caplog, [(20, -1.5), (12, -3.0), (9, -3.0), (6, -9.0)])
    assert "episodes last 9 steps, up to 20 before and 1000 in the demonstrations, and rewards are -3.00" in message
    assert "set adversary.absorbing=true, which counts what an end is worth" in message


@pytest.mark.parametrize(
    ("rounds", "shown"),
    [
        ([(20, -1.0), (12, -1.0)], (1000,)),  # short, but hardly shorter than before
        ([(20, 1.0), (6, 1.0)], (1000,)),  # paid for every step, and ends all the same
        ([(20, -1.0), (90, -1.0), (60, -1.0)], (100,)),  # a policy that wavers
        ([(500, -1.0), (90, -1.0)], (100,)),  # as the demonstrations are: they reach a goal
        ([(60, -1.0)] * 10, (100,)),  # past half of them when half of the steps are done
        ([(34, 1.0)] * 10, (100,)),  # paid for every step: it may just be slow to learn
    ],
)
def test_other_episodes_are_not_reported(rounds, shown, caplog):
    assert ends_watched(caplog, rounds, shown)[1] == []


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ([(500, -1.0), (120, -1.0)], "last 120 steps, up to 500 before and 1000"),
        ([(20, -1.0), (900, -1.0), (400, -1.0)], "last 400 steps, up to 900 before and 1000"),
        ([(340, -1.0)] * 10, "step 5: episodes last 340 steps, up to 340 before and 1000"),
    ],
)
def test_episodes_that_fall_short_of_the_demonstrations_are_reported(rounds, message, caplog):
    assert message in ends_watched(caplog, rounds)[1][0]


def test_nothing_is_said_of_too_few_episodes(caplog):
    model, watch = Rewarded(), EarlyTerminationMonitor([1000], timesteps=10)
    watch.init_callback(model)
    for length in (20, 6):
        model.ep_info_buffer.extend({"l": length} for _ in range(30))
        model.rollout_buffer.rewards = np.full(4, -1.0)
        watch.on_rollout_end()
    assert not caplog.records


def test_the_watch_of_ends_goes_on_from_its_state(caplog):
    watch, _ = ends_watched(caplog, [(20, -1.0)])
    again, model = EarlyTerminationMonitor([1000], timesteps=10), Rewarded()
    again.load_state_dict(watch.state_dict())
    again.init_callback(model)
    model.ep_info_buffer.extend({"l": 6} for _ in range(100))
    model.rollout_buffer.rewards = np.full(4, -1.0)
    again.on_rollout_end()
    assert "up to 20 before" in caplog.text


def test_a_run_watches_its_ends(demos, tmp_path, caplog, monkeypatch):
    for name in ("FALLEN", "SHORTENED"):
        monkeypatch.setattr(f"ganq_irl.runs.monitor.{name}", np.inf)
    monkeypatch.setattr("ganq_irl.runs.monitor.latest_rewards", lambda *_: np.full(3, -1.0))
    kept = {"stats_window_size": 2}  # episodes that lengths are averaged over
    for control, absorbing, n_reports in (("frozen", False, 0), ("none", True, 0), ("none", False, 1)):
        settings = {"control": control, "adversary": {"absorbing": absorbing}, "generator_kwargs": kept}
        config = tiny_config("gail", "fast-ppo", demos, timesteps=192, **settings)
        with caplog.at_level(logging.WARNING):
            run_experiment(config, tmp_path / f"{control}-{absorbing}", progress_bar=False)
        assert caplog.text.count("a negative reward teaches to end episodes") == n_reports
