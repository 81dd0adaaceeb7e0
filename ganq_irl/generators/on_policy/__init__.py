"""On-policy generators (PPO, A2C, TRPO): record a rollout, price it, and normalize the values of its rewards."""
