import tomllib
from dataclasses import replace

import pytest

from ganq_irl.errors import ConfigurationError
from ganq_irl.runs.resolve import resolve_config
from ganq_irl.studies.grid import demonstrations_for, make_cells
from ganq_irl.studies.methods import (
    ANSWERS,
    ANSWERS_BY_REWARD,
    BOTH,
    CORRECTIONS,
    DEMONSTRATIONS_ONLY,
    REWARD_KNOWN,
    parse_method,
)
from ganq_irl.studies.spec import parse_grid, parse_variation, resolve_grid
from ganq_irl.studies.variations import SURVEY, parse_stabilizers
from tests.studies.grid_examples import quick_grid

SMALL = {"algos": ["gan-q", "gail"], "env": "CartPole-v1", "timesteps": 1000}


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("gan-q", REWARD_KNOWN),
        ("dqn", REWARD_KNOWN),
        ("bc", DEMONSTRATIONS_ONLY),
        ("gail+gan-q", DEMONSTRATIONS_ONLY),
        ("airl+gan-q", DEMONSTRATIONS_ONLY),
        ("gail:frozen", DEMONSTRATIONS_ONLY),
        ("gail:true-reward", REWARD_KNOWN),
        ("preferences+fast-sac", ANSWERS_BY_REWARD),
        ("gan-q@airl", DEMONSTRATIONS_ONLY),
        ("gan-q@gail+dqn", DEMONSTRATIONS_ONLY),
    ],
)
def test_methods_by_name_and_their_protocol(name, protocol):
    method = parse_method(name)
    assert (method.name, method.protocol) == (name, protocol)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gial", "did you mean 'gail'"),
        ("gail+pop", "did you mean 'ppo'"),
        ("gail+", "expected ALGO"),
        ("", "expected ALGO"),
        ("gail@airl", "must be an algorithm that learns from a reward"),
        ("gan-q@dqn", "recovers no reward"),
        ("gan-q@arl", "did you mean 'airl'"),
        ("gail:frosen", "did you mean 'frozen'"),
        ("ppo:true-reward", "learns from the true reward anyway"),
    ],
)
def test_unknown_methods(name, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_method(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algo": "gail"}, "unknown setting 'algo' of a grid; did you mean 'algos'"),
        ({"n_demo": [1]}, "did you mean 'n_demos'"),
        ({"n_trajectories": 3}, "unknown setting 'n_trajectories'"),
        ({"algos": []}, "algos: given"),
        ({"env": None}, "env: given None; expected one name or more, such as --env CartPole-v1"),
        ({"n_demos": [0]}, "n_demos: given .* from 1 on"),
        ({"seeds": 0}, "seeds: given 0"),
        ({"seeds": [1, 1]}, "seeds: 1 is given twice"),
        ({"vary": {"n_envs": 2}}, "a list of values"),
        ({"methods": {"gial": {}}}, "unknown algorithm 'gial'; did you mean 'gail'"),
        ({"algos": ["gan-q@airl"]}, "reward of airl, which is not among them"),
        ({"methods": {"gail": 3}}, "a table for each method"),
        ({"timesteps": {"CartPoel-v1": 10}}, "unknown environment 'CartPoel-v1'"),
        ({"demos": {"CartPoel-v1": "cartpole"}}, "unknown environment 'CartPoel-v1'"),
    ],
)
def test_wrong_requests(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_grid(SMALL | changes)


def test_a_request_is_written_and_read_back_to_the_same():
    grid = quick_grid(vary={"n_envs": [1, 2], "stabilizer": ["none", ["r1", {"name": "r2", "weight": 2.0}]]}, seeds=[3, 5])
    assert parse_grid(tomllib.loads(grid.to_toml())) == grid


@pytest.mark.parametrize("text", ["stabilizer=[none,r1]", "n_envs={a=1,b=2}"])
def test_a_variation_that_is_not_toml_is_not_spelled_out_as_letters(text):
    with pytest.raises(ConfigurationError, match="is not TOML"):
        parse_variation(text)


def test_flags_come_before_assignments_and_those_before_the_file(tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text('algos = ["gail"]\nenv = ["CartPole-v1"]\nseeds = 3\n[evaluation]\nepisodes = 7\nevery = 10\n')
    grid = resolve_grid({"seeds": 2, "algos": None}, assignments=["evaluation.every=20"], file=file)
    assert (grid.algos, grid.seeds) == (("gail",), (0, 1))
    assert grid.shared["evaluation"] == {"episodes": 7, "every": 20}


def test_methods_that_see_no_demonstrations_run_once_for_all_numbers_of_them():
    cells = make_cells(parse_grid(SMALL | {"n_demos": [1, 4], "seeds": 2, "algos": ["dqn", "bc"]}))
    assert [(cell.method.name, cell.n_demos, cell.seed) for cell in cells] == [
        (name, n_demos, seed) for seed in (0, 1) for name, n_demos in (("dqn", None), ("bc", 1), ("bc", 4))
    ]
    assert {cell.config.demos for cell in cells} == {None, "cartpole"}
    assert [cell.config.evaluation.every for cell in cells[:2]] == [50, 0]


def test_timesteps_by_environment():
    timesteps = {"CartPole-v1": 300, "Pendulum-v1": 400}
    request = SMALL | {"env": ["CartPole-v1", "Acrobot-v1"], "algos": ["dqn", "bc"], "seeds": 1, "timesteps": timesteps}
    steps = {(cell.env, cell.method.name): cell.config.timesteps for cell in make_cells(parse_grid(request))}
    own = resolve_config({"algo": "dqn", "env": "Acrobot-v1"}).timesteps
    assert steps == {
        ("CartPole-v1", "dqn"): 300,
        ("Acrobot-v1", "dqn"): own,
        ("CartPole-v1", "bc"): None,
        ("Acrobot-v1", "bc"): None,
    }


def test_settings_of_one_method_and_of_all():
    methods = {"gail": {"generator_kwargs": {"gamma": 0.5}}, "airl": {}, "gail:frozen": {"adversary": {"n_updates": 1}}}
    settings = {"algos": ["gan-q", "gail", "gail:frozen"], "methods": methods, "n_envs": 2, "seeds": 1}
    gan_q, gail, control = make_cells(parse_grid(SMALL | settings))
    assert gail.config.generator_kwargs["gamma"] == control.config.generator_kwargs["gamma"] == 0.5
    assert "n_updates" not in gail.config.adversary
    assert control.config.adversary["n_updates"] == 1
    assert "gamma" not in gan_q.config.generator_kwargs
    assert gan_q.config.n_envs == gail.config.n_envs == 2


def test_a_method_that_also_gets_the_reward_is_in_a_table_of_its_own():
    methods = {"gail": {"adversary": {"task_weight": 0.5}}}
    algos = ["dqn", "gail", "amp", "airl", "preferences"]
    cells = make_cells(parse_grid(SMALL | {"algos": algos, "methods": methods, "seeds": 1}))
    assert [cell.protocol for cell in cells] == [REWARD_KNOWN, BOTH, BOTH, DEMONSTRATIONS_ONLY, ANSWERS_BY_REWARD]
    assert cells[-1].config.demos is None
    answered = replace(cells[-1], config=replace(cells[-1].config, imitation={"teacher": "judge:longer"}))
    assert answered.protocol == ANSWERS


def test_corrections_are_on_top_of_as_many_demonstrations_as_others_get():
    settings = {
        "algos": ["dagger", "bc"],
        "methods": {"dagger": {"imitation": {"expert": "runs/expert"}}},
        "n_demos": [1, 4],
    }
    cells = make_cells(parse_grid(SMALL | settings | {"seeds": 1}))
    assert [(cell.method.name, cell.config.n_trajectories) for cell in cells] == [
        (name, n_demos) for name in ("dagger", "bc") for n_demos in (1, 4)
    ]
    assert [cell.protocol for cell in cells] == [CORRECTIONS] * 2 + [DEMONSTRATIONS_ONLY] * 2


def test_the_yardstick_is_the_generator_of_the_method_with_its_settings_and_without_demonstrations():
    methods = {"gail": {"generator_kwargs": {"gamma": 0.5}}}
    settings = {"algos": ["gail", "gail:true-reward"], "methods": methods, "n_demos": [1, 4], "seeds": 1}
    cells = make_cells(parse_grid(SMALL | settings))
    gail, yardstick = cells[0].config, cells[-1].config
    assert [cell.n_demos for cell in cells] == [1, 4, None]
    assert (yardstick.algo, yardstick.timesteps) == (gail.generator, gail.timesteps)
    assert yardstick.generator_kwargs == gail.generator_kwargs
    assert (yardstick.demos, yardstick.generator, yardstick.adversary) == (None, None, {})
    with pytest.raises(ConfigurationError, match="bc:true-reward: bc trains no generator"):
        make_cells(parse_grid(SMALL | {"algos": ["bc:true-reward"]}))


def test_a_method_without_a_varied_setting_runs_once_as_it_is():
    grid = parse_grid(SMALL | {"vary": {"adversary.n_updates": [2, 4]}, "seeds": 1, "algos": ["dqn", "gail"]})
    assert [cell.variation for cell in make_cells(grid)] == ["", "adversary.n_updates=2", "adversary.n_updates=4"]


def test_a_varied_setting_that_no_method_has_is_named():
    with pytest.raises(ConfigurationError, match=r"vary.adversary.n_updats: no method .*did you mean 'n_updates'"):
        make_cells(parse_grid({**SMALL, "algos": ["gail"], "vary": {"adversary.n_updats": [1]}}))


def test_a_method_on_the_reward_of_another_learns_from_the_cell_beside_it():
    request = {
        **SMALL,
        "algos": ["gan-q@airl", "airl"],
        "n_demos": [1, 4],
        "seeds": 2,
        "vary": {"stabilizer": ["none", "r1"]},
    }
    cells = [cell for cell in make_cells(parse_grid(request)) if cell.source is not None]
    assert len(cells) == 8
    for cell in cells:
        source = cell.source
        assert (source.method.name, source.env, source.n_demos, source.seed) == ("airl", cell.env, cell.n_demos, cell.seed)
        assert source.varied == cell.varied
        assert cell.config.reward == source.path.as_posix()
        assert cell.config.demos is None
    with pytest.raises(ConfigurationError, match="no run of airl is varied as this one"):
        make_cells(parse_grid({**request, "vary": {"adversary.n_updates": [1, 2]}}))


def test_a_value_that_a_method_refuses_is_an_error_where_it_has_the_setting():
    with pytest.raises(ConfigurationError, match="gail: n_envs: given 0; expected at least 1"):
        make_cells(parse_grid({**SMALL, "algos": ["gail"], "vary": {"n_envs": [1, 0]}}))


def test_the_survey_of_stabilizers_over_both_kinds_of_discriminator():
    grid = parse_grid(SMALL | {"vary": {"stabilizer": ["survey", "default"]}, "seeds": 1, "algos": ["gan-q", "airl", "dqn"]})
    by_method = {}
    for cell in make_cells(grid):
        by_method.setdefault(cell.method.name, {})[cell.varied.get("stabilizer")] = cell.config
    assert list(by_method["airl"]) == ["none", *SURVEY, "all", "default"]
    assert list(by_method["gan-q"]) == ["none", *SURVEY[:-1], "all", "default"]  # Wasserstein has no log-ratios
    assert list(by_method["dqn"]) == [None]
    assert by_method["gan-q"]["freezing"].generator_kwargs["stabilizers"] == ["freezing"]
    assert by_method["airl"]["none"].adversary["stabilizers"] == []
    assert "stabilizers" not in by_method["airl"]["default"].adversary
    assert by_method["airl"]["all"].adversary["stabilizers"] == parse_stabilizers("all")
    assert by_method["gan-q"]["all"].generator_kwargs["stabilizers"] == parse_stabilizers("all")[:-1]


def test_a_stabilizer_that_reads_log_ratios_goes_with_a_loss_that_has_them():
    def stabilizers_of(algo, *values, **settings):
        cells = make_cells(
            parse_grid(SMALL | {"algos": [algo], "seeds": 1, "vary": {"stabilizer": list(values)}} | settings)
        )
        return [cell.config.generator_kwargs["stabilizers"] for cell in cells]

    assert stabilizers_of("gan-q", "logit-entropy") == [["logit-entropy"]]  # asked for by name: the run says what is wrong
    with_log_ratios = {"methods": {"gan-q": {"generator_kwargs": {"loss": "bce"}}}}
    assert stabilizers_of("gan-q", "survey", **with_log_ratios)[-2:] == [["logit-entropy"], parse_stabilizers("all")]


def test_stabilizers_joined_and_unknown():
    assert parse_stabilizers("spectral-norm+r1") == ["spectral-norm", "r1"]
    with pytest.raises(ConfigurationError, match="did you mean 'freezing'"):
        parse_stabilizers("r1+freezin")


def test_demonstrations_of_an_environment():
    assert demonstrations_for("Pendulum-v1") == "pendulum"
    assert demonstrations_for("Other-v0", {"Other-v0": "other.npz"}) == "other.npz"
    with pytest.raises(ConfigurationError, match="no demonstrations are shipped for Other-v0"):
        demonstrations_for("Other-v0")
