"""What a run shows in TensorBoard beside its scalars: settings, histograms of what was done and paid, and films."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import HParam, Logger, TensorBoardOutputFormat
from tensorboard.compat.proto.summary_pb2 import Summary

from ganq_irl.generators.off_policy import latest_indices, latest_rewards
from ganq_irl.runs.config import ExperimentConfig, flat
from ganq_irl.runs.films import Film

TENSORBOARD_ONLY = ("csv", "json", "log", "stdout")
"""Outputs of SB3's logger from which histograms are left out."""
NEWEST = 2048
TIMES = 50
"""Histograms during a run."""
_METRICS = ("rollout/ep_rew_mean", "eval/mean_reward")


class Histograms(BaseCallback):
    """Record the newest actions, and the rewards that are learned from, as histograms: fifty times a run.

    Nothing is drawn at random for them, so that a run is the same with and without.

    Args:
        timesteps: of the run.
        has_rewards: whether the generator learns from one reward a transition, as all but SQIL and IQ-Learn do.
    """

    def __init__(self, timesteps: int, *, has_rewards: bool = True) -> None:
        super().__init__()
        self.every, self.has_rewards = max(1, timesteps // TIMES), has_rewards
        self._next = self.every

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.num_timesteps < self._next:
            return
        self._next = (self.num_timesteps // self.every + 1) * self.every
        record_histogram(self.logger, "rollout/actions", newest_actions(self.model))
        if self.has_rewards:
            record_histogram(self.logger, "rollout/rewards", latest_rewards(self.model, NEWEST))

    def state_dict(self) -> dict[str, int]:
        """When the next ones are due."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self._next = state["next"]


def newest_actions(model: BaseAlgorithm) -> np.ndarray:
    """Actions as the generator's buffer holds them: those of the last rollout, or the newest in replay, flat."""
    buffer: Any = getattr(model, "replay_buffer", None)
    if buffer is None:
        return np.asarray(model.rollout_buffer.actions).ravel()  # type: ignore[attr-defined]
    return buffer.actions[latest_indices(buffer, NEWEST)].ravel()


def record_histogram(logger: Logger, name: str, values: np.ndarray) -> None:
    """Give values to the logger, of which TensorBoard makes a histogram, and which other outputs do not see."""
    values = values[np.isfinite(values)]
    if values.size:
        # Of arrays older releases of SB3 make no histogram.
        logger.record(name, torch.as_tensor(values), exclude=TENSORBOARD_ONLY)


def record_settings(logger: Logger, config: ExperimentConfig) -> None:
    """Write a run's settings to TensorBoard's table of hyperparameters, beside its returns."""
    plain = {key: _plain(value) for key, value in flat(dataclasses.asdict(config)).items()}
    settings = HParam(plain, dict.fromkeys(_METRICS, 0.0))
    for output in _tensorboards(logger):
        output.write({"hparams": settings}, {"hparams": ()})


def write_film(logger: Logger, name: str, film: Film, step: int) -> None:
    """Write a film to TensorBoard, which shows GIFs among its images.

    SB3's ``Video`` would be encoded by moviepy, of which torch knows old releases only.
    """
    width, height = film.frames[0].size
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=film.to_gif())
    for output in _tensorboards(logger):
        assert output.writer.file_writer is not None
        output.writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)
        output.writer.flush()


def _tensorboards(logger: Logger) -> list[TensorBoardOutputFormat]:
    return [output for output in logger.output_formats if isinstance(output, TensorBoardOutputFormat)]


def _plain(value: Any) -> bool | str | float:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value, default=str)
