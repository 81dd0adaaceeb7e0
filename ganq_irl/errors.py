"""Errors that a user can cause and can mend.

Every message says what was given, what was expected and what to do next. Each class is also a ``ValueError``.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from pathlib import Path


class GanqIrlError(ValueError):
    """Base class of every error that the toolkit raises for a user's mistake."""


class IncompatibleSpaces(GanqIrlError):
    """Demonstrations, environment, policy or discriminator disagree about observations or actions."""


class DemoFormatError(GanqIrlError):
    """A demonstration file cannot be read: not the format it claims to be, truncated, or altered."""


class InvalidDemonstrations(GanqIrlError):
    """Demonstrations were read, but their content breaks a rule (NaN, action outside the space, ...)."""


class ConfigurationError(GanqIrlError):
    """A setting is unknown, or settings contradict each other."""


class UnsupportedGenerator(GanqIrlError):
    """The Stable-Baselines3 algorithm, its buffer or its environment cannot serve as a generator here."""


class MissingDependency(GanqIrlError):
    """An optional package is needed for what was asked."""


class RunDirectoryError(GanqIrlError):
    """A run directory is missing, incomplete, or would be overwritten."""


class StorageError(GanqIrlError):
    """A saved artefact (reward, policy, checkpoint) is missing, truncated, altered or of a newer schema."""


class ReadLimitExceeded(DemoFormatError, StorageError):
    """What a file unpacks to would take more memory than one command may read (``ganq_irl.budget``).

    Demonstrations and saved artefacts raise it alike, so that it is an error of both kinds.
    """


class CheckpointFailed(GanqIrlError):
    """A checkpoint could not be written: the disk is full, or the folder is read-only."""


class EnvironmentFailed(GanqIrlError):
    """An environment gave a number that is not finite."""


class WorkerLost(GanqIrlError):
    """A worker process died in the middle of a task."""


class TrainingDiverged(GanqIrlError):
    """A loss, score or parameter stopped being finite."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Half a sentence that helps after an unknown name: the closest known one, and all of them.

    >>> nearest("gial", ["gail", "airl"])
    "did you mean 'gail'? Known: airl, gail"
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}Known: {', '.join(known)}"


def printable(text: str) -> str:
    r"""Text as it may go to a terminal: control characters in it, but for line ends and tabs, are spelled out.

    A name or a note from a stranger's file could otherwise move the cursor, colour what follows, or rename the window.

    >>> print(printable("a \x1b[31mred\x1b[0m name"))
    a \x1b[31mred\x1b[0m name
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def usable_path(path: str | os.PathLike[str]) -> Path:
    """A path that a file system can be asked for, whether or not anything is there.

    Raises:
        ConfigurationError: a name in it is too long or holds a NUL character, or it lies below a file.
    """
    try:
        os.stat(path)
    except NotADirectoryError as error:
        above = next(parent for parent in Path(path).parents if parent.exists())
        raise ConfigurationError(f"{above} is a file, so nothing can lie below it; give another path") from error
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
            return Path(path)  # missing or closed to us: whoever opens it says so
        given = os.fspath(path)
        what = f"too long for a file ({len(given)} characters)" if isinstance(error, OSError) else "with a NUL character"
        raise ConfigurationError(
            f"{given[:60]!r}... is a name {what}; expected a known name, or the path of a file or folder; correct it"
        ) from error
    return Path(path)
