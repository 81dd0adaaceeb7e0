import pickle
import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.environments import CONTINUING_ACROBOT, CONTINUING_CARTPOLE, POINT_MAZE
from ganq_irl.errors import ConfigurationError, GanqIrlError, IncompatibleSpaces
from ganq_irl.generators.factory import GENERATORS, generator_options
from ganq_irl.runs import EvaluationConfig, ExperimentConfig, load_presets, resolve_config
from ganq_irl.runs.config import merged, parse_config
from ganq_irl.runs.presets import choose_preset, env_family
from ganq_irl.runs.resolve import parse_assignment
from ganq_irl.runs.validation import check_config
from ganq_irl.space_matrix import IMITATION

PPO = {"algo": "ppo", "env": "Pendulum-v1", "preset": "none"}
GAIL = {"algo": "gail", "env": "Pendulum-v1", "demos": "some.npz", "preset": "none"}
BC = {"algo": "bc", "env": "Pendulum-v1", "demos": "some.npz", "preset": "none"}

plain = st.one_of(st.booleans(), st.integers(-9, 9), st.floats(-1, 1), st.text("abc", max_size=3))
keys = st.text("abc", min_size=1, max_size=2)
tables = st.dictionaries(keys, plain | st.dictionaries(keys, plain, max_size=3), max_size=3)
configs = st.builds(
    ExperimentConfig,
    algo=st.sampled_from(["gail", "ppo"]),
    env=st.just("CartPole-v1"),
    demos=st.none() | st.just("cartpole"),
    n_trajectories=st.none() | st.integers(1, 5),
    timesteps=st.none() | st.integers(1, 10**7),
    seed=st.integers(0, 2**31),
    normalize_observations=st.booleans(),
    generator_kwargs=tables,
    evaluation=st.builds(EvaluationConfig, episodes=st.integers(1, 50), every=st.integers(0, 5)),
)


@given(configs)
def test_a_configuration_survives_toml(config):
    assert parse_config(ExperimentConfig, tomllib.loads(config.to_toml())) == config


def test_the_file_of_a_run_says_which_preset_is_included_and_needs_it_no_more():
    config = resolve_config({"algo": "sac", "env": "Pendulum-v1"})
    assert config.preset == "sac-pendulum"
    assert "sac-pendulum" in config.to_toml()
    again = resolve_config(tomllib.loads(config.to_toml()))
    assert again == replace(config, preset="none")


