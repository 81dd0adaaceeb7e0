"""Small runs of DAC in episodes of which every second one terminates."""

from gymnasium import spaces

from tests.scripted import BOX, CONTINUOUS, CountingEnv, demonstrations, generator, imitator, vec_env


def acts_in(name):
    return BOX if name in CONTINUOUS else spaces.Discrete(3)


def counting(name, n_envs=1, **options):
    """A generator in episodes of three steps that terminate and four that a time limit cuts, by turns."""
    return generator(name, vec_env(CountingEnv, n_envs, action_space=acts_in(name)), **options)


def dac(name="sac", model=None, **options):
    model = counting(name) if model is None else model
    return imitator("dac", model, demonstrations(CountingEnv(action_space=model.action_space)), **options)
