"""What every test shares: one thread, and property tests that draw the same examples each time."""

import torch
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("repeatable")
