"""Small environments, generators and demonstrations for tests of generators, rewards and algorithms."""

import itertools
from dataclasses import fields

import gymnasium as gym
import numpy as np
import sb3_contrib
import torch
from gymnasium import spaces
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.generators.factory import build_generator
from ganq_irl_demos import Demonstrations, Trajectory, random_policy, record_episodes

ON_POLICY = ("ppo", "fast-ppo", "a2c", "trpo")
HAS_CROSSQ = hasattr(sb3_contrib, "CrossQ")  # since sb3-contrib 2.4
CONTINUOUS = ("sac", "td3", "ddpg", "tqc", *(["crossq"] if HAS_CROSSQ else []), "gan-q-continuous")
DISCRETE = ("dqn", "qrdqn", "gan-q")
OFF_POLICY = (*CONTINUOUS, *DISCRETE)
HAVE_NO_LOG_PROB = ("td3", "ddpg", "gan-q-continuous")

BOX = spaces.Box(-2.0, 2.0, (1,), np.float32)


class CountingEnv(gym.Env):
    """Observation (number, episode, step); episodes end as a script says, over and over.

    Args:
        number: tells environments apart.
        script: ``(length, terminated)`` of each episode; one that is not terminated is truncated.
        reward: paid at every step.
    """

    def __init__(self, number=0, script=((3, True), (4, False)), reward=7.0, action_space=BOX):
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = action_space
        self.number, self.script, self.reward, self.episode = number, script, reward, -1

    def _observation(self):
        return np.array([self.number, self.episode, self.step_count], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.step_count = self.episode + 1, 0
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.step_count += 1
        length, terminated = self.script[self.episode % len(self.script)]
        ended = self.step_count >= length
        return self._observation(), self.reward, ended and terminated, ended and not terminated, {}


class WalkEnv(gym.Env):
    """x moves by the action and noise; the episode terminates where |x| > 3 and is truncated after ``limit`` steps.

    Args:
        action_space: Box of one number, or Discrete(3) for -1, 0, 1.
        bonus: added to the reward -|x|, which no imitator may see.
    """

    def __init__(self, action_space=BOX, limit=12, bonus=0.0):
        self.observation_space = spaces.Box(-10.0, 10.0, (2,), np.float32)
        self.action_space, self.limit, self.bonus = action_space, limit, bonus

    def _observation(self):
        return np.array([self.x, self.velocity], dtype=np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.velocity, self.steps = self.np_random.uniform(-1, 1), 0.0, 0
        return self._observation(), {}

    def step(self, action):
        push = float(action[0]) if isinstance(self.action_space, spaces.Box) else float(action) - 1.0
        self.velocity = 0.5 * self.velocity + 0.5 * push
        self.x += self.velocity + 0.1 * self.np_random.normal()
        self.steps += 1
        terminated = abs(self.x) > 3
        return self._observation(), self.bonus - abs(self.x), terminated, not terminated and self.steps >= self.limit, {}


class SpacesEnv(gym.Env):
    """Random observations of any space; episodes of six steps that end by turns in termination and truncation."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space, self.episode = observation_space, action_space, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.episode, self.steps = self.episode + 1, 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.steps += 1
        ended, even = self.steps >= 6, self.episode % 2 == 0
        return self.observation_space.sample(), 0.0, ended and even, ended and not even, {}


def random_rows(space, n):
    """``n`` rows of a space, stacked; of each key where it is a Dict."""
    space.seed(0)
    rows = [space.sample() for _ in range(n)]
    return {key: np.stack([row[key] for row in rows]) for key in space} if isinstance(space, spaces.Dict) else np.stack(rows)


class PaidEnv(VecEnvWrapper):
    """Pay ``reward(observations, executed actions, next observations, terminated)`` instead of the environment's own."""

    def __init__(self, venv, reward):
        super().__init__(venv)
        self.reward = reward

    def reset(self):
        self.last = self.venv.reset()
        return self.last

    def step_async(self, actions):
        self.actions = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self):
        observations, _, dones, infos = self.venv.step_wait()
        following = np.copy(observations)
        for index in np.flatnonzero(dones):
            following[index] = infos[index]["terminal_observation"]
        truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos])
        rewards = self.reward(*map(torch.as_tensor, (self.last, self.actions, following, dones & ~truncated)))
        self.last = observations
        return observations, rewards.numpy().astype(np.float32), dones, infos


def vec_env(make=WalkEnv, n_envs=2, seed=0, **kwargs):
    """``n_envs`` monitored copies of ``make(**kwargs)``, seeded."""
    env = DummyVecEnv([lambda: Monitor(make(**kwargs)) for _ in range(n_envs)])
    env.seed(seed)
    return env


