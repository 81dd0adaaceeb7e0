"""For every algorithm and space: training, or one sentence that advises what does train."""

import re
import warnings

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO

from ganq_irl.algorithms import ALGORITHMS, BC
from ganq_irl.errors import IncompatibleSpaces, UnsupportedGenerator
from ganq_irl.generators.checks import traits_of
from ganq_irl.generators.factory import GENERATORS
from ganq_irl.space_matrix import (
    EXACT_TWINS,
    IMITATION,
    REPLAYING,
    TRAITS,
    Traits,
    check_trains,
    default_generator,
    trained_by,
    why_not,
)
from tests.contracts.space_examples import ACTIONS, OBSERVATIONS, ROWS, VECTOR, cells, train
from tests.scripted import CONTINUOUS, OFF_POLICY, SpacesEnv, generator, vec_env

NOBODY_SEES = {
    "Box empty", "Discrete(start=1)", "MultiDiscrete 2-D", "Tuple", "Text", "Sequence", "Graph", "Dict with start=1",
    "Dict nested", "Dict empty",
}  # fmt: skip
NOBODY_ACTS_IN = {
    "Box empty", "Box of integers", "Discrete(start=1)", "MultiDiscrete 2-D", "MultiBinary 2-D", "Dict", "Tuple", "Text",
    "Sequence", "Graph",
}  # fmt: skip
ONLY_BC_ACTS_IN = {"Box unbounded", "Box one-sided"}
NOT_SCALED = {"Box low = high", "Box too wide"}
REPRESENTATIVE = [
    ("bc", None, "actions", "Box 2-D"),
    ("bc", None, "actions", "MultiBinary"),
    ("bc", None, "actions", "Box unbounded"),
    ("bc", None, "observations", "image channels in the middle"),
    ("bc", None, "observations", "Dict with a dotted key"),
    ("gail", "fast-ppo", "observations", "Box scalar"),
    ("gail", "fast-ppo", "observations", "image small"),
    ("airl", "sac", "observations", "Dict with images"),
    ("airl", "fast-ppo", "actions", "Box low = high"),
    ("dac", "dqn", "observations", "Dict with a scalar"),
    ("sqil", "dqn", "observations", "Dict with torch's names"),
    ("iq-learn", "sac", "observations", "Box scalar"),
    ("ls-iq", "sac", "observations", "Box scalar"),
    ("sac", "sac", "observations", "Dict"),
    ("gan-q", "gan-q", "observations", "image small"),
    ("crossq", "crossq", "observations", "image"),
    ("gan-q-continuous", "gan-q-continuous", "observations", "Box scalar"),
]
"""What failed once, each with an algorithm that it failed for."""


def test_every_algorithm_has_its_row():
    assert set(IMITATION) == {*ALGORITHMS, "bc"}
    assert TRAITS.keys() >= GENERATORS.keys()
    assert {algo for algo, _ in ROWS} == {*IMITATION, *GENERATORS}


def expected(algo, name, kind, space):
    if space in (NOBODY_SEES if kind == "observations" else NOBODY_ACTS_IN):
        return False
    if kind == "observations" and name == "crossq" and space.startswith("Dict"):
        return False
    if kind == "observations" or algo == "bc":
        return True
    if space in ONLY_BC_ACTS_IN:
        return False
    name = EXACT_TWINS.get(name, name)
    if name in CONTINUOUS:
        return space.startswith("Box") and space not in NOT_SCALED
    return space == "Discrete" or name not in OFF_POLICY


@pytest.mark.parametrize(("algo", "name"), ROWS)
def test_each_cell_is_training_or_a_sentence(algo, name):
    for kind, space, observation_space, action_space in cells(algo, name):
        reason = why_not(algo, observation_space, action_space, name)
        assert (reason is None) == expected(algo, name, kind, space), (kind, space, reason)
        if reason is not None:
            assert "\n" not in reason
            assert len(reason) < 320
            hold_advice(algo, reason, observation_space, action_space)


def hold_advice(algo, reason, observation_space, action_space):
    """Whatever name the last half sentence gives as a way out is one."""
    advice = reason.rpartition("; ")[2]
    named = re.findall(r"\b(?:gan-q-continuous|gan-q|fast-ppo|fast-sac|fast-td3|iq-learn|ls-iq|[a-z0-9]+)\b", advice)
    as_generator = "as its generator" in advice
    with_it = re.search(r"gail with ([\w-]+)", advice)
    for other in set(named) & {*IMITATION, *GENERATORS} - {with_it and with_it[1]}:
        pair = (algo, other) if as_generator and other in GENERATORS else (other, with_it[1] if with_it else None)
        assert why_not(pair[0], observation_space, action_space, pair[1]) is None, (reason, other)


