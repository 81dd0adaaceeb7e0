"""Additional policies and networks for Stable-Baselines3's algorithms."""
