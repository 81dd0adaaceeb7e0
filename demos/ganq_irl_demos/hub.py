"""Fetch files from the Hugging Face hub with its client: ``huggingface:ORGANIZATION/NAME[/FILE]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ganq_irl.errors import ConfigurationError, DemoFormatError, needed
from ganq_irl_demos.formats.limits import brief

PREFIX = "huggingface:"

DATA = ("*.parquet", "*.arrow", "*.json", "*.npz", "*.hdf5", "*.h5", "*.csv")
"""Files of a dataset to fetch: no videos, and no code."""


def is_hub(source: str) -> bool:
    """Return whether a source names a repository on the hub."""
    return source.startswith(PREFIX)


def fetch(source: str, kind: str, patterns: Sequence[str]) -> Path:
    """Download a repository, or one file of it, and return its local path. Cached files are not downloaded again.

    Args:
        source: ``huggingface:ORGANIZATION/NAME``, optionally with ``/FILE``.
        kind: ``dataset`` or ``model``.
        patterns: files to fetch if none is named.

    Raises:
        ConfigurationError: ``source`` does not have this form.
        DemoFormatError: it cannot be fetched, or has no such file.
        MissingDependency: the hub's client is not installed.
    """
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/(.+))?", source.removeprefix(PREFIX))
    if found is None or ".." in source:
        raise ConfigurationError(f"{source!r}: expected {PREFIX}ORGANIZATION/NAME, optionally with /FILE")
    repository, file = found.groups()
    client = needed("huggingface_hub", "", "fetching from the Hugging Face hub")
    try:
        folder = Path(
            client.snapshot_download(repository, repo_type=kind, allow_patterns=[file] if file else list(patterns))
        )
    except Exception as error:  # any error of the network, the hub or access rights
        cause = brief(error).splitlines()[0]
        raise DemoFormatError(
            f"{source} cannot be fetched ({cause}); check the network connection and the name of the public {kind}, or put "
            "a copy into the hub's cache"
        ) from error
    if file and not (folder / file).is_file():
        raise DemoFormatError(f"{source}: the repository holds no {file}")
    return folder / file if file else folder


def fetch_data(source: str) -> Path:
    """Fetch a dataset from the hub and return its folder, or its only file.

    Raises:
        GanqIrlError: as ``fetch``.
    """
    path = fetch(source, "dataset", DATA)
    files = [file for file in path.rglob("*") if file.is_file() and file.suffix != ".json"] if path.is_dir() else []
    alone = len(files) == 1 and files[0].parent == path
    return files[0] if alone else path
