import errno
import json
import logging
import multiprocessing
import os
import shutil
import signal
import time

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ganq_irl.errors import CheckpointFailed, ConfigurationError, RunDirectoryError, StorageError
from ganq_irl.files import locked
from ganq_irl.runs import load_run, resume_experiment, run_experiment
from ganq_irl.runs.checkpoints import CheckpointStore, files, read_checkpoint
from ganq_irl.runs.checkpoints.training import _callback_state, _load_callbacks
from ganq_irl.runs.interrupts import Interrupted
from ganq_irl.runs.monitor import DiscriminatorMonitor, EarlyTerminationMonitor
from tests.resume_examples import CopyAt, record_demos, rows, run_and_kill, tiny_config, written

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    return record_demos(tmp_path_factory.mktemp("demos"))


@pytest.fixture(scope="module")
def config():
    return tiny_config("fast-ppo")


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run_experiment(config, folder, progress_bar=False)
    return folder


@pytest.fixture(scope="module")
def dead(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "dead"
    run_and_kill(config, folder, 90)
    return folder


@pytest.fixture
def killed(dead, tmp_path):
    """A run that died at step 90, with checkpoints of 32 and 64."""
    return shutil.copytree(dead, tmp_path / "killed")


def checkpoint_of(folder, step):
    return folder / "checkpoints" / f"step-{step:012d}"


def same(first, second):
    assert written(first) == written(second)
    assert rows(first) == rows(second)


def hold(config, folder, step):
    """A run that dies at a step goes on to the end of one that does not."""
    whole, killed = folder / "whole", folder / "killed"
    run_experiment(config, whole, progress_bar=False, callback=CopyAt(step, whole, killed))
    resume_experiment(killed, progress_bar=False)
    same(killed, whole)


class At(BaseCallback):
    """Do something at a step."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action = step, action

    def _on_step(self):
        if self.num_timesteps == self.step:
            self.action(self)
        return True


# What goes on.

SETTINGS = {
    "several environments, normalized, with evaluations and a schedule": {
        "normalize_observations": True,
        "n_envs": 2,
        "evaluation": {"episodes": 1, "every": 20, "keep_best": "return"},
        "generator_kwargs": {"learning_rate": {"initial": 1e-2, "final": 0.0}},
    },
    "state-dependent exploration": {"generator_kwargs": {"use_sde": True, "sde_sample_freq": 4}},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("algo", ["a2c", "sac"])
def test_settings_that_remember(algo, settings, tmp_path):
    config = tiny_config(algo, **settings)
    hold(config, tmp_path, 46)


@pytest.mark.parametrize("algo", ["sac", "dqn"])
def test_random_actions_before_learning_go_on(algo, tmp_path):
    config = tiny_config(algo, generator_kwargs={"learning_starts": 80})
    hold(config, tmp_path, 46)


def test_random_actions_that_last_go_on(tmp_path):
    config = tiny_config("gan-q", n_envs=2, generator_kwargs={"exploration_zeta": 1.2, "train_freq": 4})
    hold(config, tmp_path, 46)


@pytest.mark.parametrize("kind", ["normal", "ornstein-uhlenbeck"])
def test_action_noise_goes_on(kind, tmp_path):
    noise = {"kind": kind, "sigma": 0.3}
    config = tiny_config("td3", n_envs=2, generator_kwargs={"action_noise": noise, "train_freq": 1, "gradient_steps": 1})
    hold(config, tmp_path, 46)


@pytest.mark.parametrize(
    "stabilizers", [["fake-replay", "averaged-discriminator"], ["historical-averaging", "instance-noise"]]
)
def test_stabilizers_and_absorbing_states_go_on(stabilizers, demos, tmp_path):
    adversary = {"stabilizers": stabilizers, "learns_absorbing": True, "n_updates": 0.5, "expert_share": 0.5}
    adversary |= {"replay_on_device": True}
    config = tiny_config("dac", "dqn", demos, adversary=adversary)
    hold(config, tmp_path, 46)


def in_a_simulator(algo, **settings):
    """A run whose environment cannot say what state it is in."""
    pytest.importorskip("Box2D")
    import gymnasium as gym

    env = "LunarLander-v3" if "LunarLander-v3" in gym.registry else "LunarLander-v2"
    options = {"dqn": {"learning_starts": 72}, "sac": {"learning_starts": 40}}.get(algo, {})
    more = {"env_kwargs": {"continuous": True}} if algo == "sac" else {}
    return tiny_config(algo, **{"env": env, "generator_kwargs": options, **more, **settings})


@pytest.mark.parametrize("algo", ["ppo", "dqn"])
def test_an_exact_run_in_a_simulator_begins_episodes_at_its_checkpoints_whether_killed_or_not(algo, tmp_path):
    config = in_a_simulator(algo, exact_checkpoints=True)
    run_experiment(config, tmp_path / "whole", progress_bar=False)
    assert read_checkpoint(checkpoint_of(tmp_path / "whole", 64)).info["episode_boundary"]
    run_and_kill(config, tmp_path / "killed", 80)
    resume_experiment(tmp_path / "killed", progress_bar=False)
    same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_checkpoints_leave_training_as_it_is(algo, tmp_path):
    """Where the state of an environment can be saved they do anyway: the contract tests hold that."""
    for name, every in (("with", 32), ("without", 0)):
        run_experiment(in_a_simulator(algo, checkpoint_every=every), tmp_path / name, progress_bar=False)
    assert not read_checkpoint(checkpoint_of(tmp_path / "with", 64)).info["episode_boundary"]
    policies = [written(tmp_path / name)["policy/tensors.safetensors"] for name in ("with", "without")]
    assert policies[0] == policies[1]
    assert rows(tmp_path / "with") == rows(tmp_path / "without")


@pytest.mark.parametrize("algo", ["ppo", "dqn"])
def test_a_run_that_is_resumed_in_a_simulator_begins_episodes(algo, tmp_path):
    """The same ones each time: resumed twice, it ends in the same way."""
    config, seen = in_a_simulator(algo), []
    run_and_kill(config, tmp_path / "killed", 80)
    shutil.copytree(tmp_path / "killed", tmp_path / "again")
    for name in ("killed", "again"):
        resume_experiment(
            tmp_path / name,
            progress_bar=False,
            callback=At(65, lambda callback: seen.append(len(callback.training_env.unwrapped.envs[0].rewards))),
        )
    same(tmp_path / "again", tmp_path / "killed")
    assert seen[:2] == [1, 1]


@pytest.mark.parametrize("algo", ["fast-ppo", "sac"])
def test_a_finished_run_goes_on_to_a_new_end_as_if_it_had_been_asked_for(algo, tmp_path):
    run_experiment(tiny_config(algo, timesteps=160), tmp_path / "whole", progress_bar=False)
    run_experiment(tiny_config(algo), tmp_path / "longer", progress_bar=False)
    with pytest.raises(ConfigurationError, match="has gone 96 steps already"):
        resume_experiment(tmp_path / "longer", timesteps=96, progress_bar=False)
    resume_experiment(tmp_path / "longer", timesteps=160, progress_bar=False)
    same(tmp_path / "longer", tmp_path / "whole")
    run = load_run(tmp_path / "longer")
    assert (run.info["status"], run.config.timesteps, run.info["warnings"]) == ("finished", 160, [])


def test_schedules_of_a_run_that_goes_on_are_those_of_its_new_length(tmp_path, caplog):
    rates = []
    settings = {"generator_kwargs": {"learning_rate": {"initial": 1e-2, "final": 0.0}}}
    run_experiment(tiny_config("fast-ppo", **settings), tmp_path / "run", progress_bar=False)
    with caplog.at_level(logging.WARNING):
        resume_experiment(
            tmp_path / "run",
            timesteps=192,
            progress_bar=False,
            callback=At(97, lambda callback: rates.append(callback.model.policy.optimizer.param_groups[0]["lr"])),
        )
    assert rates == [pytest.approx(1e-2 * (1 - 96 / 192))]
    assert "learning_rate: scheduled over 96 steps, now over 192" in caplog.text


def test_the_rows_of_an_algorithm_that_logs_rarely(tmp_path):
    """A2C has a row every hundredth iteration."""
    config = tiny_config("a2c", timesteps=204, checkpoint_every=150, generator_kwargs={"n_steps": 1})
    run_experiment(config, tmp_path / "whole", progress_bar=False)
    run_and_kill(config, tmp_path / "killed", 160)
    resume_experiment(tmp_path / "killed", progress_bar=False)
    assert [row["time/iterations"] for row in rows(tmp_path / "whole")] == ["100", "200"]
    same(tmp_path / "killed", tmp_path / "whole")


def test_a_run_may_die_more_than_once(config, whole, tmp_path):
    run_and_kill(config, tmp_path / "killed", 40)
    killer = multiprocessing.get_context("fork").Process(
        target=resume_experiment,
        args=(tmp_path / "killed",),
        kwargs={"progress_bar": False, "callback": At(70, lambda _: os._exit(9))},
    )
    killer.start()
    killer.join()
    assert killer.exitcode == 9
    resume_experiment(tmp_path / "killed", progress_bar=False)
    same(tmp_path / "killed", whole)
    info = load_run(tmp_path / "killed").info
    assert (info["status"], len(info["resumed"])) == ("finished", 2)


def scalars(folder):
    found = {}
    for path in sorted(folder.glob("events.*")):
        events = EventAccumulator(str(path))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            if not tag.startswith("time/"):
                found.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    return {tag: sorted(values) for tag, values in found.items()}


def test_tensorboard_has_no_event_twice_and_none_missing(whole, killed):
    assert len(scalars(killed)["rollout/ep_rew_mean"]) > 1
    resume_experiment(killed, progress_bar=False)
    assert scalars(killed) == scalars(whole)


def test_a_lost_progress_table_comes_back(whole, killed):
    (killed / "progress.csv").write_text("")
    resume_experiment(killed, progress_bar=False)
    assert rows(killed) == rows(whole)


def test_only_what_is_filled_of_a_replay_buffer_is_written(tmp_path):
    config = tiny_config("dqn", generator_kwargs={"buffer_size": 1_000_000})
    run_experiment(config, tmp_path / "run", progress_bar=False)
    folder = checkpoint_of(tmp_path / "run", 64)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100_000


def test_large_arrays_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("ganq_irl.runs.checkpoints.replay.CHUNK_BYTES", 256)
    monkeypatch.setattr(files, "CHUNK_BYTES", 256)
    config = tiny_config("dqn")
    run_and_kill(config, tmp_path / "killed", 90)
    assert len(list(checkpoint_of(tmp_path / "killed", 64).glob("tensors-*"))) > 10
    resume_experiment(tmp_path / "killed", progress_bar=False)
    monkeypatch.undo()
    run_experiment(config, tmp_path / "whole", progress_bar=False)
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")


# What is kept.


def save(store, step, evaluation=None):
    state = {"weights": {"value": 1.0}}
    return store.save({"step": step, "evaluation": evaluation}, state, b"")


def steps(store):
    return sorted(int(path.name.removeprefix("step-")) for path in store.folder.iterdir())


def test_the_last_ones_and_the_best_are_kept(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    for step, evaluation in enumerate([None, 3.0, 5.0, 5.0, 1.0, 2.0, None]):
        save(store, step, evaluation)
    assert steps(store) == [3, 5, 6]
    assert store.newest().step == 6


def test_none_goes_before_its_successor_verifies(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path, keep=1)
    save(store, 1)

    def damaged(folder):
        raise StorageError(f"{folder} is damaged")

    monkeypatch.setattr("ganq_irl.runs.checkpoints.store.read_checkpoint", damaged)
    with pytest.raises(CheckpointFailed, match="step-000000000001 is intact"):
        save(store, 2)
    monkeypatch.undo()
    assert 1 in steps(store)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    (tmp_path / ".step-000000000032-abc").mkdir()
    CheckpointStore(tmp_path).clean()
    assert not list(tmp_path.iterdir())


# What is damaged.


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip, os.remove, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["manifest.json", "state.json", "tensors-00000.safetensors", "progress.csv"])
def test_a_damaged_checkpoint_is_noticed(name, damage, whole, tmp_path):
    shutil.copytree(checkpoint_of(whole, 64), tmp_path / "step-000000000064")
    damage(tmp_path / "step-000000000064" / name)
    with pytest.raises(StorageError):
        read_checkpoint(tmp_path / "step-000000000064")
    with pytest.raises(RunDirectoryError, match="only damaged ones"):
        CheckpointStore(tmp_path).newest()


@pytest.mark.parametrize("damage", [truncate, flip])
def test_a_damaged_checkpoint_is_gone_back_behind(damage, whole, killed, caplog):
    damage(checkpoint_of(killed, 64) / "tensors-00000.safetensors")
    resume_experiment(killed, progress_bar=False)
    assert "skipping the damaged checkpoint" in caplog.text
    same(killed, whole)


def test_a_newer_schema_is_refused(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SCHEMA", 2)
    save(CheckpointStore(tmp_path), 1)
    monkeypatch.undo()
    with pytest.raises(StorageError, match="update ganq-irl"):
        read_checkpoint(tmp_path / "step-000000000001")


# What cannot be written.


def test_a_full_disk_ends_the_run_in_a_sentence(config, tmp_path, monkeypatch):
    synced, flush = [], os.fsync

    def full(descriptor):
        synced.append(descriptor)
        if any("step-000000000064" in path.name for path in (tmp_path / "run" / "checkpoints").glob(".*")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointFailed, match=r"step 64 .*No space left on device.*step-000000000032 is intact"):
        run_experiment(config, tmp_path / "run", progress_bar=False)
    monkeypatch.undo()
    assert os.listdir(tmp_path / "run" / "checkpoints") == ["step-000000000032"]
    read_checkpoint(checkpoint_of(tmp_path / "run", 32))
    assert load_run(tmp_path / "run").info["status"] == "failed"


def test_and_the_run_goes_on_when_there_is_room(config, whole, tmp_path, monkeypatch):
    test_a_full_disk_ends_the_run_in_a_sentence(config, tmp_path, monkeypatch)
    resume_experiment(tmp_path / "run", progress_bar=False)
    same(tmp_path / "run", whole)


def test_a_folder_that_cannot_be_written_to(config, tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("ganq_irl.runs.checkpoints.files.new_file", refused)
    with pytest.raises(CheckpointFailed, match=r"Read-only file system.*there is none before it"):
        run_experiment(config, tmp_path / "run", progress_bar=False)


# Who else is there.


def hold_lock(folder, ready):
    with locked(folder):
        ready.set()
        time.sleep(60)


def test_a_second_process_is_refused_until_the_first_is_gone(config, killed):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    other = context.Process(target=hold_lock, args=(killed, ready))
    other.start()
    assert ready.wait(30)
    with pytest.raises(RunDirectoryError, match="another process is training in"):
        resume_experiment(killed, progress_bar=False)
    with pytest.raises(RunDirectoryError, match="another process is training in"), locked(killed):
        pass
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    resume_experiment(killed, progress_bar=False)


# Signals.


@pytest.fixture
def heeds_ctrl_c():
    """A suite that was started in the background ignores it."""
    before = {signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("every", [32, 0])
def test_a_signal_makes_a_checkpoint_and_ends_in_order(number, every, whole, tmp_path):
    config = tiny_config("fast-ppo", checkpoint_every=every)
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=r"at step 48.*ganq-irl resume"):
        run_experiment(config, tmp_path / "run", progress_bar=False, callback=At(40, lambda _: os.kill(os.getpid(), number)))
    assert signal.getsignal(number) == before
    assert read_checkpoint(checkpoint_of(tmp_path / "run", 48)).step == 48
    assert load_run(tmp_path / "run").info["status"] == "interrupted"
    assert (tmp_path / "run" / "policy").is_dir()
    resume_experiment(tmp_path / "run", progress_bar=False)
    assert (tmp_path / "run/policy/tensors.safetensors").read_bytes() == (whole / "policy/tensors.safetensors").read_bytes()
    assert rows(tmp_path / "run") == rows(whole)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_a_second_signal_ends_at_once(config, tmp_path):
    def twice(_):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.6)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="at once"):
        run_experiment(config, tmp_path / "run", progress_bar=False, callback=At(40, twice))
    assert sorted(os.listdir(tmp_path / "run" / "checkpoints")) == ["step-000000000032"]


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("second", [signal.SIGHUP, signal.SIGTERM])
def test_one_request_that_arrives_twice_ends_in_order(second, config, tmp_path):
    """A terminal that closes and its shell both send a signal; a batch system tells a process and its parent."""

    def twice(_):
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), second)

    with pytest.raises(Interrupted, match=r"by SIGHUP at step 48"):
        run_experiment(config, tmp_path / "run", progress_bar=False, callback=At(40, twice))
    assert read_checkpoint(checkpoint_of(tmp_path / "run", 48)).step == 48


def test_a_signal_that_is_ignored_stays_so(config, tmp_path):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        run_experiment(
            config, tmp_path / "run", progress_bar=False, callback=At(40, lambda _: os.kill(os.getpid(), signal.SIGTERM))
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert load_run(tmp_path / "run").info["status"] == "finished"


# What is refused.


def test_what_cannot_be_gone_on_with(config, whole, tmp_path, caplog):
    with pytest.raises(RunDirectoryError, match="is finished"):
        resume_experiment(whole)
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        resume_experiment(tmp_path)
    run_and_kill(config, tmp_path / "early", 20)
    with pytest.raises(RunDirectoryError, match="none; train again, with --checkpoint-every"):
        resume_experiment(tmp_path / "early")


def test_other_settings_than_the_checkpoint_was_made_with(killed):
    text = (killed / "config.toml").read_text()
    (killed / "config.toml").write_text(text.replace("    4,\n", "    5,\n"))
    with pytest.raises(StorageError, match=r"does not fit what config.toml describes"):
        resume_experiment(killed, progress_bar=False)


def test_other_versions_are_mentioned(killed, caplog):
    info = json.loads((killed / "run.json").read_text())
    info["versions"]["torch"] = "1.0"
    (killed / "run.json").write_text(json.dumps(info))
    with caplog.at_level(logging.WARNING):
        resume_experiment(killed, progress_bar=False)
    assert "other package versions" in caplog.text


@pytest.mark.slow
def test_killed_at_fifty_random_moments_nothing_that_was_checkpointed_is_lost(tmp_path):
    config = tiny_config("fast-ppo", timesteps=6400)
    run_experiment(config, tmp_path / "whole", progress_bar=False)
    begun_at = time.monotonic()
    run_and_kill(config, tmp_path / "first", 40)
    to_first_checkpoint = time.monotonic() - begun_at  # moments are as far apart as this machine is slow
    folder, rng, context = tmp_path / "killed", np.random.default_rng(0), multiprocessing.get_context("fork")
    store, newest, n_killed = CheckpointStore(folder / "checkpoints"), -1, 0
    while n_killed < 50:
        begun = store.newest_name() is not None
        if not begun:
            shutil.rmtree(folder, ignore_errors=True)
        work = (resume_experiment, (folder,)) if begun else (run_experiment, (config, folder))
        process = context.Process(target=work[0], args=work[1], kwargs={"progress_bar": False})
        process.start()
        time.sleep(rng.uniform(0.2, 4.0) * to_first_checkpoint)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        n_killed += 1
        if load_run(folder).info["status"] == "finished" if (folder / "run.json").exists() else False:
            break
        if store.newest_name() is not None:
            found = store.newest().step
            assert found >= newest
            newest = found
    if load_run(folder).info["status"] != "finished":
        resume_experiment(folder, progress_bar=False)
    assert n_killed == 50
    same(folder, tmp_path / "whole")


def test_callbacks_and_states_that_do_not_match_are_told(caplog):
    """An earlier version called this monitor ``EndsWatch``."""
    known, renamed = DiscriminatorMonitor(), EarlyTerminationMonitor([20], 100)
    states = [_callback_state(known), _callback_state(renamed) | {"kind": "EndsWatch"}]
    _load_callbacks([known, renamed], states)
    assert "the checkpoint has no state of EarlyTerminationMonitor, which starts afresh" in caplog.text
    assert "the checkpoint's state of EndsWatch is not used" in caplog.text
    caplog.clear()
    _load_callbacks([known], states[:1])
    assert not caplog.text
