"""Checkpoints: the complete state of a run, to resume training bit for bit. Reading one never runs code."""

from ganq_irl.runs.checkpoints.callback import Checkpointing, RunParts
from ganq_irl.runs.checkpoints.files import Checkpoint, read_checkpoint
from ganq_irl.runs.checkpoints.logs import open_log
from ganq_irl.runs.checkpoints.store import CheckpointStore

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "Checkpointing",
    "RunParts",
    "open_log",
    "read_checkpoint",
]
