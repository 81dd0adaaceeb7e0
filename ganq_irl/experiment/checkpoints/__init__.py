"""Checkpoints of everything, from which training goes on bit for bit, and which nobody can make run code."""

from ganq_irl.experiment.checkpoints.callback import Checkpointing, Parts
from ganq_irl.experiment.checkpoints.files import Checkpoint, read_checkpoint
from ganq_irl.experiment.checkpoints.logs import open_log
from ganq_irl.experiment.checkpoints.store import CheckpointStore

__all__ = [
    "Checkpoint",
    "CheckpointStore",
    "Checkpointing",
    "Parts",
    "open_log",
    "read_checkpoint",
]
