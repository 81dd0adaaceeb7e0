"""Runs in worker processes with one thread each. A worker that dies takes only the run that it was at with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from pathlib import Path

from ganq_irl.experiment.cell_runs import record_failure, run_cell
from ganq_irl.experiment.config import ExperimentConfig

Outcome = tuple[Path, str | None]
"""A run directory, and why its run failed, or None."""


def run_locally(runs: Mapping[Path, ExperimentConfig], n_workers: int) -> Iterator[Outcome]:
    """Run everything, yielding each outcome as it comes; leaving early ends the workers.

    Args:
        runs: run directory -> settings.
        n_workers: processes at a time.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(runs.items())[::-1]
    workers = [_Worker(context) for _ in range(min(n_workers, len(waiting)))]
    try:
        for worker in workers:
            worker.give(*waiting.pop())
        busy = list(workers)
        while busy:
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                busy.remove(worker)
                outcome = worker.outcome()
                if waiting:
                    if not worker.process.is_alive():
                        workers.remove(worker)
                        worker = _Worker(context)
                        workers.append(worker)
                    worker.give(*waiting.pop())
                    busy.append(worker)
                yield outcome
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that is given runs one after the other."""

    def __init__(self, context: SpawnContext) -> None:
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that the death of the process is the end of the connection
        self.folder: Path | None = None

    def give(self, folder: Path, config: ExperimentConfig) -> None:
        """Start a run."""
        self.folder = folder
        self.connection.send((folder, config))

    def outcome(self) -> Outcome:
        """How the run ended, of a worker whose connection is ready."""
        assert self.folder is not None
        folder, self.folder = self.folder, None
        try:
            return folder, self.connection.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode or 0
            reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            message = f"its process {reason}, perhaps for want of memory; a lower --jobs needs less"
            record_failure(folder, message)
            return folder, message

    def end(self) -> None:
        """End the process; what it is at, if anything, is trained again by the next start."""
        if self.folder is not None:
            self.process.kill()
        self.connection.close()
        self.process.join()


def _work(connection: Connection) -> None:
    import torch

    # Ctrl-C reaches every process of the terminal; this one is ended by the first process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", module=r"imitation\.")  # of its use of torch, which no user can change
    while True:
        try:
            folder, config = connection.recv()
        except EOFError:
            return
        connection.send(run_cell(folder, config))


def _die_with_parent() -> None:
    """End this process when the one that started it is gone: two starts of a grid must never write to one folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
