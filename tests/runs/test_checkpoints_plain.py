import random
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

import ganq_irl.environments  # noqa: F401
from ganq_irl.errors import StorageError
from ganq_irl.runs.checkpoints.environments import (
    load_simulator_states,
    load_wrapper_states,
    simulator_states,
    wrapper_states,
)
from ganq_irl.runs.checkpoints.plain import NotPlain, from_plain, to_plain
from ganq_irl.runs.checkpoints.random_states import load_random_states, random_states
from ganq_irl.storage import flatten_state, unflatten_state

ARRAYS = hnp.arrays(
    st.sampled_from(["<f4", "<f8", "<i8", "<u2", "|b1", "<U3", "<c8", ">f4"]),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=3),
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | ARRAYS
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def stored(value):
    return from_plain(unflatten_state(*flatten_state(to_plain(value))))


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, np.ndarray | np.generic):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
    else:
        assert a == b or (a != a and b != b)


@given(NESTED)
def test_plain_values_come_back_as_they_were(value):
    same(stored(value), value)


@pytest.mark.parametrize("value", [[0.1] * 100, tuple(range(100)), [2**70] * 100, [True] * 100, [1, 2.0] * 50])
def test_long_lists_too(value):
    same(stored(value), value)


@pytest.mark.parametrize("value", [np.float32(0.1), np.float64(0.1), np.int64(3), np.bool_(True), np.str_("a")])
def test_scalars_of_numpy_stay_what_they_print(value):
    same(stored(value), value)


@pytest.mark.parametrize("kind", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_generators_go_on(kind):
    generator = np.random.Generator(getattr(np.random, kind)(0))
    generator.random(3)
    again = stored(generator)
    assert again.random(5).tolist() == generator.random(5).tolist()


@pytest.mark.parametrize(
    "value", [object(), {1.5: 0}, {"<array>": 0}, np.array([object()]), lambda x=[]: x, {"a": {object()}}]
)
def test_what_is_not_plain_is_refused(value):
    if callable(value):
        closed = [value]
        value = lambda: closed  # noqa: E731
    with pytest.raises(NotPlain):
        to_plain(value)


@pytest.mark.parametrize(
    "value",
    [
        {"<array>": "|O", "shape": (1,), "bytes": torch.zeros(8, dtype=torch.uint8)},
        {"<array>": "<f8", "shape": (2**40,), "bytes": torch.zeros(8, dtype=torch.uint8)},
        {"<array>": "nonsense", "shape": (1,), "bytes": torch.zeros(8, dtype=torch.uint8)},
        {"<generator>": "PCG64", "state": {"bit_generator": "PCG64"}},
    ],
)
def test_malformed_values_are_refused(value):
    with pytest.raises(StorageError):
        from_plain(value)


def test_global_random_states_go_on():
    def draw():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002

    state = random_states()
    first = draw()
    load_random_states(state)
    assert draw() == first
    assert draw() != first


TRUE_STATES = [
    "CartPole-v1",
    "Pendulum-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "FrozenLake-v1",
    *(name for name in gym.registry if name.startswith("ganq_irl/") and "Ant" not in name),  # that one is MuJoCo's
]


def play(venv, n_steps):
    outcomes = []
    for step in range(n_steps):
        venv.action_space.seed(step)
        observations, rewards, dones, _ = venv.step([venv.action_space.sample() for _ in range(venv.num_envs)])
        outcomes.append((observations.tolist(), rewards.tolist(), dones.tolist()))
    return outcomes


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRUE_STATES)
def test_an_environment_of_python_goes_on_in_the_middle_of_an_episode(name):
    first, second = (make_vec_env(name, 2, seed=seed) for seed in (0, 1))
    first.reset()
    second.reset()
    play(first, 7)
    states = unflatten_state(*flatten_state(simulator_states(first)))
    after = play(first, 60)
    load_simulator_states(second, states)
    assert play(second, 60) == after


def test_normalizer_and_wrappers_go_on():
    first, second = (VecNormalize(make_vec_env("Pendulum-v1", 2, seed=seed)) for seed in (0, 1))
    for venv in (first, second):
        venv.reset()
    play(first, 5)
    simulators, wrappers = simulator_states(first), wrapper_states(first)
    wrappers = unflatten_state(*flatten_state(wrappers))
    after = play(first, 5)
    load_simulator_states(second, simulators)
    load_wrapper_states(second, wrappers)
    assert play(second, 5) == after


def test_a_simulator_behind_an_environment_is_noticed():
    pytest.importorskip("Box2D")
    venv = make_vec_env("LunarLander-v3" if "LunarLander-v3" in gym.registry else "LunarLander-v2", 1)
    venv.reset()
    with pytest.raises(NotPlain, match="LunarLander"):
        simulator_states(venv)


class Own(gym.Env):
    observation_space = gym.spaces.Discrete(2)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}


@dataclass(frozen=True)
class Law:
    mean: float


class Constant(Own):
    def __init__(self):
        self.laws, self.count = [Law(1.0), Law(2.0)], 3


class Shared(Own):
    def __init__(self):
        self.grid = np.zeros(4)
        self.row = self.grid[:2]


class Slotted(Own):
    __slots__ = ("hidden",)


class Telling(Own):
    def __init__(self):
        self.engine = object()
        self.count = 0

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


@pytest.mark.filterwarnings("ignore")
def test_what_an_environment_may_hold():
    first, second = make_vec_env(Constant, 1), make_vec_env(Constant, 1)
    first.envs[0].unwrapped.count = 5
    load_simulator_states(second, simulator_states(first))
    unwrapped = second.envs[0].unwrapped
    assert (unwrapped.count, unwrapped.laws) == (5, [Law(1.0), Law(2.0)])
    first, second = make_vec_env(Telling, 1), make_vec_env(Telling, 1)
    first.envs[0].unwrapped.count = 5
    load_simulator_states(second, simulator_states(first))
    assert second.envs[0].unwrapped.count == 5
    for kind, why in ((Shared, "shares its memory"), (Slotted, "__slots__")):
        with pytest.raises(NotPlain, match=why):
            simulator_states(make_vec_env(kind, 1))


@pytest.mark.parametrize("key", ["step", "__class__", "reset"])
def test_a_checkpoint_cannot_replace_methods(key):
    venv = make_vec_env("CartPole-v1", 1)
    venv.reset()
    states = simulator_states(venv)
    states[0][-1]["attributes"][key] = "payload"
    with pytest.raises(StorageError, match="which is no data"):
        load_simulator_states(venv, states)


def test_other_environments_are_refused():
    cart, pendulum = make_vec_env("CartPole-v1", 1), make_vec_env("Pendulum-v1", 1)
    cart.reset()
    with pytest.raises(StorageError, match="CartPoleEnv"):
        load_simulator_states(pendulum, simulator_states(cart))
    with pytest.raises(StorageError, match="2 environments"):
        load_simulator_states(cart, simulator_states(cart) * 2)
