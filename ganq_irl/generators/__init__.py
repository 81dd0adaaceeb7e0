"""Interface to Stable-Baselines3: build its algorithms from plain values, price what they collect, and store their policies.

- ``factory``, ``options``, ``checks``: build an algorithm by name, check its keywords, check that imitation can train it.
- ``on_policy``, ``off_policy``: replace the environment's rewards by learned ones, after a rollout or at sampling time.
- ``policies``: log π and Q of a policy, moving averages, and storage as JSON and safetensors.
- ``callbacks``, ``internals``, ``observations``, ``acceleration``: work with SB3's loop, its private attributes, its layouts
  of observations, and faster versions of its classes.
"""
