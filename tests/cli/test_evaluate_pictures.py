import json
import os

import pytest
from click.testing import CliRunner

from ganq_irl_cli import main

QUICK = ["--device", "cpu", "--preset", "none", "--set", "evaluation.episodes=2", "--set", "evaluation.every=200"]
RUNS = {
    "dqn": ["--set", "generator_kwargs.policy=ActionInputPolicy", "--set", "generator_kwargs.learning_starts=100"],
    "ppo": ["--set", "generator_kwargs.n_steps=128"],
}


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Train an algorithm for a moment, then evaluate it with the given options."""
    monkeypatch.chdir(tmp_path)

    def call(algo, *options):
        train = ["train", algo, "--env", "CartPole-v1", "--timesteps", "400", *QUICK, *RUNS[algo], "--out", algo]
        trained = CliRunner().invoke(main, train)
        assert trained.exit_code == 0, trained.stderr
        return CliRunner().invoke(main, ["evaluate", algo, "--device", "cpu", *options])

    return call


def test_a_value_learner_has_three_pictures_and_values(evaluate):
    result = evaluate("dqn", "--pictures", "pictures", "--json")
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["values"].keys() == {"bias", "mean_absolute_error", "correlation", "scale", "pairs"}
    assert content["values"]["pairs"] > 0
    assert content["pictures"] == [os.path.join("pictures", name) for name in ("loss.png", "score.png", "values.png")]
    assert all(map(os.path.isfile, content["pictures"]))
    assert "mean_return" in content


def test_an_actor_has_two(evaluate):
    result = evaluate("ppo", "--pictures", "pictures")
    assert result.exit_code == 0, result.stderr
    assert "Pictures:" in result.stdout
    assert "predicted" not in result.stdout
    assert sorted(os.listdir("pictures")) == ["loss.png", "score.png"]
    plain = CliRunner().invoke(main, ["evaluate", "ppo", "--json"])
    assert not {"values", "pictures"} & json.loads(plain.stdout).keys()


def test_values_as_text(evaluate):
    assert "predicted against true Q-values: bias" in evaluate("dqn", "--pictures", "pictures").stdout


def test_a_file_in_the_place_of_the_folder_is_answered(evaluate):
    open("taken", "w").close()
    result = evaluate("dqn", "--pictures", "taken")
    assert result.exit_code == 2
    assert "taken" in result.stderr
