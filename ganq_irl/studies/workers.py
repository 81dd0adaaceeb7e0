"""Tasks in worker processes of one thread each: the one place where this project starts processes.

A worker that dies takes only its own task with it. When the process that started them dies, however it does, the workers
follow at once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

from ganq_irl.errors import WorkerLost
from ganq_irl.runs.interrupts import Interrupted, Interrupts

Key = TypeVar("Key")
Result = TypeVar("Result")

_CONTEXT = multiprocessing.get_context("spawn")
_POLL = 0.2
"""Seconds between looks at whether the user has asked to stop."""

# In a worker: where to say how far its task is.
_reports: Connection | None = None


def run_tasks(
    tasks: Mapping[Key, Callable[[], Result]],
    n_workers: int,
    on_report: Callable[[Any], object] = lambda _: None,
) -> Generator[tuple[Key, Future[Result]], None, None]:
    """Run tasks in worker processes, in their order, and yield each one's key and outcome as it ends.

    On Ctrl-C or SIGTERM every worker ends its run with a checkpoint; on a second one they are killed. A worker that gets
    SIGTERM itself ends its run in the same way, and its place stays empty; one that died for another reason is replaced.
    Closing the iterator early kills the workers.

    Args:
        tasks: key -> a function without arguments, which ``pickle`` finds by name, such as ``partial(run, folder)``.
        n_workers: processes at a time.
        on_report: called here with each value that a task gives to ``report``.

    Raises:
        Interrupted: this process was asked to stop, or each of the workers was.
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
                    raise Interrupted(f"interrupted by {interrupts.requested}; the same command goes on")
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
                raise Interrupted(f"every worker was told to stop; tasks left: {len(waiting)}. The same command goes on")
        finally:
            for worker in workers:
                worker.end()


def report(value: Any) -> None:
    """Give a value to ``on_report`` of the process that started this worker."""
    if _reports is not None:
        _reports.send(("report", value))


class _Worker(Generic[Key, Result]):
    """A process that is given tasks one after the other.

    Attributes:
        connection: to the process; ready when it has said something, or is gone.
        outcome: key and future of the task that it is at, or None.
        is_gone: whether the process has ended, or is about to.
        was_told_to_stop: whether that was because of SIGTERM.
    """

    def __init__(self) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.process = _CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
        with _safe_path():
            self.process.start()
        theirs.close()  # so that the death of the process is the end of the connection
        self.outcome: tuple[Key, Future[Result]] | None = None
        self.is_gone = self.was_told_to_stop = False

    def give(self, key: Key, task: Callable[[], Result]) -> None:
        """Start a task."""
        self.outcome = key, Future()
        with suppress(BrokenPipeError, ConnectionResetError):  # it has just died, which ``receive`` will find
            self.connection.send(task)

    def receive(self, on_report: Callable[[Any], object]) -> tuple[Key, Future[Result]] | None:
        """Read what it says; key and outcome of its task if that has ended."""
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
        """End the process, whatever it is at."""
        if self.outcome is not None:
            self.process.kill()
        self.connection.close()
        self.process.join()


def _end_in_order(workers: Sequence[_Worker]) -> None:
    """Let each end its run with a checkpoint."""
    for worker in workers:
        worker.process.terminate()
    left = {worker.connection: worker for worker in workers}
    while left:
        for connection in wait(list(left)):
            if left[connection].receive(lambda _: None) is not None:  # type: ignore[index]
                del left[connection]  # type: ignore[arg-type]


@contextmanager
def _safe_path() -> Iterator[None]:
    """Keep any Python that starts meanwhile from importing what lies in the working folder, such as ``multiprocessing.py``.

    A worker starts as ``python -c``, which would look there first. It then takes over the path of this process.
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


def _work(connection: Connection) -> None:
    global _reports
    # Ctrl-C reaches every process of the terminal; this one is told by the first process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"  # for torch, which is imported by the first task that needs it
    warnings.filterwarnings("ignore", module=r"imitation\.")  # of its use of torch, which no user can change
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


def _portable(error: BaseException) -> BaseException:
    """An exception that the other process can read, with its traceback as a note."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _die_with_parent() -> None:
    """End this process when the one that started it is gone: two starts of a grid must never write to one folder."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
