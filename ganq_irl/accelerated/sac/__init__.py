"""Stable-Baselines3's SAC and TD3 at a multiple of their speed: the same algorithms, to rounding."""

from ganq_irl.accelerated.sac.algorithms import FastSAC, FastTD3

__all__ = ["FastSAC", "FastTD3"]
