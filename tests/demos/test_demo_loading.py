from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import pytest
from gymnasium import spaces

import ganq_irl.environments
import ganq_irl_demos.loading
from ganq_irl.errors import ConfigurationError, DemoFormatError, IncompatibleSpaces, InvalidDemonstrations
from ganq_irl_demos import catalog, load_demonstrations, reference_returns, require_valid, save_demonstrations
from ganq_irl_demos.catalog import same_environment
from tests.demos.demo_examples import ACTIONS, OBSERVATIONS, make_demos, make_trajectory, same

NAMES = [
    "acrobot",
    "acrobot-continuing",
    "ant",
    "cartpole",
    "cartpole-continuing",
    "halfcheetah",
    "hopper",
    "lunarlander",
    "maze",
    "mountaincar",
    "pendulum",
    "walker2d",
]


def test_demonstrations_pass_through():
    demos = make_demos()
    assert load_demonstrations(demos, env_id="Test-v0", observation_space=OBSERVATIONS, action_space=ACTIONS) is demos


def test_a_path_may_be_a_string_or_path_like(tmp_path):
    path = save_demonstrations(make_demos(), tmp_path / "demos.npz")
    for given in (path, str(path), os.path.relpath(path)):
        assert same(load_demonstrations(given), make_demos())
        assert load_demonstrations(given).source == str(given)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(
        ConfigurationError, match=r"'pendulom'; did you mean 'pendulum'\? Known: acrobot.* or give a file's path"
    ):
        load_demonstrations("pendulom")


@pytest.mark.parametrize("name", ["nowhere/demos.npz", "demos.npz", "nowhere/demos"])
def test_a_missing_file_is_named(name):
    with pytest.raises(DemoFormatError, match=rf"{name} is missing"):
        load_demonstrations(name)


@pytest.mark.parametrize(("name", "why"), [("a" * 300, "too long"), ("./" + "a" * 300 + ".npz", "too long"), ("a\0", "NUL")])
def test_a_name_that_no_file_can_have(name, why):
    with pytest.raises(ConfigurationError, match=f"{why}.*expected a known name, or the path"):
        load_demonstrations(name)
    with pytest.raises(ConfigurationError, match=why):
        save_demonstrations(make_demos(), name, "npz")


def test_a_folder_of_no_known_format_is_refused(tmp_path):
    with pytest.raises(DemoFormatError, match="nothing in this folder says what format it is; known:"):
        load_demonstrations(tmp_path)


@pytest.mark.parametrize("source", [3, None, {1, 2}, iter([])])
def test_what_holds_no_trajectories_is_refused_by_type(source):
    with pytest.raises(InvalidDemonstrations, match=rf"from a {type(source).__name__}; give a catalog name"):
        load_demonstrations(source, observation_space=OBSERVATIONS, action_space=ACTIONS)


def test_a_list_of_something_else_is_refused_by_type():
    with pytest.raises(InvalidDemonstrations, match="expected trajectories, given a int"):
        load_demonstrations([make_trajectory(), 3][1:], observation_space=OBSERVATIONS, action_space=ACTIONS)


def test_another_environment_or_space_is_refused():
    with pytest.raises(InvalidDemonstrations, match=r"test.npz was recorded in Test-v0, but Other-v0 was asked for"):
        load_demonstrations(make_demos(), env_id="Other-v0")
    with pytest.raises(IncompatibleSpaces, match=r"test.npz: observation space: given .*expected"):
        load_demonstrations(make_demos(), observation_space=spaces.Discrete(2))
    with pytest.raises(IncompatibleSpaces, match=r"test.npz: action space"):
        load_demonstrations(make_demos(), action_space=spaces.Discrete(2))


def test_the_catalog_lists_the_shipped_sets():
    assert sorted(catalog()) == NAMES
    for name, entry in catalog().items():
        assert entry.name == name
        assert entry.n_episodes >= 10
        assert entry.expert_return[0] > entry.random_return[0]
        assert any("ganq-irl train" in command for command in entry.commands)
        assert any("ganq-irl demos record" in command for command in entry.commands)


def test_changing_a_returned_catalog_changes_no_other():
    catalog().clear()
    assert sorted(catalog()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_entries_name_registered_environments_with_their_time_limit(name):
    ganq_irl.environments.register_envs()
    if name in ("ant", "walker2d") and catalog()[name].env_id not in gym.registry:
        pytest.skip("Ant-v5 of 105 observations, and Walker2d-v5, whose feet have other friction, came with Gymnasium 1.0")
    spec = gym.registry[catalog()[name].env_id]
    assert spec.max_episode_steps == catalog()[name].horizon


def test_ids_of_one_task_are_the_same_environment():
    assert same_environment("LunarLander-v2", "LunarLander-v3")
    assert same_environment("ganq_irl.environments:ganq_irl/ContinuingAcrobot-v0", "ganq_irl/ContinuingAcrobot-v0")
    assert same_environment("Unknown-v0", "Unknown-v0")
    assert not same_environment("Acrobot-v1", "ganq_irl/ContinuingAcrobot-v0")
    assert not same_environment("LunarLander-v3", "LunarLanderContinuous-v3")
    lander = make_demos(env_id="LunarLander-v3")
    require_valid(lander, env_id="LunarLander-v2")
    assert load_demonstrations(lander, env_id="LunarLander-v2") is lander


def test_reference_returns_are_random_then_expert():
    entry = catalog()["lunarlander"]
    expected = (entry.random_return[0], entry.expert_return[0])
    assert reference_returns("LunarLander-v2") == reference_returns("LunarLander-v3") == expected
    assert reference_returns("Unknown-v0") is None


@pytest.fixture
def entry_with_file(tmp_path, monkeypatch):
    entry = replace(catalog()["pendulum"], file=tmp_path / "pendulum.npz")
    monkeypatch.setattr(ganq_irl_demos.loading, "catalog", lambda: {"pendulum": entry})
    return entry


def test_a_catalog_name_loads_its_file_and_is_the_source(entry_with_file):
    save_demonstrations(make_demos(), entry_with_file.file)
    demos = load_demonstrations("pendulum")
    assert same(demos, make_demos())
    assert demos.source == "pendulum"


def test_missing_data_say_how_to_record_them(entry_with_file):
    with pytest.raises(DemoFormatError, match=r"pendulum.npz is missing; .* ganq-irl train .* && ganq-irl demos record"):
        load_demonstrations("pendulum")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_data_are_sound_and_as_the_catalog_says(name):
    entry = catalog()[name]
    if not entry.file.is_file():
        pytest.skip(f"{entry.file.name} is not in this checkout")
    demos = load_demonstrations(name)
    require_valid(demos, env_id=entry.env_id, max_episode_steps=entry.horizon)
    assert len(demos) == entry.n_episodes
    assert demos.returns is not None
    expert_mean, expert_std = entry.expert_return  # of 100 other episodes of the same expert
    standard_error = max(expert_std * (1 / len(demos) + 1 / 100) ** 0.5, 1e-6)
    assert abs(demos.returns.mean() - expert_mean) <= 3 * standard_error
    assert all(trajectory.seed is not None for trajectory in demos)


def test_shipped_data_stay_small():
    files = list(Path(ganq_irl_demos.__file__).parent.glob("data/*"))
    assert len(files) == len(NAMES)
    # Ten episodes of a thousand steps, in double precision as MuJoCo has them; Ant has 35 numbers a step that are not 0.
    assert max(path.stat().st_size for path in files) < 3 * 1024**2
