"""Values that no SB3 algorithm can take are refused by name, before anything is built."""

import pytest

import ganq_irl.algorithms  # noqa: F401  registers our own generators
from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.factory import GENERATORS, build_generator, generator_class, generator_options
from ganq_irl.generators.options import RANGES, check_widths, checked_keywords, type_hints_of


class Keywords:
    def __init__(self, count: int, rate: "float | None" = 1.0, gamma: float = 0.9, kind: str = "a", whole: bool = True): ...


def checked(**keywords):
    return checked_keywords(type_hints_of(Keywords), keywords)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"count": "x"}, "count: given 'x'; expected a whole number"),
        ({"count": 1.5}, "count: given 1.5; expected a whole number"),
        ({"count": True}, "count: given True; expected a whole number"),
        ({"rate": "x"}, "rate: given 'x'"),
        ({"gamma": "x"}, "gamma: given 'x'; expected a number"),
        ({"gamma": 1.5}, "gamma: given 1.5; expected a number from 0 to 1"),
        ({"gamma": float("nan")}, "gamma: given nan"),
        ({"kind": 3}, "kind: given 3; expected a string"),
        ({"whole": 3}, "whole: given 3; expected true or false"),
    ],
)
def test_a_value_of_the_wrong_kind_or_out_of_range(keywords, said):
    with pytest.raises(ConfigurationError, match=said.replace("(", r"\(")):
        checked(**keywords)


def test_whole_numbers_may_be_written_as_floats():
    assert checked(count=1e5, gamma=1) == {"count": 100_000, "gamma": 1}
    assert isinstance(checked(count=1e5)["count"], int)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_has_its_keywords_checked(name):
    hints = type_hints_of(generator_class(name))
    for option in generator_options(name) & RANGES.keys():
        with pytest.raises(ConfigurationError, match=f"{option}: given -7"):
            checked_keywords(hints, {option: -7})
    with pytest.raises(ConfigurationError, match="gamma: given 'x'"):
        checked_keywords(hints, {"gamma": "x"})


@pytest.mark.parametrize("widths", [[10**11], [0], [-3], "x", 64, [1.5], {"pi": [0]}, ["a"]])
def test_widths_that_are_none(widths):
    with pytest.raises(ConfigurationError, match="expected a list of layer widths"):
        check_widths(widths, "net_arch")


def test_more_memory_than_there_is(env):
    with pytest.raises(ConfigurationError, match="does not fit into memory"):
        build_generator("sac", env, device="cpu", buffer_size=10**14)


@pytest.fixture
def env():
    from stable_baselines3.common.env_util import make_vec_env

    return make_vec_env("Pendulum-v1")
