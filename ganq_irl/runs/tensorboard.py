"""TensorBoard beyond scalars: settings, histograms of actions and rewards, and videos."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import HParam, Logger, TensorBoardOutputFormat
from tensorboard.compat.proto.summary_pb2 import Summary

from ganq_irl.generators.off_policy.pricing import latest_indices, latest_rewards
from ganq_irl.runs.config import ExperimentConfig, flatten
from ganq_irl.runs.stateful import StatefulCallback
from ganq_irl.runs.video import Video

TENSORBOARD_ONLY = ("csv", "json", "log", "stdout")
"""Outputs of SB3's logger that get no histograms."""
NEWEST = 2048
TIMES = 50
"""Number of histograms during a run."""
_METRICS = ("rollout/ep_rew_mean", "eval/mean_reward")


class Histograms(StatefulCallback):
    """Callback that records histograms of the latest actions and rewards, ``TIMES`` times a run.

    It draws no random numbers, so that it does not change the run.

    Args:
        timesteps: environment steps of the run.
        has_rewards: whether the generator learns from one reward per transition, as with all but SQIL and IQ-Learn.
    """

    SAVED = ("_next",)

    def __init__(self, timesteps: int, *, has_rewards: bool = True) -> None:
        super().__init__()
        self.every, self.has_rewards = max(1, timesteps // TIMES), has_rewards
        self._next = self.every

    def _on_rollout_end(self) -> None:
        if self.num_timesteps < self._next:
            return
        self._next = (self.num_timesteps // self.every + 1) * self.every
        record_histogram(self.logger, "rollout/actions", newest_actions(self.model))
        if self.has_rewards:
            record_histogram(self.logger, "rollout/rewards", latest_rewards(self.model, NEWEST))


def newest_actions(model: BaseAlgorithm) -> np.ndarray:
    """Return the actions of the last rollout, or the latest in the replay buffer, flattened."""
    buffer: Any = getattr(model, "replay_buffer", None)
    if buffer is None:
        return np.asarray(model.rollout_buffer.actions).ravel()  # type: ignore[attr-defined]
    return buffer.actions[latest_indices(buffer, NEWEST)].ravel()


def record_histogram(logger: Logger, name: str, values: np.ndarray) -> None:
    """Record a histogram of the finite values, for TensorBoard only."""
    values = values[np.isfinite(values)]
    if values.size:
        # older releases of SB3 make histograms of tensors only
        logger.record(name, torch.as_tensor(values), exclude=TENSORBOARD_ONLY)


def record_settings(logger: Logger, config: ExperimentConfig) -> None:
    """Write a run's settings to TensorBoard's table of hyperparameters."""
    plain = {key: _plain(value) for key, value in flatten(dataclasses.asdict(config)).items()}
    settings = HParam(plain, dict.fromkeys(_METRICS, 0.0))
    for output in _tensorboards(logger):
        output.write({"hparams": settings}, {"hparams": ()})


def write_video(logger: Logger, name: str, video: Video, step: int) -> None:
    """Write a video to TensorBoard as a GIF image.

    SB3's ``Video`` uses moviepy, of which torch supports only old releases.
    """
    width, height = video.frames[0].size
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=video.to_gif())
    for output in _tensorboards(logger):
        assert output.writer.file_writer is not None
        output.writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)
        output.writer.flush()


def _tensorboards(logger: Logger) -> list[TensorBoardOutputFormat]:
    return [output for output in logger.output_formats if isinstance(output, TensorBoardOutputFormat)]


def _plain(value: Any) -> bool | str | float:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value, default=str)
