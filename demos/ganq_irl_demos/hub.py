"""Fetch files from the Hugging Face hub with its own client: ``huggingface:ORGANISATION/NAME[/FILE]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ganq_irl.errors import ConfigurationError, DemoFormatError
from ganq_irl_demos.formats.limits import brief, needed

PREFIX = "huggingface:"

DATA = ("*.parquet", "*.arrow", "*.json", "*.npz", "*.hdf5", "*.h5", "*.csv")
"""Files of a dataset that are fetched: not its videos, and nothing that is code."""


def is_hub(source: str) -> bool:
    """Return whether a source names a repository on the hub."""
    return source.startswith(PREFIX)


def fetch(source: str, kind: str, patterns: Sequence[str]) -> Path:
    """Download a repository, or one file of it, and return its local path. Cached files are not downloaded again.

    Args:
        source: ``huggingface:ORGANISATION/NAME``, and perhaps ``/FILE``.
        kind: ``dataset`` or ``model``.
        patterns: files to fetch, where none is named.

    Raises:
        ConfigurationError: not of that form.
        DemoFormatError: it cannot be fetched, or holds no such file.
        MissingDependency: the hub's client is not installed.
    """
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/(.+))?", source.removeprefix(PREFIX))
    if found is None or ".." in source:
        raise ConfigurationError(f"{source!r}: expected {PREFIX}ORGANISATION/NAME, and perhaps /FILE")
    repository, file = found.groups()
    client = needed("huggingface_hub", "", "fetching from the Hugging Face hub")
    try:
        folder = Path(
            client.snapshot_download(repository, repo_type=kind, allow_patterns=[file] if file else list(patterns))
        )
    except Exception as error:  # of the network, of the hub, of access: whatever it is, the user is told
        cause = brief(error).splitlines()[0]
        raise DemoFormatError(
            f"{source} cannot be fetched ({cause}); it takes a network and the right name of a public {kind}, or a copy in "
            "the hub's cache"
        ) from error
    if file and not (folder / file).is_file():
        raise DemoFormatError(f"{source}: the repository holds no {file}")
    return folder / file if file else folder


def fetch_data(source: str) -> Path:
    """A dataset of the hub: its folder, or its only file.

    Raises:
        GanqIrlError: as ``fetch``.
    """
    path = fetch(source, "dataset", DATA)
    files = [file for file in path.rglob("*") if file.is_file() and file.suffix != ".json"] if path.is_dir() else []
    alone = len(files) == 1 and files[0].parent == path
    return files[0] if alone else path
