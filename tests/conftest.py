"""What every test shares: one thread, repeatable property tests, and no test of an algorithm that is not installed."""

import gc
import os

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
os.fsync = lambda descriptor: None  # No test cuts the power, and a run of a few steps would wait for the disk fifty times.

settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("repeatable")


def pytest_collection_finish():
    """Keep the garbage collector from going through what was imported and collected, again and again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items):
    import sb3_contrib

    if not hasattr(sb3_contrib, "CrossQ"):
        skip = pytest.mark.skip(reason="sb3-contrib before 2.4 has no CrossQ")
        for item in items:
            if "crossq" in item.name:
                item.add_marker(skip)
