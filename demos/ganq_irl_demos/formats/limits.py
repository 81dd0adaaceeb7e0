"""What every reader of foreign files asks: how large may it get, and which package does it need."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from ganq_irl.errors import DemoFormatError, MissingDependency

MAX_BYTES = 8 << 30
"""Largest size that is taken into memory. A file that declares more is refused before anything is allocated."""

MAX_RATIO = 200
"""Largest ratio of unpacked to packed size, asked of files that unpack to more than ``FREE_BYTES``."""

FREE_BYTES = 256 << 20


def check_size(path: Path, declared: int, packed: int) -> None:
    """Raise where ``declared`` bytes of values lie in ``packed`` bytes of file, and that is too good to be true.

    Raises:
        DemoFormatError: naming the file and the limits.
    """
    if declared > MAX_BYTES or (declared > FREE_BYTES and declared > MAX_RATIO * packed):
        raise DemoFormatError(
            f"{path} has {packed} bytes but would unpack to {declared}, which is taken for an attack "
            f"(limits: {MAX_BYTES} bytes, and {MAX_RATIO} times the file's size); split it if it is genuine"
        )


def needed(module: str, extra: str, what: str) -> ModuleType:
    """Import a package that may not be there, or not fit the others.

    Args:
        module: to import.
        extra: of ganq-irl that brings it; "" where a dependency of ganq-irl does.
        what: needs it, for the message.

    Raises:
        MissingDependency: naming the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        wanted = f"ganq-irl[{extra}]" if extra else package
        raise MissingDependency(
            f"{what} needs {package}, which cannot be imported here ({error}): pip install '{wanted}'"
        ) from error


def brief(error: BaseException) -> str:
    """Kind and first words of an error."""
    return f"{type(error).__name__}: {str(error)[:120]}"
