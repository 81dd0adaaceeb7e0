"""--env module:ID, --max-episode-steps, --columns: what they mean for the commands that take them."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.validation import check_config
from ganq_irl_demos import load_demonstrations, save_demonstrations
from tests.command_line import call as run

MODULE = """
import gymnasium as gym
import numpy as np


class Walk(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.full(2, 0.5, np.float32), 1.0, False, False, {}


gym.register("FlagWalk-v0", lambda **kwargs: Walk())
"""


@pytest.fixture
def walk(tmp_path, monkeypatch):
    (tmp_path / "flag_walk.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANQ_IRL_IMPORT", "")
    yield "flag_walk:FlagWalk-v0"
    sys.modules.pop("flag_walk", None)


def test_a_module_before_the_id_is_imported_and_a_limit_bounds_what_is_recorded(walk, tmp_path):
    result = run("demos", "record", "--env", walk, "--random", "--episodes", 2, "--max-episode-steps", 6, "--out", "a.npz")
    assert result.exit_code == 0, result.output
    recorded = load_demonstrations(tmp_path / "a.npz")
    assert recorded.env_id == "FlagWalk-v0"
    assert [(len(one), one.truncated) for one in recorded] == [(6, True)] * 2
    checked = run("demos", "check", "a.npz", "--json")
    assert json.loads(checked.stdout)["valid"]


def test_from_a_setting_or_a_file_no_module_is_imported(walk, tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"which settings and files must not do.*--import flag_walk and the id FlagWalk-v0"
    ):
        check_config(ExperimentConfig(algo="ppo", env=walk))
    shipped = load_demonstrations("cartpole")[:1]
    save_demonstrations(replace(shipped, env_id="stranger:Env-v0"), "b.npz")
    result = run("demos", "check", "b.npz")
    assert "files may not import stranger; if you trust it, give --env stranger:Env-v0" in result.stdout
    assert "stranger" not in sys.modules
    assert "flag_walk" not in sys.modules


def test_a_check_without_an_environment_says_what_it_left_out(tmp_path):
    shipped = load_demonstrations("cartpole")[:1]
    for env_id, advice in ((None, "do not name their environment"), ("Unknown-v0", "Unknown-v0 is not registered")):
        save_demonstrations(replace(shipped, env_id=env_id), tmp_path / f"{env_id}.npz")
        result = run("demos", "check", tmp_path / f"{env_id}.npz", "--json")
        assert any("were not checked" in one and advice in one for one in json.loads(result.stdout)["skipped"])


def test_columns_go_by_the_names_that_tables_know_and_stay_in_the_settings(tmp_path):
    one = load_demonstrations("cartpole")[0]
    given = {"s": np.asarray(one.observations)[:-1], "a": one.actions}
    np.savez(tmp_path / "rows.npz", **given)
    flags = ["--columns", "obs=s", "--columns", "acts=a"]
    checked = run("demos", "check", tmp_path / "rows.npz", "--env", "CartPole-v1", *flags)
    assert checked.exit_code == 0, checked.output
    updates = ["--set", "bc.n_updates=2", "--set", "evaluation.episodes=1", "--max-episode-steps", 9]
    out = tmp_path / "run"
    trained = run("train", "bc", "--env", "CartPole-v1", "--demos", tmp_path / "rows.npz", *flags, *updates, "--out", out)
    assert trained.exit_code == 0, trained.output
    evaluated = run("evaluate", out, "--episodes", 2, "--max-episode-steps", 3, "--json")
    assert json.loads(evaluated.stdout)["mean_return"] == 3
    settings = (out / "config.toml").read_text()
    assert "[columns]" in settings
    assert "max_episode_steps = 9" in settings