def test_sources_in_order_of_precedence(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(
        'algo = "sac"\nenv = "Pendulum-v1"\nseed = 1\nn_envs = 2\ntimesteps = 5e3\n[generator_kwargs]\ntau = 0.1\n'
    )
    sets = ["n_envs=3", "timesteps=100", "generator_kwargs.policy_kwargs.activation_fn=ELU"]
    config = resolve_config({"timesteps": 7, "device": None}, assignments=sets, file=file)
    assert (config.seed, config.n_envs, config.timesteps, config.device) == (1, 3, 7, "auto")
    # tau from the file, the activation from --set, the rest from the preset; three environments bring three updates a step
    assert config.generator_kwargs == {
        "gradient_steps": 3,
        "learning_rate": 1e-3,
        "gamma": 0.98,
        "tau": 0.1,
        "policy_kwargs": {"net_arch": [64, 64], "activation_fn": "ELU"},
    }


@given(tables, tables)
def test_merging_keeps_what_is_above(below, above):
    result = merged(below, above)
    assert result.keys() == below.keys() | above.keys()
    for key, value in result.items():
        inner = [table.get(key) for table in (below, above)]
        if all(isinstance(entry, dict) for entry in inner):
            assert value == {**inner[0], **inner[1]}
        else:
            assert value == (above[key] if key in above else below[key])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a.b = 1e-3", {"a": {"b": 1e-3}}),
        ("a=true", {"a": True}),
        ("a=[1, 'x']", {"a": [1, "x"]}),
        ("a={initial=1.0}", {"a": {"initial": 1.0}}),
        ("a=Pendulum-v1", {"a": "Pendulum-v1"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=1\nb=2", {"a": "1\nb=2"}),
        ("a=", {"a": ""}),
    ],
)
def test_assignments(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ['a=[{"name": "r1"}]', "a=[r1]", "a={initial=1.0"])
def test_lists_and_tables_that_are_not_toml_are_refused(text):
    with pytest.raises(ConfigurationError, match="is not TOML: expected texts in quotes"):
        parse_assignment(text)


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1"])
def test_malformed_assignments_are_refused(text):
    with pytest.raises(ConfigurationError, match="expected key=value"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PPO | {"sed": 1}, "unknown setting 'sed'; did you mean 'seed'"),
        (PPO | {"evaluation": {"episode": 1}}, "'evaluation.episode'; did you mean 'episodes'"),
        (PPO | {"seed": "x"}, "seed: given 'x'; expected a whole number"),
        (PPO | {"seed": True}, "seed: given True"),
        (PPO | {"timesteps": 1.5}, "timesteps: given 1.5"),
        (PPO | {"timesteps": float("inf")}, "timesteps: given inf"),
        (PPO | {"normalize_observations": 1}, "expected true or false"),
        (PPO | {"generator_kwargs": 3}, "generator_kwargs: given 3; expected a table"),
        (PPO | {"evaluation": 3}, "evaluation: given 3; expected a table"),
        (PPO | {"control": "freeze"}, "expected 'none' or 'frozen'"),
        (PPO | {"timesteps": 0}, "timesteps: given 0; expected at least 1"),
        (PPO | {"seed": -1}, "seed: given -1"),
        (PPO | {"device": "gpu"}, "device: given 'gpu'; expected auto, cpu or cuda"),
        (PPO | {"algo": "gial"}, "did you mean 'gail'"),
        ({"env": "Pendulum-v1"}, "'algo' is missing"),
        ({"algo": "ppo"}, "give --env"),
        (PPO | {"env": "Pendulm-v1"}, "Did you mean: `Pendulum`"),
        (PPO | {"env": "Pendulum-v9"}, "v9"),
        (PPO | {"env_kwargs": {"gravity": 9.8}}, "gravity"),
        (PPO | {"preset": "ppo-pendulm"}, "did you mean 'ppo-pendulum'"),
        (PPO | {"preset": "sac-pendulum"}, "is for sac, not for ppo"),
        (GAIL | {"preset": "gail-pendulum", "generator": "sac"}, "for the generator fast-ppo, not for sac"),
        (
            PPO | {"generator_kwargs": {"learning_rat": 1}},
            "'generator_kwargs.learning_rat' for ppo; did you mean 'learning_rate'",
        ),
        (GAIL | {"adversary": {"losss": "bce"}}, "'adversary.losss' for gail; did you mean 'loss'"),
        (BC | {"bc": {"updates": 3}}, "did you mean 'n_updates'"),
        (GAIL | {"demos": None}, "gail needs demonstrations"),
        (PPO | {"demos": "pendulum"}, "would ignore the demonstrations"),
        (PPO | {"generator": "sac"}, "ppo is its own generator"),
        (BC | {"generator_kwargs": {"gamma": 0.9}}, "no use for the setting 'generator_kwargs'"),
        (BC | {"timesteps": 5}, "bc.n_updates"),
        (PPO | {"control": "frozen"}, "no use for the setting 'control'"),
        (PPO | {"adversary": {"loss": "bce"}}, "no use for the setting 'adversary'"),
        (PPO | {"n_trajectories": 3}, "no use for the setting 'n_trajectories'"),
        (BC | {"normalize_observations": True}, "no use for the setting 'normalize_observations'"),
        (PPO | {"evaluation": {"keep_best": "return"}}, "set evaluation.every"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(settings, message):
    with pytest.raises(ConfigurationError) as caught:
        resolve_config(settings)
    assert message in str(caught.value)


def test_missing_demonstrations_name_those_that_are_shipped():
    with pytest.raises(ConfigurationError, match="shipped for Pendulum-v1: pendulum"):
        resolve_config(GAIL | {"demos": None})


def test_an_algorithm_that_cannot_act_there_names_what_can():
    with pytest.raises(IncompatibleSpaces, match="use ppo, a2c, trpo, sac"):
        resolve_config({"algo": "dqn", "env": "Pendulum-v1"})
    with pytest.raises(IncompatibleSpaces, match="dqn, qrdqn or gan-q"):
        resolve_config({"algo": "gail", "env": "CartPole-v1", "demos": "cartpole", "generator": "sac"})


def test_shipped_demonstrations_bring_their_environment():
    assert resolve_config({"algo": "gail", "demos": "pendulum"}).env == "Pendulum-v1"


@pytest.mark.parametrize("content", [None, b"seed = ", b"\xff"])
def test_unreadable_files_are_refused(content, tmp_path):
    file = tmp_path / "settings.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"settings\.toml"):
        resolve_config(PPO, file=file)


@pytest.mark.parametrize(
    ("env", "family"),
    [("Pendulum-v1", "Pendulum"), ("ganq_irl/ContinuingAcrobot-v0", "ContinuingAcrobot"), ("m.x:a/B-v12", "B"), ("X", "X")],
)
def test_env_family(env, family):
    assert env_family(env) == family


@pytest.mark.parametrize("env", ["seals/CartPole-v0", "seals/MountainCar-v0", "seals/HalfCheetah-v1"])
def test_environments_of_other_packages_have_no_preset(env):
    """They share a name with one of Gymnasium's, and are other tasks."""
    assert choose_preset(None, "gail", env, None) == ("none", {})


def test_a_preset_is_found_by_what_is_trained_where():
    assert choose_preset(None, "gail", "Pendulum-v1", None)[0] == "gail-pendulum"
    assert choose_preset(None, "gail", "Pendulum-v1", "sac")[0] == "gail-sac-pendulum"
    assert choose_preset(None, "gail", "Pendulum-v1", "fast-ppo")[0] == "gail-pendulum"
    assert choose_preset(None, "gail", "Pendulum-v1", "ppo")[0] == "gail-pendulum"
    assert choose_preset(None, "fast-ppo", "Pendulum-v1", None)[0] == "fast-ppo-pendulum"
    assert choose_preset(None, "ppo", "Pendulum-v1", None)[0] == "ppo-pendulum"
    assert choose_preset(None, "ppo", "ganq_irl/PointMaze-v0", None)[0] == "fast-ppo-maze"
    assert choose_preset(None, "fast-ppo", "Acrobot-v1", None)[0] == "ppo-acrobot"
    assert choose_preset(None, "gail", "Pendulum-v1", "td3") == ("none", {})
    assert choose_preset(None, "dac", "HalfCheetah-v5", None)[0] == "dac-halfcheetah"
    assert choose_preset(None, "dac", "HalfCheetah-v5", "td3")[0] == "dac-td3-halfcheetah"
    assert choose_preset("none", "gail", "Pendulum-v1", None) == ("none", {})
    assert choose_preset(None, "ppo", "FrozenLake-v1", None) == ("none", {})


ENVS = {
    "CartPole": "CartPole-v1",
    "Acrobot": "Acrobot-v1",
    "MountainCar": "MountainCar-v0",
    "Pendulum": "Pendulum-v1",
    "LunarLander": "CartPole-v1",  # needs box2d; the settings are checked without it
    "HalfCheetah": "Pendulum-v1",  # these need mujoco
    "Hopper": "Pendulum-v1",
    "Walker2d": "Pendulum-v1",
    "Ant": "Pendulum-v1",
    "ContinuingAcrobot": CONTINUING_ACROBOT,
    "ContinuingCartPole": CONTINUING_CARTPOLE,
    "PointMaze": POINT_MAZE,
    "any": "Pendulum-v1",
}


@pytest.mark.parametrize("name", load_presets())
def test_every_preset_is_a_valid_run(name):
    preset = load_presets()[name]
    settings = {key: value for key, value in preset.items() if key not in ("env", "expert")}
    env = ENVS[preset["env"]]
    demos = {"demos": "some.npz"} if preset["algo"] in IMITATION else {}
    config = parse_config(ExperimentConfig, settings | {"env": env} | demos)
    checked = check_config(config)
    generator = checked.generator or checked.algo
    assert checked.generator_kwargs.keys() <= generator_options(generator)
    assert generator in GENERATORS


def test_a_preset_for_any_environment_is_used_by_its_name_only():
    given = {"algo": "dac", "env": "Pendulum-v1", "demos": "pendulum"}
    assert resolve_config(given).preset == "dac-pendulum"
    for generator in (None, "td3"):
        config = resolve_config(given | {"preset": "hype", "generator": generator})
        assert (config.generator, config.adversary) == (generator or "fast-sac", {"expert_share": 0.5})


def test_every_error_is_the_users_to_mend():
    with pytest.raises(GanqIrlError):
        resolve_config({"algo": "nothing"})


def test_a_preset_has_its_bases_settings_but_for_its_own():
    presets = load_presets()
    base, heir = presets["gail-hopper"], presets["airl-hopper"]
    assert heir == base | {"algo": "airl", "adversary": base["adversary"] | heir["adversary"]}
    stabilizers = [{"name": "spectral-norm", "scale": 3.0}]
    assert heir["adversary"] == {"absorbing": False, "reward": "gail", "stabilizers": stabilizers}
    narrow = presets["airl-halfcheetah"]["generator_kwargs"]  # through two more bases
    assert narrow == base["generator_kwargs"] | {"policy_kwargs": {"log_std_init": -1.0}}
    assert not any("base" in preset for preset in presets.values())


def test_settings_are_checked_once_and_again_when_they_change(monkeypatch):
    config = resolve_config({"algo": "ppo", "env": "CartPole-v1"})

    def refuse(_):
        raise ConfigurationError("checked")

    monkeypatch.setattr("ganq_irl.runs.validation._check_numbers", refuse)
    assert check_config(config) is config
    assert check_config(pickle.loads(pickle.dumps(config))) == config  # in a worker process
    with pytest.raises(ConfigurationError, match="checked"):
        check_config(replace(config, seed=1))
    with pytest.raises(ConfigurationError, match="checked"):
        check_config(ExperimentConfig("ppo", "CartPole-v1"))
