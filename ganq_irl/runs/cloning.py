"""Train behavioral cloning: without environment or generator, with checkpoints between epochs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy

from ganq_irl.algorithms import BC
from ganq_irl.errors import StorageError, TrainingDiverged
from ganq_irl.evaluation.statistics import RewardSign
from ganq_irl.generators.factory import build_generator
from ganq_irl.generators.policies.starting import Started
from ganq_irl.generators.policies.store import StoredPolicy, acting_policy, describe_policy, save_policy
from ganq_irl.runs.checkpoints import Checkpoint, CheckpointStore
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.directory import CHECKPOINTS, POLICY
from ganq_irl.runs.divergence import check_finite
from ganq_irl.runs.envs import make_training_env
from ganq_irl.runs.heldout import Heldout
from ganq_irl.runs.interrupts import Interrupted, Interrupts
from ganq_irl.runs.validation import DEFAULT_UPDATES
from ganq_irl.space_matrix import TRAITS

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations


class Cloning:
    """Behavioral cloning, as the run's ``Trainable``."""

    def __init__(
        self, config: ExperimentConfig, demonstrations: Demonstrations | None, heldout: Heldout | None = None
    ) -> None:
        assert demonstrations is not None
        self.config, self.heldout = config, heldout
        self.started: Started | None = None
        self.demonstrations: Demonstrations | None = demonstrations
        options = dict(config.bc)
        if config.generator is not None:
            options["policy"] = _policy_of_generator(config, config.generator)
        self.n_updates = options.pop("n_updates", DEFAULT_UPDATES)
        self.bc = BC(
            demonstrations.observation_space,
            demonstrations.action_space,
            demonstrations,
            seed=config.seed,
            device=config.device,
            **options,
        )
        describe_policy(self.bc.policy)

    def learn(
        self, folder: Path, progress_bar: bool, callback: BaseCallback | None, checkpoint: Checkpoint | None = None
    ) -> None:
        """Run the remaining updates; save checkpoints and check for interrupts between epochs."""
        store = CheckpointStore(folder / CHECKPOINTS, self.config.keep_checkpoints)
        store.clean()
        with Interrupts() as interrupts:
            epochs = _Epochs(self.bc, folder, store, self.config.checkpoint_every, interrupts, checkpoint)
            if checkpoint is not None:
                epochs.restore(checkpoint)
            left = self.n_updates - self.bc.n_updates_done
            try:
                self.bc.train(left, progress_bar=progress_bar, on_epoch_end=epochs.ended)
            except (ValueError, RuntimeError):
                epochs.check()  # NaN parameters cause many kinds of errors
                raise
            epochs.check()

    def save(self, folder: Path) -> None:
        """Write ``policy/``."""
        save_policy(self.bc.policy, folder / POLICY)

    def policy(self) -> StoredPolicy:
        """Return the current policy."""
        return acting_policy(self.bc.policy)

    def reward_sign(self) -> RewardSign | None:
        """Return None: no reward is learned."""
        return None

    def accuracy(self) -> None:
        """Return None: there is no discriminator."""

    def steps_done(self) -> int:
        """Return the number of updates so far."""
        return self.bc.n_updates_done


def _policy_of_generator(config: ExperimentConfig, name: str) -> BasePolicy:
    """Return the untrained policy of a generator, which gets no room for experience."""
    env = make_training_env(config.env, 1, seed=config.seed, env_kwargs=config.env_kwargs)
    room = {"buffer_size": 1} if TRAITS[name].replays else {}
    generator = build_generator(name, env, seed=config.seed, device=config.device, **(config.generator_kwargs | room))
    env.close()
    return generator.policy


@dataclass
class _Epochs:
    """Checkpoints and interrupts between epochs, when no gradient is pending and the next batch order is not drawn yet."""

    bc: BC
    folder: Path
    store: CheckpointStore
    every: int
    interrupts: Interrupts
    latest: Checkpoint | None

    def __post_init__(self) -> None:
        self._begun = 0 if self.latest is None else self.latest.step

    def ended(self) -> None:
        done = self.bc.n_updates_done
        if self.interrupts.requested is not None:
            self._stop()
        if self.every and done // self.every > self._begun // self.every:
            self._save()
        self._begun = done

    def check(self) -> None:
        """Check that all parameters are finite.

        Raises:
            TrainingDiverged: one is not; the message names it, the update, and the last good checkpoint.
        """
        try:
            check_finite(self.bc)
        except TrainingDiverged as error:
            last = f"the last good checkpoint is {self.latest.folder}" if self.latest else f"{self.folder} holds none yet"
            raise TrainingDiverged(f"diverged at update {self.bc.n_updates_done}: {error}; {last}") from error

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint.

        Raises:
            StorageError: it belongs to another run.
        """
        state = checkpoint.state()
        try:
            self.bc.load_state_dict(state["cloning"])
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise StorageError(f"{checkpoint.folder} does not fit what config.toml describes: {error!r}") from error

    def _save(self) -> None:
        self.check()  # never save NaN
        state = {"cloning": self.bc.state_dict()}
        self.latest = self.store.save({"step": self.bc.n_updates_done, "evaluation": None}, state, b"")

    def _stop(self) -> None:
        self._save()
        assert self.latest is not None
        raise Interrupted(
            f"interrupted by {self.interrupts.requested} at update {self.latest.step}, of which {self.latest.folder} is a "
            f"checkpoint; continue with: ganq-irl resume {self.folder}"
        )
