"""The only glue to Stable-Baselines3: building algorithms, storing policies, recording and pricing transitions."""