def action_space_of(name):
    """An action space that the generator ``name`` acts in."""
    return spaces.Discrete(3) if name in DISCRETE else BOX


def walk(name, n_envs=2, seed=0, **kwargs):
    """A ``WalkEnv`` that the generator ``name`` can act in."""
    return vec_env(WalkEnv, n_envs, seed, action_space=action_space_of(name), **kwargs)


def generator(name, env=None, seed=0, device="cpu", **options):
    """A small, quick SB3 algorithm."""
    small = {"policy_kwargs": {"net_arch": [8]}}
    if name in ON_POLICY:
        small |= {"n_steps": 32} | ({} if name == "a2c" else {"batch_size": 32})
        small |= {"n_epochs": 2} if name in ("ppo", "fast-ppo") else {}
    else:
        small |= {"buffer_size": 400, "learning_starts": 40, "batch_size": 16, "train_freq": 2, "gradient_steps": 1}
    return build_generator(name, walk(name) if env is None else env, seed=seed, device=device, **{**small, **options})


def demonstrations(env=None, n_episodes=4, seed=0):
    """Random episodes: what they show does not matter to most tests."""
    env = WalkEnv() if env is None else env
    return record_episodes(random_policy(env.action_space, np.random.default_rng(seed)), env, n_episodes, seed=seed)


def pushed_home(env, n_episodes=10):
    """Episodes of an expert of ``WalkEnv`` with three actions, who pushes towards 0."""
    trajectories = []
    for seed in range(n_episodes):
        observation, _ = env.reset(seed=seed)
        observations, actions, ended = [observation], [], False
        while not ended:
            actions.append(1 - int(np.sign(observation[0])))
            observation, _, terminated, truncated, _ = env.step(actions[-1])
            observations.append(observation)
            ended = terminated or truncated
        trajectories.append(Trajectory(np.array(observations), np.array(actions), None, terminated, truncated))
    return Demonstrations(tuple(trajectories), env.observation_space, env.action_space)


def demonstrations_for(name, **kwargs):
    """Demonstrations of the ``WalkEnv`` that the generator ``name`` acts in."""
    return demonstrations(WalkEnv(action_space_of(name)), **kwargs)


def homeward(observations):
    """What an expert of the ``WalkEnv`` with a Box does: push towards 0."""
    return -np.sign(observations[:, :1])


BRIEF = {
    "dagger": {"expert": homeward, "n_updates": 2},
    "preferences": {"n_queries": 10, "n_sessions": 3},
    "t-rex": {"n_comparisons": 20},
    "d-rex": {"n_comparisons": 20, "noise_steps": 40, "n_clone_updates": 5},
}
"""Settings with which algorithms ask little of their teachers."""


def imitator(algorithm, generator_, demos=None, **options):
    """A small imitation algorithm."""
    small = {"batch_size": 16, "hidden_sizes": (8,), "n_updates": 2} | BRIEF.get(algorithm, {})
    demos = demonstrations(WalkEnv(generator_.action_space)) if demos is None else demos
    known = {field.name for field in fields(ALGORITHMS[algorithm].modes["default"])}
    return ALGORITHMS[algorithm](generator_, demos, **{**{name: small[name] for name in small if name in known}, **options})


def flat(module):
    """Copies of all parameters and buffers of a module, as one vector."""
    return torch.cat([value.detach().flatten().double().clone() for value in module.state_dict().values()])


def global_random_state():
    """Of torch and of numpy's legacy generator, as one tuple that can be compared."""
    return torch.get_rng_state().numpy().tobytes(), np.random.get_state()[1].tobytes()  # noqa: NPY002


class FakeAdversary:
    """Pays a known reward, and keeps the batches and the progress that it was trained with."""

    def __init__(self, reward, n_batches=2):
        self.reward, self.n_batches = reward, n_batches
        self.fakes, self.priced, self.progress = [], [], []

    @property
    def batches(self):
        """All batches seen."""
        return [*self.priced, *itertools.chain(*self.fakes)]

    def train_and_price(self, rollout, progress_remaining):
        self.train(itertools.repeat(rollout), progress_remaining)
        return self.price(rollout)

    def train(self, fakes, progress_remaining):
        self.fakes.append(list(itertools.islice(fakes, self.n_batches)))
        self.progress.append(progress_remaining)

    def price(self, batch):
        self.priced.append(batch)
        return self.reward(batch.observations, batch.actions, batch.next_observations, batch.dones)
