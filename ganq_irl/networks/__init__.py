"""Policies and networks of ours for Stable-Baselines3's algorithms."""
