"""SB3 callback that saves and restores checkpoints at the start of a rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from ganq_irl.errors import StorageError
from ganq_irl.runs.callbacks import PeriodicEvaluation
from ganq_irl.runs.checkpoints.boundary import MakeEnvs, begin_episodes, boundary_seed, replace_simulators
from ganq_irl.runs.checkpoints.environments import load_simulator_states, simulator_states
from ganq_irl.runs.checkpoints.files import Checkpoint
from ganq_irl.runs.checkpoints.logs import log_position
from ganq_irl.runs.checkpoints.plain import NotPlain
from ganq_irl.runs.checkpoints.random_states import load_random_states, random_states
from ganq_irl.runs.checkpoints.store import CheckpointStore
from ganq_irl.runs.checkpoints.training import load_training_state, training_state
from ganq_irl.runs.divergence import check_finite
from ganq_irl.runs.interrupts import Interrupted, Interrupts
from ganq_irl.runs.stateful import StatefulCallback


@dataclass(frozen=True)
class RunParts:
    """Parts of a run that a checkpoint saves, besides the model.

    Attributes:
        folder: the run directory.
        imitator: the imitation algorithm that trains the model, or None.
        callbacks: callbacks whose state is saved.
        make_envs: makes environments like the run's.
        seed: seed of the run.
        exact: whether a checkpoint cuts the episodes of simulators whose state cannot be saved.
    """

    folder: Path
    imitator: Any | None
    callbacks: Sequence[BaseCallback]
    make_envs: MakeEnvs
    seed: int
    exact: bool


class Checkpointing(StatefulCallback):
    """Callback that saves a checkpoint at regular intervals and on interrupts, and restores one when the run begins.

    Args:
        parts: what to save besides the model.
        store: where to save.
        every: environment steps between checkpoints; 0 saves one only on interrupts.
        interrupts: checked at the start of each rollout.
        restored: the checkpoint that the run resumes from.
    """

    def __init__(
        self,
        parts: RunParts,
        store: CheckpointStore,
        every: int,
        interrupts: Interrupts,
        restored: Checkpoint | None = None,
    ) -> None:
        super().__init__()
        self.parts, self.store, self.every, self.interrupts = parts, store, every, interrupts
        self.latest = self._restored = restored
        self._next = every
        self._iterations = 0 if restored is None else int(restored.info.get("iterations", 0))

    def _on_rollout_start(self) -> None:
        if self._restored is not None:
            self._restore(self._restored)
            self._restored = None
        elif self.every and self.model.num_timesteps >= self._next:
            self._save()
        if self.interrupts.requested is not None:
            self._stop()
        if self.every:
            self._next = (self.model.num_timesteps // self.every + 1) * self.every

    def _on_rollout_end(self) -> None:
        self._iterations += isinstance(self.model, OnPolicyAlgorithm)  # off-policy logs count episodes instead

    def _stop(self) -> None:
        if self.latest is None or self.latest.step != self.model.num_timesteps:
            self._save()
        assert self.latest is not None
        raise Interrupted(
            f"interrupted by {self.interrupts.requested} at step {self.model.num_timesteps}, of which "
            f"{self.latest.folder} is a checkpoint; continue with: ganq-irl resume {self.parts.folder}"
        )

    def _save(self) -> None:
        model, parts = self.model, self.parts
        step = model.num_timesteps
        assert model.env is not None
        try:
            simulators: Any = simulator_states(model.env)
        except NotPlain:
            simulators = None
            if parts.exact:
                begin_episodes(model, parts.make_envs, boundary_seed(parts.seed, step))
        progress, events = log_position(parts.folder, model.logger)
        check_finite(model, parts.imitator)  # never save NaN
        scores = [callback.last for callback in parts.callbacks if isinstance(callback, PeriodicEvaluation)]
        info = {
            "step": step,
            "evaluation": scores[0] if scores else None,
            "iterations": self._iterations,
            "events": events,
            "episode_boundary": simulators is None and parts.exact,
        }
        state = {
            "training": training_state(model, parts.imitator, parts.callbacks),
            "simulators": simulators,
            "random": random_states(),
        }
        self.latest = self.store.save(info, state, progress)

    def _restore(self, checkpoint: Checkpoint) -> None:
        model, parts, state = self.model, self.parts, checkpoint.state()
        assert model.env is not None
        try:
            seed, cut = boundary_seed(parts.seed, checkpoint.step), checkpoint.info.get("episode_boundary")
            if state["simulators"] is not None:
                load_simulator_states(model.env, state["simulators"])
            elif cut:  # the saved state is from after the cut
                replace_simulators(model, parts.make_envs, seed)
                model.env.reset()
            load_training_state(model, parts.imitator, parts.callbacks, state["training"])
            if state["simulators"] is None and not cut:
                begin_episodes(model, parts.make_envs, seed)
            load_random_states(state["random"])
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"{checkpoint.folder} does not fit what config.toml describes: {error!r}") from error
