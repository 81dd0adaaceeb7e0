"""Errors that users can cause and fix.

Every message says what was given, what was expected and what to do next. All classes are subclasses of ``ValueError``.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


class GanqIrlError(ValueError):
    """Base class for errors caused by a user's mistake.

    Args:
        message: what was given, what was expected, and what to do next.
        page: page of the documentation that explains more, such as ``how_to/compare``; by default that of the class.

    Attributes:
        page: the page, or None. Commands name it below the message.

    Example:
        >>> try:
        ...     load_demonstrations("cartpol")
        ... except GanqIrlError as error:
        ...     print(type(error).__name__)
        ConfigurationError
    """

    page: str | None = None

    def __init__(self, message: str = "", *, page: str | None = None) -> None:
        super().__init__(message)
        self.page = page or type(self).page


class IncompatibleSpaces(GanqIrlError):
    """Demonstrations, environment, policy or discriminator have different observation or action spaces.

    Example:
        >>> GAIL(sac, demos)
        Traceback (most recent call last):
        ganq_irl.errors.IncompatibleSpaces: ...
    """

    page = "reference/spaces"


class DemoFormatError(GanqIrlError):
    """A demonstration file cannot be read: it has another format, or is truncated or altered.

    Example:
        >>> _ = open("demos.npz", "w").write("not an archive")
        >>> load_demonstrations("demos.npz")
        Traceback (most recent call last):
        ganq_irl.errors.DemoFormatError: ...
    """

    page = "reference/formats"


class InvalidDemonstrations(GanqIrlError):
    """Demonstrations were read, but their content is invalid (NaN, action outside the space, ...).

    Example:
        >>> table = {"observations": [[0.0] * 4, [float("nan")] * 4], "actions": [0, 1], "dones": [0, 1]}
        >>> GAIL(ppo, table)
        Traceback (most recent call last):
        ganq_irl.errors.InvalidDemonstrations: ...
    """

    page = "how_to/demonstrations"


class ConfigurationError(GanqIrlError):
    """A setting is unknown or invalid, or settings contradict each other.

    Example:
        >>> load_demonstrations("cartpol")
        Traceback (most recent call last):
        ganq_irl.errors.ConfigurationError: ...did you mean 'cartpole'?...
    """


class UnsupportedGenerator(GanqIrlError):
    """The Stable-Baselines3 algorithm, its buffer or its environment cannot serve as a generator here.

    Example:
        >>> from ganq_irl import DAC
        >>> DAC(ppo, demos)
        Traceback (most recent call last):
        ganq_irl.errors.UnsupportedGenerator: ...
    """

    page = "how_to/generators"


class MissingDependency(GanqIrlError):
    """The request needs an optional package that is not installed.

    Example:
        >>> issubclass(MissingDependency, GanqIrlError)  # the message has the command that installs the package
        True
    """

    page = "get_started/install"


class RunDirectoryError(GanqIrlError):
    """A run directory is missing, incomplete, or would be overwritten.

    Example:
        >>> from ganq_irl import load_run
        >>> load_run("nowhere")
        Traceback (most recent call last):
        ganq_irl.errors.RunDirectoryError: ...
    """

    page = "reference/files"


class StorageError(GanqIrlError):
    """A saved artifact (reward, policy, checkpoint) is missing, truncated or altered, or has another schema.

    Example:
        >>> from ganq_irl import RewardModel
        >>> RewardModel.load("nowhere")
        Traceback (most recent call last):
        ganq_irl.errors.StorageError: ...
    """

    page = "reference/files"


class ReadLimitExceeded(DemoFormatError, StorageError):
    """Unpacking a file would take more memory than one command may use (``ganq_irl.budget``).

    Both demonstrations and saved artifacts can raise it, so it is a subclass of both errors.

    Example:
        >>> from ganq_irl import save_demonstrations
        >>> from ganq_irl.budget import read_limit
        >>> path = save_demonstrations(demos, "demos.npz")
        >>> with read_limit("10K"):
        ...     load_demonstrations(path)
        Traceback (most recent call last):
        ganq_irl.errors.ReadLimitExceeded: ...
    """

    page = "project/memory"


class CheckpointFailed(GanqIrlError):
    """A checkpoint could not be written: the disk is full, or the folder is read-only.

    Example:
        >>> issubclass(CheckpointFailed, GanqIrlError)  # raised by a run whose disk is full; earlier checkpoints stay
        True
    """

    page = "how_to/resume"


class EnvironmentFailed(GanqIrlError):
    """An environment returned a number that is not finite.

    Example:
        >>> from ganq_irl import record_episodes
        >>> broken = gym.wrappers.TransformObservation(env, lambda x: x * np.nan, env.observation_space)
        >>> record_episodes(ppo, broken, n_episodes=1, seed=0)
        Traceback (most recent call last):
        ganq_irl.errors.EnvironmentFailed: ...
    """

    page = "how_to/diverged"


class WorkerLost(GanqIrlError):
    """A worker process died during a task.

    Example:
        >>> issubclass(WorkerLost, GanqIrlError)  # raised by `compare` and `sweep` if a worker is killed
        True
    """

    page = "how_to/compare"


class TrainingDiverged(GanqIrlError):
    """A loss, score or parameter is no longer finite.

    Example:
        >>> GAIL(ppo, demos, learning_rate=1e30).learn(128)
        Traceback (most recent call last):
        ganq_irl.errors.TrainingDiverged: ...
    """

    page = "how_to/diverged"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the closest known name, and all known names.

    >>> nearest("gial", ["gail", "airl"])
    "did you mean 'gail'? Known: airl, gail"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(known)}"


def printable(text: str) -> str:
    r"""Escape control characters, except line ends and tabs, so that text is safe to print on a terminal.

    Text from an untrusted file could otherwise move the cursor, change colors, or rename the window.

    >>> print(printable("a \x1b[31mred\x1b[0m name"))
    a \x1b[31mred\x1b[0m name
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def thread_error(args: threading.ExceptHookArgs) -> str:
    """Return the error that ended a background thread as one line, for ``threading.excepthook``."""
    name = args.thread.name if args.thread is not None else "a thread"
    return f"warning: {name} of a library ended with {args.exc_type.__name__}: {args.exc_value}"


def needed(module: str, extra: str, what: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: the module to import.
        extra: the extra of ganq-irl that installs it; "" if ganq-irl itself does.
        what: the feature that needs it, for the message.

    Raises:
        MissingDependency: the package is not installed, or incompatible with others; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        wanted = f"ganq-irl[{extra}]" if extra else package
        raise MissingDependency(
            f"{what} needs {package}, which cannot be imported here ({error}): pip install '{wanted}'"
        ) from error


def usable_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a file system accepts, whether or not it exists.

    Raises:
        ConfigurationError: a name is too long or contains a NUL character, or the path lies below a file.
    """
    try:
        os.stat(path)
    except NotADirectoryError as error:
        above = next(parent for parent in Path(path).parents if parent.exists())
        raise ConfigurationError(f"{above} is a file, so nothing can lie below it; give another path") from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
            return Path(path)  # missing or not permitted: opening it raises the error
        given = os.fspath(path)
        what = f"too long for a file ({len(given)} characters)" if isinstance(error, OSError) else "with a NUL character"
        raise ConfigurationError(
            f"{given[:60]!r}... is a name {what}; expected a known name, or the path of a file or folder; correct it"
        ) from error
    return Path(path)
