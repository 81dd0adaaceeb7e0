"""Learning from what people have: no actions, no rewards, several files, episodes of any length, pairs in no order."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from ganq_irl_demos import random_policy, record_episodes, save_demonstrations
from ganq_irl_demos.recording.policies import FunctionPolicy

QUICK = ["--device", "cpu", "--preset", "none", "--set", "evaluation.episodes=1"]
SMALL = ["generator_kwargs.n_steps=256", "generator_kwargs.batch_size=32", "generator_kwargs.policy_kwargs.net_arch=[8]"]
ADVERSARIAL = [*QUICK, "--timesteps", "256", *(word for setting in SMALL for word in ("--set", setting))]


@pytest.fixture(scope="module")
def recorded():
    env = gym.make("Pendulum-v1")
    return record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, 3, seed=0)


@pytest.fixture
def columns(recorded):
    """A row for each transition, as someone's ``np.savez`` would have it."""
    return {
        "obs": np.concatenate([one.observations[:-1] for one in recorded]),
        "next_obs": np.concatenate([one.observations[1:] for one in recorded]),
        "acts": np.concatenate([one.actions for one in recorded]),
        "timeouts": np.concatenate([np.arange(len(one)) == len(one) - 1 for one in recorded]),
    }


def test_observations_only(run, columns):
    np.savez("seen.npz", **{name: column for name, column in columns.items() if name != "acts"})
    result = run("train", "gaifo", "--env", "Pendulum-v1", "--demos", "seen.npz", *ADVERSARIAL, "--out", "run")
    assert result.exit_code == 0, result.stderr
    for algo, settings in (("gail", ADVERSARIAL), ("bc", QUICK)):
        result = run("train", algo, "--env", "Pendulum-v1", "--demos", "seen.npz", *settings, "--out", algo)
        assert result.exit_code == 2
        assert "seen.npz holds no actions, which this algorithm learns from" in result.stderr
    assert "there are no actions" in run("demos", "check", "seen.npz", "--env", "Pendulum-v1").stdout


def test_rewards_missing(run, columns):
    np.savez("unpaid.npz", **columns)
    result = run("train", "gail", "--env", "Pendulum-v1", "--demos", "unpaid.npz", *ADVERSARIAL, "--out", "run")
    assert result.exit_code == 0, result.stderr
    inspected = json.loads(run("demos", "inspect", "unpaid.npz", "--env", "Pendulum-v1", "--json", "--plot", "p.png").stdout)
    assert (inspected["returns"], inspected["episodes"]) == (None, 3)


def test_several_files_with_weights(run, recorded):
    save_demonstrations(recorded[:1], "expert.npz")
    save_demonstrations(recorded[1:], "older.parquet" if _has_parquet() else "older.arrays.npz")
    older = "older.parquet" if _has_parquet() else "older.arrays.npz"
    sources = [("expert.npz", 3), (older, 1)]
    tables = [f'[[demonstrations]]\nsource = "{source}"\nweight = {weight}\n' for source, weight in sources]
    Path("mix.toml").write_text("".join(tables))
    result = run("train", "gail", "--env", "Pendulum-v1", "--demos", "mix.toml", *ADVERSARIAL, "--out", "run")
    assert result.exit_code == 0, result.stderr
    inspected = json.loads(run("demos", "inspect", "mix.toml", "--json").stdout)
    assert inspected["episodes"] == 3 * 1 + 2
    assert [part["copies"] for part in inspected["provenance"]["joined"]] == [3, 1]


def _has_parquet() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def test_different_horizons(run):
    lengths = []
    for limit in (30, 60, 90):
        env = gym.make("CartPole-v1", max_episode_steps=limit)
        balance = FunctionPolicy(lambda seen: int(seen[2] + 0.3 * seen[3] > 0), env.action_space)
        demos = record_episodes(balance, env, 1, seed=limit)
        lengths.append(len(demos[0]))
        save_demonstrations(demos, f"limit-{limit}.npz")
    assert lengths == [30, 60, 90]
    tables = "".join(f'[[demonstrations]]\nsource = "limit-{limit}.npz"\n' for limit in (30, 60, 90))
    Path("all.toml").write_text(tables)
    result = run("train", "airl", "--env", "CartPole-v1", "--demos", "all.toml", *ADVERSARIAL, "--out", "run")
    assert result.exit_code == 0, result.stderr
    findings = json.loads(run("demos", "check", "all.toml", "--json").stdout)["findings"]
    assert "horizon-mix" in {finding["rule"] for finding in findings}


def test_no_next_observations(run, columns):
    shuffled = np.random.default_rng(0).permutation(len(columns["obs"]))
    np.savez("pairs.npz", obs=columns["obs"][shuffled], acts=columns["acts"][shuffled])
    clone = ["train", "bc", "--env", "Pendulum-v1", "--demos", "pairs.npz", "--set", "bc.n_updates=2", *QUICK]
    result = run(*clone, "--out", "run")
    assert result.exit_code == 0, result.stderr
    result = run("train", "gail", "--env", "Pendulum-v1", "--demos", "pairs.npz", *ADVERSARIAL, "--out", "pairs")
    assert result.exit_code == 0, result.stderr
    result = run("train", "airl", "--env", "Pendulum-v1", "--demos", "pairs.npz", *ADVERSARIAL, "--out", "transitions")
    assert result.exit_code == 2
    assert "pairs.npz holds no next observations, which this algorithm learns from" in result.stderr
