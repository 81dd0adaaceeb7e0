"""Behavioral cloning goes on from a checkpoint as if it had never stopped."""

import multiprocessing
import os
import signal

import pytest

from ganq_irl.errors import ConfigurationError, RunDirectoryError, TrainingDiverged
from ganq_irl.runs import resume_experiment, run_experiment
from ganq_irl.runs.checkpoints import CheckpointStore
from ganq_irl.runs.interrupts import Interrupted
from tests.resume_examples import KILLED, record_demos, tiny_config, written


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    return record_demos(tmp_path_factory.mktemp("demos"))


def config(demos, **bc):
    from ganq_irl.runs import resolve_config

    env = tiny_config("ppo").env
    settings = {"algo": "bc", "env": env, "demos": demos[env], "seed": 3, "device": "cpu", "preset": "none"}
    settings |= {"checkpoint_every": 10, "bc": {"n_updates": 61, "batch_size": 16, **bc}, "evaluation": {"episodes": 1}}
    return resolve_config(settings | {"env_kwargs": {"max_episode_steps": 25}})


@pytest.fixture(scope="module")
def unbroken(demos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    run_experiment(config(demos), folder, progress_bar=False)
    return folder


def after_checkpoints(count, act, train):
    """Train in a process of its own, which does something to itself after so many checkpoints."""
    save, made = CheckpointStore.save, []

    def counted(store, *arguments):
        made.append(save(store, *arguments))
        if len(made) == count:
            act()
        return made[-1]

    def run():
        CheckpointStore.save = counted
        try:
            train()
        except Interrupted:
            os._exit(130)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    return process.exitcode


@pytest.mark.parametrize("count", [1, 3])
def test_a_killed_run_ends_bit_for_bit_as_an_unbroken_one(count, demos, unbroken, tmp_path):
    folder = tmp_path / "run"
    code = after_checkpoints(
        count, lambda: os._exit(KILLED), lambda: run_experiment(config(demos), folder, progress_bar=False)
    )
    assert code == KILLED
    assert not (folder / "policy").exists()
    resume_experiment(folder, progress_bar=False)
    assert written(folder) == written(unbroken)
    with pytest.raises(RunDirectoryError, match="is finished"):
        resume_experiment(folder)
    with pytest.raises(ConfigurationError, match="bc counts updates"):
        resume_experiment(folder, timesteps=100)


def test_killed_again_after_it_was_resumed(demos, unbroken, tmp_path):
    folder = tmp_path / "run"

    def die():
        os._exit(KILLED)

    after_checkpoints(1, die, lambda: run_experiment(config(demos), folder, progress_bar=False))
    after_checkpoints(2, die, lambda: resume_experiment(folder, progress_bar=False))
    resume_experiment(folder, progress_bar=False)
    assert written(folder) == written(unbroken)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_makes_a_checkpoint_between_epochs(name, demos, unbroken, tmp_path):
    folder = tmp_path / "run"

    def train():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it
        run_experiment(config(demos), folder, progress_bar=False)

    assert after_checkpoints(2, lambda: os.kill(os.getpid(), getattr(signal, name)), train) == 130
    assert (folder / "policy").is_dir()
    resume_experiment(folder, progress_bar=False)
    assert written(folder)["policy/tensors.safetensors"] == written(unbroken)["policy/tensors.safetensors"]


def test_another_networks_checkpoint_is_refused_in_a_sentence(demos, tmp_path):
    from ganq_irl.errors import StorageError

    folder = tmp_path / "run"
    after_checkpoints(1, lambda: os._exit(KILLED), lambda: run_experiment(config(demos), folder, progress_bar=False))
    checkpoint = CheckpointStore(folder / "checkpoints").newest()
    state = checkpoint.state()
    state["cloning"]["policy"] = {"weight": state["cloning"]["random_state"]}
    CheckpointStore(folder / "checkpoints").save(checkpoint.info, state, b"")
    with pytest.raises(StorageError, match=r"does not fit what config\.toml describes"):
        resume_experiment(folder, progress_bar=False)


def test_divergence_names_update_quantity_and_checkpoint(demos, tmp_path):
    with pytest.raises(TrainingDiverged, match=r"diverged at update \d+: the policy's parameter .* not finite.*holds none"):
        run_experiment(config(demos, learning_rate=1e30), tmp_path / "run", progress_bar=False)
