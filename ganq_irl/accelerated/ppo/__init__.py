"""Stable-Baselines3's PPO at a multiple of its speed: the same algorithm, to rounding, with its overhead taken out."""

from ganq_irl.accelerated.ppo.algorithm import FastPPO

__all__ = ["FastPPO"]
