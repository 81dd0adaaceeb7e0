"""Build what a run trains (an RL algorithm, an imitation algorithm, or behavioral cloning), and train it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList

from ganq_irl.algorithms import ALGORITHMS, AdversarialImitation, Preferences, RewardLearning
from ganq_irl.evaluation.statistics import RewardSign
from ganq_irl.generators.factory import build_generator
from ganq_irl.generators.policies.acting import HoldPolicy
from ganq_irl.generators.policies.average import PolicyAverage
from ganq_irl.generators.policies.starting import Started, start_from
from ganq_irl.generators.policies.store import StoredPolicy, acting_policy, describe_policy, save_policy
from ganq_irl.progress import make_progress_bar
from ganq_irl.runs.callbacks import PeriodicEvaluation, ProgressBar
from ganq_irl.runs.checkpoints import Checkpoint, Checkpointing, CheckpointStore, RunParts, open_log
from ganq_irl.runs.cloning import Cloning
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.directory import BEST_POLICY, CHECKPOINTS, FEEDBACK, POLICY, REWARD
from ganq_irl.runs.divergence import FiniteGuard, check_finite, explaining_divergence
from ganq_irl.runs.envs import make_training_env
from ganq_irl.runs.heldout import Heldout, split_demonstrations
from ganq_irl.runs.interrupts import Interrupts
from ganq_irl.runs.monitor import DiscriminatorMonitor, EarlyTerminationMonitor
from ganq_irl.runs.people import waiting_for_answers
from ganq_irl.runs.rewards import load_reward
from ganq_irl.runs.tensorboard import Histograms, record_settings
from ganq_irl.runs.validation import ADVERSARIAL, acting_generator, table_of

if TYPE_CHECKING:
    from ganq_irl_demos import Demonstrations


def build_trainable(config: ExperimentConfig, *, resuming: bool = False) -> Trainable:
    """Build everything that a run trains, without writing any file.

    Args:
        config: the settings.
        resuming: whether a checkpoint will replace the state, so that ``start_from`` is not read again.

    Raises:
        GanqIrlError: the settings, the demonstrations and the environment do not fit together.
    """
    demonstrations, heldout = (None, None) if config.demos is None else split_demonstrations(config)
    if config.algo == "bc":
        return Cloning(config, demonstrations, heldout)
    name = acting_generator(config)
    assert name is not None
    env = make_training_env(
        config.env,
        config.n_envs,
        seed=config.seed,
        env_kwargs=config.env_kwargs,
        normalize_observations=config.normalize_observations,
        reward=None if config.reward is None else load_reward(config.reward),
        vec=config.vec,
    )
    generator = build_generator(name, env, seed=config.seed, device=config.device, **config.generator_kwargs)
    started = None if config.start_from is None or resuming else start_from(generator, config.start_from)
    describe_policy(generator)  # refuse a policy that cannot be saved now instead of after training
    imitator = _imitator(config, generator, demonstrations)
    return Training(config, generator, imitator, demonstrations, heldout, started)


def _imitator(config: ExperimentConfig, generator: BaseAlgorithm, demonstrations: Demonstrations | None) -> Any | None:
    if config.algo not in ALGORITHMS:
        return None
    keywords: dict[str, Any] = {"seed": config.seed, **getattr(config, table_of(config.algo))}
    if config.algo in ADVERSARIAL:
        keywords["frozen"] = config.control == "frozen"
    return ALGORITHMS[config.algo](generator, demonstrations, **keywords)


@dataclass
class Training:
    """An SB3 algorithm, trained on a reward or by an imitation algorithm.

    Attributes:
        demonstrations: the demonstrations that it learns from, or None.
        heldout: those that it does not learn from, or None.
        started: what was loaded from ``start_from``, or None.
    """

    config: ExperimentConfig
    generator: BaseAlgorithm
    imitator: Any | None
    demonstrations: Demonstrations | None
    heldout: Heldout | None
    started: Started | None
    average: PolicyAverage | None = field(init=False)
    monitor: DiscriminatorMonitor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        rate = self.config.average_rate
        self.average = None if rate == 1 else PolicyAverage(rate)

    def learn(
        self, folder: Path, progress_bar: bool, callback: BaseCallback | None, checkpoint: Checkpoint | None = None
    ) -> None:
        """Train to the end, from a checkpoint if one is given; write logs and checkpoints to ``folder``."""
        config = self.config
        assert config.timesteps is not None
        histograms = Histograms(
            config.timesteps,
            has_rewards=self.imitator is None or isinstance(self.imitator, AdversarialImitation | RewardLearning),
        )
        hold = HoldPolicy(config.hold_policy) if config.hold_policy else None
        given = [FiniteGuard(self.imitator), hold, self.average, callback, histograms]
        callbacks: list[BaseCallback] = [each for each in given if each is not None]
        if isinstance(self.imitator, AdversarialImitation) and config.control != "frozen":
            self.monitor = DiscriminatorMonitor()
            callbacks.append(self.monitor)
            if not self.imitator.values_ends:
                callbacks.append(EarlyTerminationMonitor(list(map(len, self.demonstrations or ())), config.timesteps))
        if config.evaluation.every:
            callbacks.append(PeriodicEvaluation(config, self.policy, folder / BEST_POLICY, self.heldout))
        logger = open_log(folder, checkpoint)
        self.generator.set_logger(logger)
        if checkpoint is None:
            record_settings(logger, config)
        with contextlib.ExitStack() as stack:
            stack.callback(logger.close)
            interrupts = stack.enter_context(Interrupts())
            if isinstance(self.imitator, Preferences):
                self.imitator.keep_in(folder / FEEDBACK)
                waiting_for_answers(self.imitator, folder, interrupts)
            checkpointing = self._checkpointing(folder, callbacks, interrupts, checkpoint)
            stack.enter_context(explaining_divergence(self.generator, self.imitator, folder, checkpointing))
            callbacks.append(checkpointing)
            if progress_bar:
                bar = make_progress_bar(total=config.timesteps, desc=config.algo, unit="step", unit_scale=True)
                callbacks.append(ProgressBar(stack.enter_context(bar)))
            learn = (self.imitator or self.generator).learn
            learn(config.timesteps, callback=CallbackList(callbacks), log_interval=logger.interval(self.generator, learn))
        if config.vec == "subproc":  # otherwise a notebook keeps their processes
            self.generator.get_env().close()  # type: ignore[union-attr]
        check_finite(self.generator, self.imitator)

    def _checkpointing(
        self, folder: Path, callbacks: list[BaseCallback], interrupts: Interrupts, checkpoint: Checkpoint | None
    ) -> Checkpointing:
        config = self.config
        make_envs = partial(make_training_env, config.env, config.n_envs, seed=config.seed, env_kwargs=config.env_kwargs)
        parts = RunParts(folder, self.imitator, tuple(callbacks), make_envs, config.seed, config.exact_checkpoints)
        store = CheckpointStore(folder / CHECKPOINTS, config.keep_checkpoints)
        store.clean()
        return Checkpointing(parts, store, config.checkpoint_every, interrupts, checkpoint)

    def save(self, folder: Path) -> None:
        """Write ``policy/`` and, if a reward was learned, ``reward/``."""
        save_policy(self.policy(), folder / POLICY)
        reward = None if self.imitator is None else self.imitator.recovered_reward()
        if reward is not None:
            reward.save(folder / REWARD)

    def policy(self) -> StoredPolicy:
        """Return the current policy, or its average."""
        return acting_policy(self.generator) if self.average is None else self.average.acting_policy(self.generator)

    def reward_sign(self) -> RewardSign | None:
        """Return the sign that the learned reward can take; None if no reward is learned."""
        if not isinstance(self.imitator, AdversarialImitation):
            return None
        return "counted" if self.imitator.values_ends else self.imitator.reward_form.sign

    def accuracy(self) -> float | None:
        """Return the discriminator's recent accuracy; None if none was trained."""
        return None if self.monitor is None else self.monitor.accuracy

    def steps_done(self) -> int:
        """Return the number of environment steps so far."""
        return self.generator.num_timesteps


Trainable = Training | Cloning
"""What a run trains."""
