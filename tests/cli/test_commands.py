import json
import os
import subprocess
import sys
from dataclasses import replace

import click
import gymnasium as gym
import numpy as np
import pytest

from ganq_irl.errors import TrainingDiverged
from ganq_irl_cli import main
from ganq_irl_cli.groups import LazyGroup
from ganq_irl_demos import load_demonstrations, random_policy, record_episodes, save_demonstrations

FAST = [
    "--device",
    "cpu",
    "--preset",
    "none",
    "--set",
    "evaluation.episodes=2",
    "--set",
    "generator_kwargs.policy_kwargs.net_arch=[8]",
]
PPO = ["train", "ppo", "--env", "Pendulum-v1", "--timesteps", "64", "--set", "generator_kwargs.n_steps=64", *FAST]
GAIL = ["train", "gail", "--env", "Pendulum-v1", "--device", "cpu", "--preset", "none"]
GAIL_FAST = [*GAIL, "--timesteps", "256", "--set", "generator_kwargs.n_steps=256", "--set", "evaluation.episodes=2"]


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    env = gym.make("Pendulum-v1")
    recorded = record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 3, seed=0)
    return save_demonstrations(recorded, tmp_path_factory.mktemp("demos") / "good.npz")


def altered(good, path, **changes):
    demos = load_demonstrations(str(good))
    trajectories = (demos[0], replace(demos[1], **{key: change(getattr(demos[1], key)) for key, change in changes.items()}))
    return save_demonstrations(replace(demos, trajectories=trajectories), path)


def commands(group=main, path=()):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        yield (*path, name), command
        if isinstance(command, LazyGroup):
            yield from commands(command, (*path, name))


def test_train_evaluate_record_inspect_check(run):
    trained = run(*PPO, "--out", "run", "--json")
    assert trained.exit_code == 0, trained.stderr
    result = json.loads(trained.stdout)
    assert {"mean_return", "std_return", "interval", "normalized", "episodes"} <= result.keys()
    again = json.loads(run("evaluate", "run", "--json").stdout)
    assert again["mean_return"] == result["mean_return"]
    text = run("evaluate", "run", "--episodes", 3, "--seed", 5).stdout
    assert "95 % interval" in text
    assert "3 episodes" in text
    recorded = run("demos", "record", "--run", "run", "--episodes", 2, "--out", "d.npz", "--json")
    assert json.loads(recorded.stdout)["episodes"] == 2
    inspected = json.loads(run("demos", "inspect", "d.npz", "--json").stdout)
    assert (inspected["env_id"], inspected["transitions"]) == ("Pendulum-v1", 400)
    assert "Pendulum-v1" in run("demos", "inspect", "d.npz", "--plot", "d.png").stdout
    assert os.path.getsize("d.png") > 1000
    checked = run("demos", "check", "d.npz", "--json")
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)["valid"]


@pytest.mark.parametrize("algo", ["gail", "airl"])
def test_imitation_through_the_command_line(algo, run, good):
    result = run(
        "train", algo, "--demos", good, "--n-trajectories", 2, "--control", "frozen", *GAIL_FAST[2:], "--out", "run"
    )
    assert result.exit_code == 0, result.stderr
    assert sorted(os.listdir("run/reward")) == ["config.json", "tensors.safetensors"]
    assert "return" in result.stdout
    assert "256/256" in result.stderr  # the progress bar


def test_record_trains_an_expert_first(run, monkeypatch):
    settings = {"timesteps": 64, "generator_kwargs": {"n_steps": 64}}
    table = {"quick": {"algo": "ppo", "env": "CartPole", "expert": True, **settings}}
    for module in ("presets", "experts"):
        monkeypatch.setattr(f"ganq_irl.runs.{module}.load_presets", lambda: table)
    result = run("demos", "record", "--env", "CartPole-v1", "--episodes", 2, "--out", "d.npz")
    assert result.exit_code == 0, result.stderr
    assert os.path.isdir("runs/ppo-cartpole-0")
    assert len(load_demonstrations("d.npz")) == 2


def test_list_shows_the_catalog(run):
    names = [entry["name"] for entry in json.loads(run("demos", "list", "--json").stdout)["demonstrations"]]
    assert {"cartpole", "pendulum", "acrobot-continuing"} <= set(names)
    assert all(name in run("demos", "list").stdout for name in names)


