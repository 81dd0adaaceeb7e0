"""``ganq-irl advise``: which algorithm, why, and the command."""

import json

import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.runs import resolve_config
from ganq_irl.runs.advice import advise
from ganq_irl_demos import Demonstrations, Trajectory, load_demonstrations
from tests.command_line import call


def test_facts_command_and_reasons():
    shown = call("advise", "--demos", "cartpole", "--env", "CartPole-v1").stdout
    assert "20 episodes of 500 to 500 steps, 10000 transitions" in shown
    assert "    ganq-irl train gail --env CartPole-v1 --demos cartpole\n" in shown
    assert "It uses the preset gail-cartpole." in shown
    assert "ganq-irl train bc" in shown
    assert "--control frozen" in shown


def test_the_environment_is_that_of_the_demonstrations():
    advice = json.loads(call("advise", "--demos", "acrobot", "--json").stdout)
    assert advice["command"] == "ganq-irl train gail --env Acrobot-v1 --demos acrobot"


def test_what_the_command_trains_is_what_advise_names():
    """The command resolves, and to the settings that were named."""
    advice = advise(load_demonstrations("maze"), "MountainCarContinuous-v0", source="maze")
    assert advice.preset == "auto"
    _, _, algo, _, env, _, demos = advice.command.split()
    config = resolve_config({"algo": algo, "env": env, "demos": demos})
    named = {choice.key: choice.value for choice in advice.choices}
    assert named["generator_kwargs.gamma"] == config.generator_kwargs["gamma"]
    assert named["n_envs"] == config.n_envs


def test_the_commands_name_the_columns_of_a_table():
    named = {"observations": ["x", "v"], "actions": ["a"]}
    advice = advise(load_demonstrations("maze"), "MountainCarContinuous-v0", source="my rows.csv", columns=named)
    assert all("--demos 'my rows.csv' --columns observations=x,v --columns actions=a" in line for line in advice.beside)


def test_demonstrations_decide():
    space, two = spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(2)

    def of(length, missing=()):
        actions = np.zeros((length, 0), np.float32) if missing else np.zeros(length, np.int64)
        one = Trajectory(observations=np.zeros((length + 1, 3), np.float32), actions=actions, terminated=True)
        return Demonstrations([one, one], space, two, missing=missing)

    assert advise(of(1), "CartPole-v1", source="x").algo == "bc"
    assert advise(of(9), "CartPole-v1", source="x").algo == "gail"
    unseen = advise(of(9, missing=("actions",)), "CartPole-v1", source="x")
    assert unseen.algo == "gaifo"
    assert not any("train bc" in line for line in unseen.beside)


@pytest.mark.parametrize("line", ["advise", "advise --demos nowhere.npz --env CartPole-v1"])
def test_mistakes_end_in_a_sentence(line):
    result = call(*line.split())
    assert result.exit_code == 2
    assert "--demos" in result.stderr or "nowhere.npz" in result.stderr
