"""Weights & Biases, which is an extra: what it is told, by a stand-in that remembers."""

import json
import sys
import types

import pytest
from click.testing import CliRunner
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl_cli import main

TRAIN = ["train", "dqn", "--env", "CartPole-v1", "--preset", "none", "--device", "cpu", "--timesteps", "48"]
SMALL = ["--set", "generator_kwargs.learning_starts=16", "--set", "evaluation.episodes=1", "--json"]


class Wandb:
    """The calls that were made, in their order."""

    def __init__(self, run_folder):
        self.calls, self.summary, self.run_folder = [], {}, run_folder

    def init(self, **keywords):
        self.calls.append(("init", keywords, list(self.run_folder.glob("events.out.tfevents.*"))))
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.calls.append(("finish", int(kind is not None)))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "my-run"


@pytest.fixture
def wandb(folder, monkeypatch):
    recorded = Wandb(folder)

    class WandbCallback(BaseCallback):
        def _on_training_start(self):
            recorded.calls.append(("begin",))

        def _on_step(self):
            return True

    modules = {name: types.ModuleType(name) for name in ("wandb", "wandb.integration", "wandb.integration.sb3")}
    modules["wandb"].init = recorded.init
    modules["wandb.integration.sb3"].WandbCallback = WandbCallback
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return recorded


def train(folder, *arguments):
    return CliRunner().invoke(main, [*TRAIN, *SMALL, "--out", str(folder), *arguments])


def test_a_run_begins_before_tensorboard_and_ends_with_the_score(wandb, folder):
    result = train(folder, "--wandb", "imitation")
    assert result.exit_code == 0, result.stderr
    assert [call[0] for call in wandb.calls] == ["init", "begin", "finish"]
    _, keywords, events = wandb.calls[0]
    assert (keywords["project"], keywords["name"], keywords["sync_tensorboard"]) == ("imitation", "my-run", True)
    assert (keywords["config"]["algo"], keywords["config"]["evaluation"]["episodes"]) == ("dqn", 1)
    assert events == []
    assert wandb.calls[-1] == ("finish", 0)
    assert wandb.summary["final/mean_return"] == json.loads(result.stdout)["mean_return"]


def test_a_run_that_fails_ends_as_failed(wandb, folder):
    result = train(folder, "--wandb", "imitation", "--set", "generator_kwargs.buffer_size=100000000000000")
    assert result.exit_code == 2
    assert "does not fit into memory" in result.stderr
    assert wandb.calls[-1] == ("finish", 1)


def test_wrong_settings_begin_none(wandb, folder):
    result = train(folder, "--wandb", "imitation", "--set", "generator_kwargs.gama=1")
    assert result.exit_code == 2
    assert wandb.calls == []


def test_it_is_an_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    result = train(folder, "--wandb", "imitation")
    assert result.exit_code == 2
    assert "pip install 'ganq-irl[wandb]'" in result.stderr
    assert not folder.exists()
