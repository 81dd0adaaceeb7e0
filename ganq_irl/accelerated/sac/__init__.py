"""Faster implementations of Stable-Baselines3's SAC and TD3: the same algorithms, up to rounding."""

from ganq_irl.accelerated.sac.algorithms import FastSAC, FastTD3

__all__ = ["FastSAC", "FastTD3"]
