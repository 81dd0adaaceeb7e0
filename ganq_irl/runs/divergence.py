"""Divergence: end a run at the first number that is not finite, and say which step and which checkpoint.

Losses, rewards and observations are checked at every step or rollout, parameters and gradients every
``PARAMETERS_EVERY`` steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from ganq_irl.errors import EnvironmentFailed, GanqIrlError, TrainingDiverged
from ganq_irl.generators.callbacks import FiniteObservations

PARAMETERS_EVERY = 1000
"""Environment steps between checks of all parameters and gradients."""

_REMEDY = "lower the learning rate, or clip gradients"


class FiniteGuard(FiniteObservations):
    """Callback that ends a run at the first observation, reward, loss, gradient or parameter that is not finite.

    Args:
        imitator: the imitation algorithm that trains the model, if any.
    """

    def __init__(self, imitator: Any | None = None) -> None:
        super().__init__()
        self.imitator, self._next = imitator, 0

    def _on_step(self) -> bool:
        super()._on_step()
        rewards = self.locals["rewards"]
        if not np.isfinite(rewards).all():
            raise TrainingDiverged(f"the environment's reward is {rewards[~np.isfinite(rewards)][0]}; look at its step()")
        return True

    def _on_rollout_start(self) -> None:
        for key, value in self.logger.name_to_value.items():
            if "loss" in key and isinstance(value, int | float | np.floating) and not math.isfinite(value):
                check_finite(self.model, self.imitator)  # a parameter or gradient is closer to the cause
                raise TrainingDiverged(f"the loss {key} is {value}; {_REMEDY}")
        if self.num_timesteps >= self._next:
            check_finite(self.model, self.imitator)
            self._next = self.num_timesteps + PARAMETERS_EVERY


def check_finite(model: Any, imitator: Any | None = None) -> None:
    """Check the parameters of the policy and the discriminator, and their last gradients.

    Args:
        model: an SB3 algorithm, or anything else with a ``policy``.
        imitator: the imitation algorithm that trains it, if any.

    Raises:
        TrainingDiverged: one is not finite; the message names the first, gradients before parameters.
    """
    learner = getattr(imitator, "learner", None) or getattr(model, "learner", None)
    networks = {"policy": model.policy} | ({"discriminator": learner.discriminator} if learner is not None else {})
    for owner, network in networks.items():
        parameters = list(network.named_parameters())
        for kind, tensors in (
            ("gradient", [(name, parameter.grad) for name, parameter in parameters]),
            ("parameter", parameters),
        ):
            for name, tensor in tensors:
                if tensor is not None and not torch.isfinite(tensor).all():
                    raise TrainingDiverged(f"the {owner}'s {kind} {name} is not finite; {_REMEDY}")


@contextmanager
def explaining_divergence(model: BaseAlgorithm, imitator: Any | None, folder: Path, checkpoints: Any) -> Iterator[None]:
    """Add the step and the last good checkpoint to the message of a divergence.

    A network with NaN parameters can fail anywhere, with any ValueError or RuntimeError. If a parameter or gradient is not
    finite when such an error arrives, the error is reported as a divergence.

    Args:
        model: the SB3 algorithm.
        imitator: the imitation algorithm that trains it, if any.
        folder: the run directory.
        checkpoints: the checkpoint callback, whose ``latest`` is the last good checkpoint.
    """
    try:
        yield
    except TrainingDiverged as error:
        raise TrainingDiverged(_explained(str(error), model, folder, checkpoints)) from error
    except (ValueError, RuntimeError) as error:
        is_environment = isinstance(error, EnvironmentFailed)  # NaN actions can cause this too
        if isinstance(error, GanqIrlError) and not is_environment:
            raise
        try:
            check_finite(model, imitator)
        except TrainingDiverged as divergence:
            raise TrainingDiverged(_explained(str(divergence), model, folder, checkpoints)) from error
        if is_environment:
            raise EnvironmentFailed(f"{error}; {_last_good(folder, checkpoints)}") from error
        raise


def _explained(message: str, model: BaseAlgorithm, folder: Path, checkpoints: Any) -> str:
    return f"diverged at step {model.num_timesteps}: {message}; {_last_good(folder, checkpoints)}"


def _last_good(folder: Path, checkpoints: Any) -> str:
    good = checkpoints.latest
    return f"the last good checkpoint is {good.folder}" if good is not None else f"{folder} holds no checkpoint yet"
