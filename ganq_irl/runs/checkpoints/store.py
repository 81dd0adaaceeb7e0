"""The folder of a run's checkpoints. It keeps the latest ones and the best, and deletes none before a newer one verifies."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganq_irl.errors import CheckpointFailed, RunDirectoryError, StorageError
from ganq_irl.files import replacing_folder, require_plain
from ganq_irl.runs.checkpoints.files import MANIFEST, Checkpoint, read_checkpoint, read_manifest, write_checkpoint

_log = logging.getLogger(__name__)


class CheckpointStore:
    """A folder of checkpoints, used by one process at a time.

    Args:
        folder: created with the first checkpoint.
        keep: number of latest checkpoints to keep, besides the best evaluated one.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def save(self, info: Mapping[str, Any], state: Mapping[str, Any], progress: bytes) -> Checkpoint:
        """Write a checkpoint, read it back, and only then delete those that are no longer kept.

        Raises:
            CheckpointFailed: the disk is full or not writable; earlier checkpoints remain.
        """
        target = self.folder / f"step-{info['step']:012d}"
        try:
            with replacing_folder(target) as scratch:
                write_checkpoint(scratch, info, state, progress)
            checkpoint = read_checkpoint(target)
        except (OSError, StorageError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            shutil.rmtree(target, ignore_errors=True)  # it does not verify
            latest = self.newest_name()
            kept = f"{self.folder / latest} is intact" if latest else "there is none before it"
            raise CheckpointFailed(
                f"the checkpoint of step {info['step']} could not be written to {self.folder} ({reason}); {kept}: make "
                "room or fix the folder, then continue with `ganq-irl resume`"
            ) from error
        self._prune(checkpoint)
        return checkpoint

    def newest(self) -> Checkpoint:
        """Return the newest intact checkpoint; damaged ones are skipped with a warning.

        Raises:
            RunDirectoryError: there is no intact checkpoint.
            StorageError: the folder is a link, or holds something other than regular files and folders.
        """
        require_plain(self.folder)
        damaged = []
        for name in sorted(self._names(), reverse=True):
            try:
                return read_checkpoint(self.folder / name)
            except StorageError as error:
                damaged.append(str(error))
                _log.warning("skipping the damaged checkpoint %s: %s", self.folder / name, error)
        found = f"only damaged ones ({'; '.join(damaged)})" if damaged else "none"
        raise RunDirectoryError(
            f"{self.folder} holds no checkpoint to continue from: {found}; train again, with --checkpoint-every N"
        )

    def newest_name(self) -> str | None:
        """Return the name of the newest checkpoint, damaged or not."""
        return max(self._names(), default=None)

    def clean(self) -> None:
        """Delete what a killed process left half written."""
        if self.folder.is_dir():
            for path in self.folder.glob(".step-*"):
                shutil.rmtree(path, ignore_errors=True)

    def _names(self) -> list[str]:
        if not self.folder.is_dir():
            return []
        return [path.name for path in self.folder.iterdir() if path.name.startswith("step-") and path.is_dir()]

    def _prune(self, newest: Checkpoint) -> None:
        """Delete old checkpoints, and those of later steps, which are damaged since the run resumed before them."""
        names = sorted(self._names(), reverse=True)
        past = [name for name in names if name <= newest.folder.name]
        kept = set(past[: self.keep]) | {best for best in [self._best(past)] if best is not None}
        for name in set(names) - kept:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _best(self, names: list[str]) -> str | None:
        """Return the checkpoint with the highest evaluation, the latest among equals."""
        scores = {}
        for name in names:
            try:
                score = read_manifest(self.folder / name / MANIFEST).get("evaluation")
            except StorageError:
                continue
            if isinstance(score, int | float):
                scores[name] = score
        return max(scores, key=lambda name: (scores[name], name), default=None)
