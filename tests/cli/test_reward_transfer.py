import json

import pytest

from ganq_irl.environments import CHANGED_PENDULUM, POINT_MAZE
from tests.command_line import call

FAST = ["--device", "cpu", "--preset", "none", "--set", "evaluation.episodes=2", "--set", "generator_kwargs.n_steps=256"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of AIRL, and one of FastPPO, which recovers nothing."""
    folder = tmp_path_factory.mktemp("runs")
    imitation = ["--demos", "pendulum", "--n-trajectories", 2, "--generator", "fast-ppo", "--timesteps", 256]
    result = call("train", "airl", *imitation, *FAST, "--out", folder / "airl")
    assert result.exit_code == 0, result.stderr
    plain = call("train", "fast-ppo", "--env", "Pendulum-v1", "--timesteps", 256, *FAST, "--out", folder / "plain")
    assert plain.exit_code == 0, plain.stderr
    return folder


def test_transfer_as_json_and_as_a_table(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("ganq_irl.studies.reward_transfer._EVALUATION_EPISODES", 2)  # instead of 100
    arguments = ["reward", "transfer", runs / "airl", "--to", CHANGED_PENDULUM, "--timesteps", 256, "--device", "cpu"]
    arguments += ["--seed", 5, "--out", tmp_path / "out"]
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content == json.loads((tmp_path / "out" / "transfer.json").read_text())
    assert (content["seed"], content["timesteps"], content["generator"]) == (5, 256, "fast-ppo")
    assert content["evaluations"].keys() == {"recovered", "true", "moved", "random"}
    table = call(*arguments)  # trains nothing again
    assert table.exit_code == 0, table.stderr
    assert "retrained on the recovered reward" in table.stdout
    assert f"{content['evaluations']['moved']['mean_return']:.4g}" in table.stdout


@pytest.mark.parametrize(
    ("run", "to", "said"),
    [
        ("plain", CHANGED_PENDULUM, "holds no recovered reward"),
        ("airl", POINT_MAZE, "observations of the environment"),
        ("airl", "ganq_irl/ChangedPendulums-v0", "ChangedPendulum"),
        ("nowhere", CHANGED_PENDULUM, "does not exist"),
    ],
)
def test_what_cannot_be_transferred_is_a_sentence(runs, tmp_path, run, to, said):
    result = call("reward", "transfer", runs / run, "--to", to, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_environment_has_to_be_named(runs):
    result = call("reward", "transfer", runs / "airl")
    assert result.exit_code == 2
    assert "--to" in result.stderr
