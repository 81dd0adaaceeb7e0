"""A faster implementation of Stable-Baselines3's PPO: the same algorithm, up to rounding."""

from ganq_irl.accelerated.ppo.algorithm import FastPPO

__all__ = ["FastPPO"]
