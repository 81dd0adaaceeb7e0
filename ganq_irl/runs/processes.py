"""Helpers for new processes of a run or a study: a safe import path, and environments in workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym


@contextmanager
def safe_path() -> Iterator[None]:
    """Keep a starting process from importing modules from the working directory, such as a stray ``multiprocessing.py``.

    A process starts as ``python -c``, which puts that directory first on the path. It then adopts this process's path.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def may_start_processes() -> bool:
    """Return whether this process may start others, which the workers of a study may not."""
    return not multiprocessing.current_process().daemon


def make_in_worker(env_id: str, env_kwargs: Mapping[str, Any]) -> gym.Env:
    """Make an environment in a worker process, which imports the modules given with ``--import``.

    Ctrl-C reaches every process of the terminal. The main process saves a checkpoint and then ends the others.
    """
    import ganq_irl.environments  # noqa: F401  # registers ours, and those of GANQ_IRL_IMPORT

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return gym.make(env_id, **env_kwargs)
