"""Commands run in this process, or in a fork of it."""

import contextlib
import multiprocessing
import os
import signal
import sys

from click.testing import CliRunner, Result

from ganq_irl_cli import main


def call(*args: object) -> Result:
    """The result of a command, however it ends."""
    return CliRunner().invoke(main, list(map(str, args)))


@contextlib.contextmanager
def forked(*args: object, errors: os.PathLike[str]):
    """Run a command in a fork of this process, which has imported everything, with stderr in a file."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(args, errors))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _run(args, errors):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite started in the background ignores it
    os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    main(list(map(str, args)))
