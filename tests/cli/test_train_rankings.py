"""`train t-rex` and `train d-rex` as a user runs them."""

import json
from pathlib import Path

import pytest

QUICK = ["--timesteps", "128", "--seed", "0", "--device", "cpu", "--set", "evaluation.episodes=1", "--preset", "none"]
SMALL = ("generator_kwargs.n_steps=64", "imitation.segment_length=10", "imitation.n_updates=5", "imitation.n_comparisons=10")
QUICK += [word for setting in SMALL for word in ("--set", setting)]
NOISE = ["--set", "imitation.noise_steps=50", "--set", "imitation.n_clone_updates=5"]


@pytest.fixture
def demos(run):
    """Two random episodes, and two of a function that balances for longer."""
    Path("upright.py").write_text("def act(observation):\n    return int(observation[2] > 0)\n")
    assert run("demos", "record", "--env", "CartPole-v1", "--policy", "upright:act", "--episodes", "4", "--seed", "0",
               "--out", "demos.npz").exit_code == 0  # fmt: skip
    return "demos.npz"


@pytest.mark.parametrize(("algo", "own"), [("t-rex", []), ("d-rex", NOISE)])
def test_a_reward_is_learned_and_a_policy_on_it(run, demos, algo, own):
    result = run("train", algo, "--env", "CartPole-v1", "--demos", demos, *QUICK, *own, "--out", "run")
    assert result.exit_code == 0, result.stderr
    told = json.loads(run("reward", "show", "run", "--json").stdout)
    assert (told["provenance"]["algorithm"], told["form"]) == (algo, "score")


def test_ranks_are_given_on_the_command_line(run, demos):
    command = ["train", "t-rex", "--env", "CartPole-v1", "--demos", demos, *QUICK, "--out", "run"]
    refused = run(*command, "--set", "imitation.ranks=[1, 2]")
    assert refused.exit_code == 2
    assert "ranks: given 2 for 4 demonstrations" in refused.stderr
    assert not Path("run").exists()
    assert run(*command, "--set", "imitation.ranks=[1, 2, 3, 3]").exit_code == 0
    assert "ranks = [\n    1,\n    2,\n    3,\n    3,\n]" in Path("run/config.toml").read_text()
