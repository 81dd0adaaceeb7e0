"""``--show-settings``: TOML that gives the same run, with every setting of the algorithm and its meaning."""

import dataclasses
import tomllib

import pytest

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.algorithms.bc import BCSettings
from ganq_irl.generators.options import meanings_of
from ganq_irl.runs import resolve_config
from ganq_irl.runs.explained import explained_settings
from ganq_irl.runs.validation import settings_of, table_hints, table_of
from ganq_irl.space_matrix import IMITATION

SCHEDULE, STABILIZERS = {"initial": 1e-3, "final": 0.0}, [{"name": "r1", "weight": 3.0}, "label-smoothing"]
GIVEN = {"adversary": {"learning_rate": SCHEDULE, "stabilizers": STABILIZERS}, "imitation": {}, "bc": {"n_updates": 3}}


@pytest.mark.parametrize("algo", IMITATION)
def test_the_text_gives_the_same_run_and_says_what_each_setting_means(algo):
    table = table_of(algo)
    given = {
        "algo": algo,
        "env": "CartPole-v1",
        "demos": "cartpole",
        "generator_kwargs": {"policy_kwargs": {"net_arch": [8]}},
    }
    given = {**given, "env_kwargs": {"max_episode_steps": 9}, table: GIVEN[table]}
    if algo == "bc":
        del given["generator_kwargs"]
    config = resolve_config(given)
    text = explained_settings(config)
    again = resolve_config(tomllib.loads(text))
    assert dataclasses.replace(again, **{table: {}}) == dataclasses.replace(config, **{table: {}}, preset="none")
    assert settings_of(algo, getattr(again, table)) == settings_of(algo, getattr(config, table))
    for name in table_hints(algo):
        (line,) = [line for line in text.splitlines() if line.removeprefix("# ").startswith(f"{name} =")][-1:]
        assert len(line.split("  # ")[1]) > 5


@pytest.mark.parametrize("algo", IMITATION)
def test_every_setting_has_a_meaning_that_is_one_sentence(algo):
    for settings in [BCSettings] if algo == "bc" else ALGORITHMS[algo].modes.values():
        meanings = meanings_of(settings)
        for field in dataclasses.fields(settings):
            assert "\n" not in meanings[field.name]
            assert 5 < len(meanings[field.name]) < 200