def nan(array):
    array = array.copy()
    array[7, 0] = np.nan
    return array


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"observations": nan}, ["trajectory 1", "step 7", "observations"]),
        ({"observations": lambda a: np.where(np.arange(len(a))[:, None] == 3, np.float32(-np.inf), a)}, ["step 3"]),
        ({"actions": lambda a: a + 9}, ["trajectory 1", "step 0", "actions"]),
        ({"observations": lambda a: a * np.where(np.arange(len(a)) == 4, 1e30, 1)[:, None].astype(np.float32)}, ["step 4"]),
    ],
)
def test_bad_values_are_named_by_check_and_by_train(changes, expected, run, good, tmp_path):
    bad = altered(good, tmp_path / "bad.npz", **changes)
    for args in (["demos", "check", bad], [*GAIL, "--demos", bad], ["train", "bc", "--env", "Pendulum-v1", "--demos", bad]):
        result = run(*args)
        assert result.exit_code == 2, result.stderr
        for word in ["bad.npz", *expected]:
            assert word in result.stderr
        assert sorted(os.listdir()) == ["bad.npz"]


@pytest.mark.parametrize("content", [b"", b"not a file of numpy", "truncated"])
def test_damaged_files_are_named(content, run, good, tmp_path):
    bad = tmp_path / "bad.npz"
    bad.write_bytes(good.read_bytes()[:-100] if content == "truncated" else content)
    for args in (["demos", "check", bad], ["demos", "inspect", bad], [*GAIL, "--demos", bad]):
        result = run(*args)
        assert result.exit_code == 2
        assert "bad.npz" in result.stderr
        assert sorted(os.listdir()) == ["bad.npz"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["train", "gial"], "did you mean 'gail'"),
        (["train", "gail", "--env", "Pendulm-v1", "--demos", "pendulum"], "Pendulum"),
        ([*GAIL, "--demos", "pendulm"], "did you mean 'pendulum'"),
        ([*GAIL, "--demos", "none.npz"], "none.npz"),
        (GAIL, "needs demonstrations"),
        ([*GAIL, "--demos", "cartpole", "--control", "thawed"], "'none' or 'frozen'"),
        ([*PPO, "--set", "generator_kwargs.gama=1"], "did you mean 'gamma'"),
        ([*PPO, "--set", "sed=1"], "did you mean 'seed'"),
        ([*PPO, "--set", "seed"], "expected key=value"),
        ([*PPO, "--config", "none.toml"], "none.toml"),
        ([*PPO, "--timesteps", "-5"], "at least 1"),
        ([*PPO, "--device", "gpu"], "gpu"),
        (["train", "dqn", "--env", "Pendulum-v1"], "acts in Discrete spaces"),
        (["train", "ppo"], "--env"),
        (["train"], "ALGO"),
        (["tarin"], "did you mean 'train'"),
        (["demos", "recrod"], "did you mean 'record'"),
        (["evaluate", "nowhere"], "nowhere"),
        (["demos", "record", "--out", "d.npz"], "--run RUN"),
        (["demos", "record", "--env", "Blackjack-v1", "--out", "d.npz"], "--run"),
        (["demos", "record", "--env", "Pendulum-v1", "--out", "d.txt"], "npz"),
        (["demos", "check", "pendulm"], "did you mean 'pendulum'"),
    ],
)
def test_wrong_requests_are_answered_and_leave_nothing(args, expected, run):
    result = run(*args)
    assert result.exit_code == 2, result.stderr
    assert expected in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert os.listdir() == []


def test_wrong_environment_and_horizon(run, good, tmp_path):
    result = run("demos", "check", good, "--env", "CartPole-v1")
    assert result.exit_code == 2
    assert "recorded in Pendulum-v1" in result.stderr
    demos = load_demonstrations(str(good))
    doubled = replace(
        demos[0], observations=np.tile(demos[0].observations, (2, 1))[:401], actions=np.tile(demos[0].actions, (2, 1))
    )
    doubled = replace(doubled, rewards=np.tile(demos[0].rewards, 2))
    long = save_demonstrations(replace(demos, trajectories=(doubled,)), tmp_path / "long.npz")
    for args in (["demos", "check", long], [*GAIL, "--demos", long]):
        result = run(*args)
        assert result.exit_code == 2
        assert "400 steps" in result.stderr
        assert "200" in result.stderr


