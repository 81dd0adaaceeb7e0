"""Spaces of every kind that Gymnasium has, and the smallest training there is in them."""

import copy

import numpy as np
from gymnasium import spaces

from ganq_irl.algorithms import ALGORITHMS, BC
from ganq_irl.generators.factory import GENERATORS
from ganq_irl.generators.policies.store import load_policy, save_policy
from ganq_irl.space_matrix import DEFAULT_GENERATOR, REPLAYING, TRAITS, Traits
from ganq_irl_demos import random_policy, record_episodes
from tests.scripted import BRIEF, ON_POLICY, SpacesEnv, generator, vec_env

F = np.float32
VECTOR, IMAGE = spaces.Box(-1, 1, (3,), F), spaces.Box(0, 255, (36, 40, 3), np.uint8)
LOW_IS_HIGH = spaces.Box(np.array([0, -1], F), np.array([0, 1], F))
LEAVES = {
    "Box": VECTOR,
    "Box 2-D": spaces.Box(-1, 1, (2, 2), F),
    "Box scalar": spaces.Box(-1, 1, (), F),
    "Box empty": spaces.Box(-1, 1, (0,), F),
    "Box low = high": LOW_IS_HIGH,
    "Box of integers": spaces.Box(-5, 5, (3,), np.int32),
    "Box unbounded": spaces.Box(-np.inf, np.inf, (3,), F),
    "Box float64": spaces.Box(-1, 1, (3,), np.float64),
    "Discrete": spaces.Discrete(3),
    "Discrete(start=1)": spaces.Discrete(3, start=1),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiDiscrete 2-D": spaces.MultiDiscrete([[3, 4], [2, 5]]),
    "MultiBinary": spaces.MultiBinary(3),
    "MultiBinary 2-D": spaces.MultiBinary([2, 2]),
    "Dict": spaces.Dict(place=VECTOR, goal=spaces.Discrete(3)),
    "Tuple": spaces.Tuple([VECTOR, spaces.Discrete(2)]),
    "Text": spaces.Text(5),
    "Sequence": spaces.Sequence(VECTOR),
    "Graph": spaces.Graph(VECTOR, None),
}
OBSERVATIONS = LEAVES | {
    "image": IMAGE,
    "image channels first": spaces.Box(0, 255, (3, 36, 40), np.uint8),
    "image small": spaces.Box(0, 255, (7, 7, 3), np.uint8),
    "image channels in the middle": spaces.Box(0, 255, (40, 3, 40), np.uint8),
    "image float": spaces.Box(0, 1, (36, 40, 3), F),
    "Dict with a scalar": spaces.Dict(pos=VECTOR, battery=spaces.Box(0, 1, (), F)),
    "Dict with a dotted key": spaces.Dict({"images.top": VECTOR, "state": VECTOR}),
    "Dict with torch's names": spaces.Dict({"type": VECTOR, "keys": VECTOR, "": VECTOR}),
    "Dict with images": spaces.Dict(pixels=IMAGE, small=spaces.Box(0, 255, (7, 7, 3), np.uint8), place=VECTOR),
    "Dict with start=1": spaces.Dict(place=VECTOR, goal=spaces.Discrete(3, start=1)),
    "Dict nested": spaces.Dict(outer=spaces.Dict(inner=VECTOR)),
    "Dict empty": spaces.Dict({}),
}
ACTIONS = LEAVES | {"Box one-sided": spaces.Box(0, np.inf, (2,), F), "Box too wide": spaces.Box(-3e38, 3e38, (2,), F)}


ROWS = (
    *((name, "dqn" if name in REPLAYING else DEFAULT_GENERATOR) for name in ALGORITHMS),
    *((name, "sac") for name in ("gail", "airl", "dac", "sqil", "iq-learn", "ls-iq")),
    ("gail", "dqn"),
    ("dac", "td3"),
    ("dac", "gan-q"),
    ("bc", None),
    *((name, name) for name in GENERATORS),
)
"""Algorithms, each with its default generator, and with some others; a generator that learns by itself is its own."""


def cells(algo, name):
    """``(kind, name of the space, observation space, action space)`` of each space as observation and as action."""
    acts = VECTOR if TRAITS.get(name, Traits()).acts_in == (spaces.Box,) else spaces.Discrete(3)
    seen = [("observations", key, space, acts) for key, space in OBSERVATIONS.items()]
    return [*seen, *(("actions", key, VECTOR, space) for key, space in ACTIONS.items())]


def usual(env):
    """Random demonstrations, of moderate numbers: data of 1e38 are refused for their size."""
    wide = isinstance(env.action_space, spaces.Box) and np.isfinite(env.action_space.high).all()
    shown = copy.deepcopy(env.action_space)
    if wide and env.action_space.high.max(initial=0) > 1e9:
        shown = spaces.Box(-1, 1, env.action_space.shape, env.action_space.dtype)
    return record_episodes(random_policy(shown, np.random.default_rng(0)), env, 3, seed=0)


def train(algo, observation_space, action_space, folder, name):
    """Train as briefly as a step of every network takes, act, save, load, and act alike."""
    env = SpacesEnv(observation_space, action_space)
    demos = usual(env) if algo in ALGORITHMS or algo == "bc" else None
    if algo == "bc":
        model = BC(observation_space, action_space, demos, batch_size=8).train(4)
        save_policy(model.policy, folder)
    else:
        venv = vec_env(SpacesEnv, observation_space=observation_space, action_space=action_space)
        small = {"n_steps": 8} if name in ON_POLICY else {"buffer_size": 64, "learning_starts": 10}
        small |= {"batch_size": 8} if name in ON_POLICY and name != "a2c" else {}
        model = generator(name, venv, **small)
        options = {} if algo in ("sqil", "iq-learn", "ls-iq") else {"batch_size": 8, "hidden_sizes": (8,), "n_updates": 1}
        options |= BRIEF.get(algo, {}) | ({"ranks": (0, 1, 2)} if algo == "t-rex" else {})
        imitator = ALGORITHMS[algo](model, demos, **options) if algo in ALGORITHMS else None
        (imitator or model).learn(32)
        save_policy(model, folder)
    env.reset(seed=0)
    observation, _ = env.reset()
    given, _ = model.predict(observation, deterministic=True)
    again, _ = load_policy(folder).predict(observation, deterministic=True)
    np.testing.assert_array_equal(given, again)
    env.step(given)
    for parameter in model.policy.parameters():
        assert np.isfinite(parameter.detach().cpu().numpy()).all()
