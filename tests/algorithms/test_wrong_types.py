"""Values of another kind than expected, from Python: a project error that names the argument."""

import pytest
from stable_baselines3 import PPO

from ganq_irl.algorithms import ALGORITHMS, BC, warm_start
from ganq_irl.errors import ConfigurationError, UnsupportedGenerator
from tests.scripted import demonstrations_for, generator

NAMES = {"gail": "ppo", "dac": "sac"}


@pytest.mark.parametrize("given", ["ppo", None, PPO, 3, {}])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_generator_is_an_sb3_algorithm(algorithm, given):
    with pytest.raises(UnsupportedGenerator, match=r"generator: given .*, expected a Stable-Baselines3 algorithm"):
        ALGORITHMS[algorithm](given, demonstrations_for("sac"))
    with pytest.raises(UnsupportedGenerator, match="expected a Stable-Baselines3 algorithm"):
        warm_start(given, demonstrations_for("sac"), 1)
    with pytest.raises(UnsupportedGenerator, match="expected a Stable-Baselines3 algorithm"):
        ALGORITHMS[algorithm].load("nowhere", given, demonstrations_for("sac"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("stabilizers", value) for value in ("spectral-norm", 3, {"name": "r1"}, [3], [None], [{"name": ["r1"]}], [{}])),
        *(("learning_rate", value) for value in ("1e-3", None, -1.0, float("nan"), [1e-3], True)),
        *(("hidden_sizes", value) for value in (64, "64", [0], [6.5], ["64"])),
        *((name, value) for name in ("reward", "loss", "activation") for value in (["bce"], 3)),
        *(("seed", value) for value in ("0", -1, 1.5, True)),
        ("batch_size", "16"),
        ("n_updates", "2"),
        ("n_updates", [1]),
    ],
)
@pytest.mark.parametrize("algorithm", NAMES)
def test_settings_of_another_kind_are_answered(algorithm, setting, value):
    name = NAMES[algorithm]
    with pytest.raises(ConfigurationError) as error:
        ALGORITHMS[algorithm](generator(name), demonstrations_for(name), **{"batch_size": 16, setting: value})
    assert "\n" not in str(error.value)
    assert setting.rstrip("s") in str(error.value)


@pytest.mark.parametrize(("algorithm", "setting"), [("gail", "inputs"), ("airl", "reward_inputs"), ("dac", "inputs")])
@pytest.mark.parametrize("value", ["observations", 3, [3], None])
def test_inputs_are_a_list_of_names(algorithm, setting, value):
    name = NAMES.get(algorithm, "ppo")
    with pytest.raises(ConfigurationError, match=f"{setting}: given .*; expected a list of names"):
        ALGORITHMS[algorithm](generator(name), demonstrations_for(name), **{setting: value})


@pytest.mark.parametrize(
    ("algorithm", "name", "setting", "value"),
    [
        ("airl", "ppo", "entropy_weight", "0.1"),
        ("airl", "dqn", "boltzmann_temperature", "1"),
        ("dac", "sac", "expert_share", "half"),
        ("iq-learn", "dqn", "temperature", "0.1"),
        ("iq-learn", "dqn", "chi2_alpha", "0.5"),
        ("iq-learn", "sac", "actor_learning_rate", "0.1"),
        ("sqil", "sac", "seed", "0"),
    ],
)
@pytest.mark.filterwarnings("ignore:SAC tunes its entropy coefficient")
def test_single_settings_of_another_kind_are_answered(algorithm, name, setting, value):
    with pytest.raises(ConfigurationError, match=f"{setting}: given '{value}'"):
        ALGORITHMS[algorithm](generator(name), demonstrations_for(name), **{setting: value})


@pytest.mark.parametrize(("setting", "value"), [("learning_rate", "x"), ("seed", "x"), ("learning_rate", -1)])
def test_so_does_cloning(setting, value):
    demos = demonstrations_for("sac")
    with pytest.raises(ConfigurationError, match=setting):
        BC(demos.observation_space, demos.action_space, demos, **{setting: value})


def test_what_algorithms_are_can_be_read():
    run = ALGORITHMS["gail"](generator("ppo"), demonstrations_for("ppo"), batch_size=16)
    assert repr(run) == (
        "GAIL(generator='PPO', env=None, timesteps=0, reward='logit', loss='bce', stabilizers=['spectral-norm'])"
    )
    assert (
        repr(ALGORITHMS["sqil"](generator("sac"), demonstrations_for("sac")))
        == "SQIL(generator='SAC', env=None, timesteps=0)"
    )
    demos = demonstrations_for("sac")
    assert repr(BC(demos.observation_space, demos.action_space, demos)).endswith("n_updates_done=0)")
