"""Interface to Stable-Baselines3: build algorithms, store policies, and record and price transitions."""