def test_check_as_json_is_one_object_even_when_wrong(run, good, tmp_path):
    bad = altered(good, tmp_path / "bad.npz", observations=nan)
    result = run("demos", "check", bad, "--json")
    assert result.exit_code == 2
    content = json.loads(result.stdout)
    assert not content["valid"]
    (finding,) = [finding for finding in content["findings"] if finding["severity"] == "error"]
    assert (finding["trajectory"], finding["step"], finding["field"]) == (1, 7, "observations")


def test_nothing_is_overwritten(run):
    open("d.npz", "w").close()
    assert run("demos", "record", "--run", "run", "--out", "d.npz").exit_code == 2
    os.makedirs("run/something")
    result = run(*PPO, "--out", "run")
    assert result.exit_code == 2
    assert "choose another --out" in result.stderr
    assert os.listdir("run") == ["something"]


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (TrainingDiverged("the loss is nan"), 1, "the loss is nan"),
        (RuntimeError("boom\nmore"), 1, "RuntimeError: boom"),
    ],
)
def test_failures_become_exit_codes(error, code, message, run, monkeypatch):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("ganq_irl.runs.run_experiment", fail)
    result = run(*PPO)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2


def test_nothing_is_written_below_a_file(run, tmp_path):
    (tmp_path / "file").write_text("precious")
    out = tmp_path / "file" / "below"
    for command in (
        [*PPO, "--out", out],
        ["quickstart", "--out", out],
        ["compare", "--algos", "bc", "--env", "CartPole-v1", "--out", out],
        ["demos", "convert", "cartpole", "--out", f"{out}.npz"],
        ["demos", "record", "--random", "--env", "CartPole-v1", "--episodes", "1", "--out", f"{out}.npz"],
        ["demos", "inspect", "cartpole", "--plot", f"{out}.png"],
        ["demos", "inspect", "cartpole", "--html", f"{out}.html"],
        ["demos", "inspect", "cartpole", "--video", f"{out}.gif"],
    ):
        result = run(*command)
        assert result.exit_code == 2, (command, result.output)
        assert "is a file, so nothing can lie below it" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_debug_shows_the_traceback(run, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("boom")

    monkeypatch.setattr("ganq_irl.runs.run_experiment", fail)
    result = run("--debug", *PPO)
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert "RuntimeError: boom" in result.stderr


@pytest.mark.parametrize(
    ("path", "command"), commands(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_and_option_is_explained(path, command, run):
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert command.help
    assert "\\" not in result.output  # click's marks are characters, and a raw docstring has none
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.opts}"
            assert parameter.opts[0] in result.output


def test_commands_are_called_what_the_table_calls_them():
    for path, command in commands():
        assert command.name == path[-1]


def python(*args, **kwargs):
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, check=False, **kwargs)


def test_help_imports_nothing_heavy():
    commands = ["--help", "train --help", "demos --help", "demos record --help", "quickstart --help"]
    code = (
        "import sys; from ganq_irl_cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    main(command.split(), standalone_mode=False)\n"
        "    heavy = {'torch', 'numpy', 'gymnasium', 'stable_baselines3', 'imitation', 'scipy'} & sys.modules.keys()\n"
        "    assert not heavy, (command, heavy)"
    )
    result = python("-c", code, *commands)
    assert result.returncode == 0, result.stderr


def test_a_refusal_is_one_line_and_a_page(run):
    result = run(*GAIL, "--demos", "none.npz")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.splitlines()[1:] == ["See docs/reference/formats.md."]


def test_as_a_process(tmp_path):
    result = python("-m", "ganq_irl_cli", *PPO, "--out", str(tmp_path / "run"), "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["run"] == str(tmp_path / "run")


@pytest.mark.parametrize(
    "command",
    [
        "train bc --env Pendulum-v1 --demos",
        "train ppo --env Pendulum-v1 --reward",
        "train ppo --env Pendulum-v1 --device cpu --config",
        "train ppo --env Pendulum-v1 --device cpu --timesteps 1 --out",
        "evaluate",
        "resume",
        "report",
        "reward show",
        "compare --out",
        "demos check",
        "demos import --out out.npz",
        "demos export pendulum --out",
        "demos record --env Pendulum-v1 --random --out",
    ],
)
def test_a_name_that_no_file_can_have(run, command):
    result = run(*command.split(), "a" * 300 + ".npz" * ("--out" in command))
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert "long" in result.stderr