@pytest.mark.parametrize(("algo", "name", "kind", "space"), REPRESENTATIVE)
def test_what_trains_trains(algo, name, kind, space, tmp_path):
    (found,) = [cell[2:] for cell in cells(algo, name) if cell[:2] == (kind, space)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(algo, *found, tmp_path / "policy", name)


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "name"), ROWS)
def test_all_that_trains_trains(algo, name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (kind, space, observation_space, action_space) in enumerate(cells(algo, name)):
            if expected(algo, name, kind, space):
                train(algo, observation_space, action_space, tmp_path / str(number), name)


# The same sentence, whoever asks.


@pytest.mark.parametrize("algo", [*ALGORITHMS, "bc"])
def test_constructors_say_the_sentence(algo):
    odd, acts = OBSERVATIONS["Discrete(start=1)"], spaces.Discrete(3)
    sentence = why_not(algo, odd, acts)
    env = vec_env(SpacesEnv, observation_space=odd, action_space=acts)
    arguments = (odd, acts) if algo == "bc" else (PPO("MlpPolicy", env, device="cpu"),)
    with pytest.raises(IncompatibleSpaces) as error:
        {**ALGORITHMS, "bc": BC}[algo](*arguments, "cartpole")
    assert str(error.value) == sentence


def test_advice_leaves_the_circle():
    """dac said "use ppo", and dac with ppo "use sac"."""
    acts = ACTIONS["MultiDiscrete"]
    for name in (None, "ppo", "sac"):
        reason = why_not("dac", VECTOR, acts, name)
        hold_advice("dac", reason, VECTOR, acts)
        assert re.search(r"; use gail, .* or bc$", reason)
    reason = why_not("dac", VECTOR, VECTOR, "ppo")
    hold_advice("dac", reason, VECTOR, VECTOR)
    assert re.search(r"; use sac, .* as its generator, or gail with ppo$", reason)


def test_a_wrong_generator_is_told_from_wrong_spaces():
    with pytest.raises(UnsupportedGenerator, match=r"^dac learns from a replay buffer, and ppo has none"):
        check_trains("dac", VECTOR, VECTOR, "ppo")
    with pytest.raises(IncompatibleSpaces, match=r"^fast-sac acts in Box spaces, and the actions are MultiBinary"):
        check_trains("dac", VECTOR, ACTIONS["MultiBinary"])
    with pytest.raises(IncompatibleSpaces, match="contain no numbers"):
        check_trains("dac", OBSERVATIONS["Box empty"], VECTOR, "ppo")
    check_trains("dac", VECTOR, VECTOR, "td3")


def test_what_can_learn_from_demonstrations():
    assert trained_by(VECTOR, VECTOR) == trained_by(VECTOR, spaces.Discrete(2)) == list(IMITATION)
    assert trained_by(VECTOR, ACTIONS["MultiBinary"]) == [name for name in IMITATION if name not in REPLAYING]
    assert trained_by(VECTOR, ACTIONS["Box unbounded"]) == ["bc"]
    assert trained_by(OBSERVATIONS["Tuple"], VECTOR) == []


@pytest.mark.parametrize("acts", [VECTOR, spaces.Discrete(2), ACTIONS["MultiBinary"]], ids=str)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_the_default_generator_trains_wherever_some_generator_does(algo, acts):
    trains = {name: why_not(algo, VECTOR, acts, name) is None for name in GENERATORS}
    assert trains[default_generator(algo, acts)] == any(trains.values())


@pytest.mark.parametrize("name", GENERATORS)
def test_a_model_is_known_by_its_class_or_what_it_derives_from(name):
    model = generator(name)
    assert traits_of(model) == (name, TRAITS[name])
    model.__class__ = type("Mine", (type(model),), {})
    assert traits_of(model) == (name, TRAITS[name])


def test_a_generator_of_another_package_is_judged_by_what_it_is():
    model = generator("td3")
    model.__class__ = type("TD3", (type(model).__mro__[1],), {})  # no TD3 of SB3's any more, but off-policy
    name, traits = traits_of(model)
    assert (name, traits) == ("TD3", Traits(replays=True, has_log_prob=False))
    reason = why_not("airl", VECTOR, VECTOR, name, traits)
    assert reason.startswith("airl needs log π(a|s), and TD3's policy has none; use ppo")


def test_a_dict_keeps_its_order_where_a_policy_is_stored(tmp_path):
    """A policy joins its inputs in the order of the keys: in another one it acts in another way."""
    unsorted = spaces.Dict(z=spaces.Box(-1, 1, (2,), np.float32), a=spaces.Discrete(4))
    train("ppo", unsorted, VECTOR, tmp_path / "policy", "ppo")
