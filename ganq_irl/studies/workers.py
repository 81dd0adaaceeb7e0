"""Run tasks in worker processes of one thread each. Only ``vec="subproc"`` starts other processes, for environments.

A worker that dies loses only its current task. When the main process dies, for whatever reason, the workers exit at once.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from ganq_irl.errors import WorkerLost, printable, thread_error
from ganq_irl.runs.interrupts import Interrupted, Interrupts
from ganq_irl.runs.processes import safe_path

Key = TypeVar("Key")
Result = TypeVar("Result")

_CONTEXT = multiprocessing.get_context("spawn")
_POLL = 0.2
"""Seconds between checks for a request to stop."""

# in a worker: the connection for progress reports
_reports: Connection | None = None


def run_tasks(
    tasks: Mapping[Key, Callable[[], Result]],
    n_workers: int,
    on_report: Callable[[Any], object] = lambda _: None,
    again: str = "run the same command to continue",
) -> Generator[tuple[Key, Future[Result]], None, None]:
    """Start tasks in order in worker processes, and yield the key and outcome of each when it ends.

    On Ctrl-C or SIGTERM every worker saves a checkpoint and stops; a second signal kills the workers. A worker that gets
    SIGTERM itself also saves a checkpoint and is not replaced; one that dies for another reason is replaced. Closing the
    iterator early kills the workers.

    Args:
        tasks: key -> a picklable function without arguments, such as ``partial(run, folder)``.
        n_workers: number of processes.
        on_report: called in this process with each value that a task passes to ``report``.
        again: what to do after an interrupt, for the message.

    Raises:
        Interrupted: this process, or every worker, was asked to stop.
    """
    waiting = list(tasks.items())[::-1]
    workers: list[_Worker[Key, Result]] = []
    with Interrupts() as interrupts:
        try:
            workers += [_Worker() for _ in range(min(n_workers, len(waiting)))]
            for worker in workers:
                worker.give(*waiting.pop())
            while busy := [worker for worker in workers if worker.outcome is not None]:
                if interrupts.requested is not None:
                    _end_in_order(busy)
                    raise Interrupted(f"interrupted by {interrupts.requested}; {again}")
                ready = wait([worker.connection for worker in busy], _POLL)
                for worker in [worker for worker in busy if worker.connection in ready]:
                    ended = worker.receive(on_report)
                    if ended is None:
                        continue
                    if worker.is_gone:
                        workers.remove(worker)
                        worker.end()
                    if waiting and worker.is_gone and not worker.was_told_to_stop:
                        worker = _Worker()
                        workers.append(worker)
                    if waiting and not worker.is_gone:
                        worker.give(*waiting.pop())
                    yield ended
            if waiting:
                raise Interrupted(f"every worker was told to stop; tasks left: {len(waiting)}; {again}")
        finally:
            for worker in workers:
                worker.end()


def report(value: Any) -> None:
    """Pass a value to ``on_report`` in the main process; do nothing outside of a worker."""
    if _reports is not None:
        _reports.send(("report", value))


class _Worker(Generic[Key, Result]):
    """A process that runs one task after another.

    Attributes:
        connection: connection to the process; readable when it has sent a message or has ended.
        outcome: key and future of its current task, or None.
        is_gone: whether the process has ended, or is about to.
        was_told_to_stop: whether it ended because of SIGTERM.
    """

    def __init__(self) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
        with safe_path():
            self.process.start()
        theirs.close()  # so that the connection ends when the process does
        self.outcome: tuple[Key, Future[Result]] | None = None
        self.is_gone = self.was_told_to_stop = False

    def give(self, key: Key, task: Callable[[], Result]) -> None:
        """Start a task."""
        self.outcome = key, Future()
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just died; ``receive`` reports it
            self.connection.send(task)

    def receive(self, on_report: Callable[[Any], object]) -> tuple[Key, Future[Result]] | None:
        """Read a message; return key and outcome of the task if it has ended."""
        assert self.outcome is not None
        _, future = self.outcome
        try:
            kind, value = self.connection.recv()
        except (EOFError, ConnectionResetError):
            kind, value = "raised", self._lost()
        if kind == "report":
            on_report(value)
            return None
        if kind == "raised":
            future.set_exception(value)
            self.was_told_to_stop |= isinstance(value, KeyboardInterrupt)
            self.is_gone |= self.was_told_to_stop or not self.process.is_alive()
        else:
            future.set_result(value)
        ended, self.outcome = self.outcome, None
        return ended

    def _lost(self) -> WorkerLost:
        self.process.join()
        self.is_gone = True
        code = self.process.exitcode or 0
        if code == -signal.SIGTERM:
            self.was_told_to_stop = True
            return WorkerLost("its process was ended by SIGTERM")
        reason = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return WorkerLost(f"its process {reason}, perhaps for want of memory; a lower --jobs needs less")

    def end(self) -> None:
        """End the process, killing it if it has a task."""
        if self.outcome is not None:
            self.process.kill()
        self.connection.close()
        self.process.join()


def _end_in_order(workers: Sequence[_Worker]) -> None:
    """Let every worker save a checkpoint and stop."""
    for worker in workers:
        worker.process.terminate()
    left = {worker.connection: worker for worker in workers}
    while left:
        for connection in wait(list(left)):
            if left[connection].receive(lambda _: None) is not None:  # type: ignore[index]
                del left[connection]  # type: ignore[arg-type]


def _work(connection: Connection) -> None:
    global _reports
    # Ctrl-C reaches every process of the terminal; the main process tells the workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"  # before the first task imports torch
    warnings.filterwarnings("ignore", module=r"imitation\.")  # its deprecated use of torch, which users cannot change
    sys.stderr = _EscapedText(sys.stderr.buffer, sys.stderr.encoding, "backslashreplace", line_buffering=True)
    threading.excepthook = lambda args: print(thread_error(args), file=sys.stderr)
    _reports = connection
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        try:
            message = "returned", task()
        except (Exception, KeyboardInterrupt) as error:
            message = "raised", _portable(error)
        connection.send(message)
        if isinstance(message[1], KeyboardInterrupt):
            return


class _EscapedText(io.TextIOWrapper):
    """Text on its way to the terminal, without colors and with control characters escaped, as commands print it."""

    def write(self, text: str) -> int:
        """Write the escaped text."""
        super().write(printable(re.sub(r"\x1b\[[0-9;]*m", "", text)))
        return len(text)


def _portable(error: BaseException) -> BaseException:
    """Return an exception that can be pickled, with its traceback as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _die_with_parent() -> None:
    """End this process when the main process is gone, so that two starts of a grid never write to the same folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
