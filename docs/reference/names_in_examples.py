"""The names that the examples in docstrings use without defining them. A test runs this file, then an example."""

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, SAC

from ganq_irl import GAIL, load_demonstrations
from ganq_irl.discriminator import STATE_ACTION, Discriminator, InputEncoder

demos = load_demonstrations("cartpole")[:2]  # two episodes of 500 steps
batch = demos.to_batch()[:64]  # 64 transitions
env = gym.make("CartPole-v1")
ppo = PPO("MlpPolicy", env, n_steps=256, n_epochs=1, device="cpu")
dqn = DQN("MlpPolicy", env, learning_starts=32, device="cpu")
sac = SAC("MlpPolicy", "Pendulum-v1", learning_starts=32, policy_kwargs={"net_arch": [16]}, device="cpu")
encoder = InputEncoder(env.observation_space, env.action_space, STATE_ACTION)
discriminator = Discriminator(encoder)
reward = GAIL(ppo, demos).recovered_reward()
