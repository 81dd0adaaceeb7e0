"""Run an experiment: check the settings, build the algorithm, train, save and evaluate; and resume it."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import get_device

from ganq_irl import budget
from ganq_irl.algorithms import DAgger
from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError, RunDirectoryError
from ganq_irl.evaluation import (
    Evaluation,
    early_end_warning,
    evaluate_returns,
    length_bias_warning,
    shortfall_warning,
    summarize_episodes,
)
from ganq_irl.feedback import TrueReward
from ganq_irl.files import locked, require_vacant
from ganq_irl.generators.policies.starting import Started
from ganq_irl.generators.policies.store import StoredPolicy
from ganq_irl.runs.checkpoints import Checkpoint, CheckpointStore
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.directory import (
    CHECKPOINTS,
    CONFIG,
    EVALUATION,
    default_folder,
    load_run,
    recording_run,
    versions,
    write_json,
)
from ganq_irl.runs.heldout import Heldout
from ganq_irl.runs.training import Trainable, Training, build_trainable
from ganq_irl.runs.validation import check_config, task_weight
from ganq_irl.runs.warning_log import WarningLog, logging_warnings
from ganq_irl.runs.yardstick import Yardstick, measure_yardstick, references_for
from ganq_irl.space_matrix import WITHOUT_DEMONSTRATIONS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """Result of a run.

    Attributes:
        folder: the run directory.
        config: the resolved settings.
        evaluation: the true return of the final policy.
        warning: what could explain the score other than imitation, or None.
        yardstick: return and length of the demonstrations and of random actions; None without demonstrations.

    Example:
        >>> config = ExperimentConfig("bc", "CartPole-v1", demos="cartpole", bc={"n_updates": 10})
        >>> result = run_experiment(config, "run", progress_bar=False)
        >>> result.folder.name, result.evaluation.episodes
        ('run', 20)
    """

    folder: Path
    config: ExperimentConfig
    evaluation: Evaluation
    warning: str | None
    yardstick: Yardstick | None


def run_experiment(
    config: ExperimentConfig,
    out: Path | str | None = None,
    *,
    progress_bar: bool = True,
    callback: BaseCallback | None = None,
) -> RunResult:
    """Train, save and evaluate.

    Nothing is written before everything has been built, so that a wrong request leaves no files. An interrupted run saves
    its policy and a checkpoint, from which ``resume_experiment`` continues.

    Args:
        config: the settings.
        out: run directory; a new ``runs/<algo>-<env>-<seed>`` by default.
        progress_bar: show a progress bar on stderr.
        callback: your own SB3 callback, called at every environment step (not by BC, which takes no steps).

    Raises:
        RunDirectoryError: ``out`` is not empty, or another process is training in it.
        CheckpointFailed: the disk is full.
        GanqIrlError: the settings, demonstrations or environment do not fit together.

    Example:
        >>> config = ExperimentConfig("bc", "CartPole-v1", demos="cartpole", bc={"n_updates": 10})
        >>> result = run_experiment(config, "run", progress_bar=False)
        >>> sorted(path.name for path in result.folder.iterdir() if path.suffix == ".toml")
        ['config.toml']
    """
    config = check_config(config)
    folder = Path(out) if out is not None else default_folder(config)
    require_vacant(folder)
    with logging_warnings() as warnings:
        trainable = build_trainable(config)
        with locked(folder):
            require_vacant(folder)  # another process may have started here meanwhile
            return _trained(folder, config, trainable, warnings, progress_bar, callback)


def resume_experiment(
    folder: Path | str,
    *,
    timesteps: int | None = None,
    progress_bar: bool = True,
    callback: BaseCallback | None = None,
) -> RunResult:
    """Continue a run from its newest intact checkpoint.

    On a CPU and with the same package versions, the result equals that of an uninterrupted run, bit for bit. For simulators
    whose state cannot be saved this needs ``exact_checkpoints``.

    Args:
        folder: the run directory.
        timesteps: a new total number of environment steps; the run may be finished. Schedules are stretched to the new
            length, so that a rate that had decayed rises again. Without schedules the run equals one that was given this
            number from the start.
        progress_bar: show a progress bar on stderr.
        callback: as in ``run_experiment``; its state is restored from the checkpoint.

    Raises:
        RunDirectoryError: the folder is not a run, the run is finished, there is no intact checkpoint, or another process
            is training in it.
        ConfigurationError: the run has already done ``timesteps`` steps, or counts updates.
        GanqIrlError: settings, demonstrations or environment have changed.

    Example:
        >>> resume_experiment("nowhere")
        Traceback (most recent call last):
        ganq_irl.errors.RunDirectoryError: ...
    """
    run = load_run(folder)
    is_finished = run.info.get("status") == "finished"
    if is_finished and timesteps is None:
        raise RunDirectoryError(
            f"{run.folder} is finished; give --timesteps N to go on, or train another with --config {run.folder / CONFIG}"
        )
    config = run.config if timesteps is None else _longer(run.config, timesteps)
    with locked(run.folder), logging_warnings() as warnings, budget.shared():
        checkpoint = CheckpointStore(run.folder / CHECKPOINTS).newest()
        done = run.config.timesteps if is_finished else checkpoint.step
        if timesteps is not None and timesteps <= (done or 0):
            raise ConfigurationError(f"--timesteps {timesteps}: {run.folder} has gone {done} steps already; give more")
        if run.info.get("versions", {}) != versions():
            _log.warning("%s was started with other package versions: it continues, but not bit for bit", run.folder)
        trainable = build_trainable(check_config(config), resuming=True)
        return _trained(run.folder, config, trainable, warnings, progress_bar, callback, (run.info, checkpoint))


def _longer(config: ExperimentConfig, timesteps: int) -> ExperimentConfig:
    if config.timesteps is None:
        raise ConfigurationError("--timesteps: bc counts updates; train another with --set bc.n_updates=N")
    scheduled = sorted(
        key for key, value in config.generator_kwargs.items() if isinstance(value, Mapping) and "final" in value
    )
    if scheduled and timesteps != config.timesteps:
        _log.warning(
            "%s: scheduled over %d steps, now over %d; what had decayed rises to where a run of that length has it",
            ", ".join(scheduled),
            config.timesteps,
            timesteps,
            extra={"category": "schedules"},
        )
    return dataclasses.replace(config, timesteps=timesteps)


def _trained(
    folder: Path,
    config: ExperimentConfig,
    trainable: Trainable,
    warnings: WarningLog,
    progress_bar: bool,
    callback: BaseCallback | None,
    resumed: tuple[Mapping[str, Any], Checkpoint] | None = None,
) -> RunResult:
    info, checkpoint = resumed or (None, None)
    warnings.step = trainable.steps_done
    start = None if trainable.started is None else _provenance(config, trainable.started)
    with recording_run(folder, config, str(get_device(config.device)), info, start) as found:
        seconds = found["seconds"]
        warnings.entries[:0] = _earlier_warnings(info)
        found["warnings"] = warnings.entries
        try:
            with _timed(seconds, "train"):
                trainable.learn(folder, progress_bar, callback, checkpoint)
        except KeyboardInterrupt:
            trainable.save(folder)
            raise
        trainable.save(folder)
        if isinstance(trainable, Training) and isinstance(trainable.imitator, DAgger):
            found["expert_labels"] = trainable.imitator.n_labels
        with _timed(seconds, "evaluate"):
            shown = trainable.demonstrations
            yardstick = None if shown is None else measure_yardstick(config, shown)
            evaluation, lengths = evaluate_run_policy(
                config, trainable.policy(), yardstick=yardstick, heldout=trainable.heldout
            )
        warning = _warning(trainable, evaluation, lengths)
        if warning is not None:
            warnings.add(warning, "evaluation")
        found |= {"yardstick": None if yardstick is None else yardstick.to_json(), "normalized": evaluation.normalized}
        write_json(folder / EVALUATION, evaluation.to_json() | {"warning": warning})
    return RunResult(folder, config, evaluation, warning, yardstick)


def evaluate_run_policy(
    config: ExperimentConfig,
    policy: StoredPolicy,
    *,
    episodes: int | None = None,
    seed: int | None = None,
    yardstick: Yardstick | None = None,
    heldout: Heldout | None = None,
) -> tuple[Evaluation, np.ndarray]:
    """Evaluate a policy in a run's environment, normalized if the catalog or the yardstick has reference returns.

    Args:
        config: the run's settings.
        policy: the policy to evaluate.
        episodes: overrides ``config.evaluation.episodes``.
        seed: overrides ``config.evaluation.seed``.
        yardstick: the run's returns of demonstrations and random actions.
        heldout: demonstrations that the run did not learn from, to report the policy's distance from them.

    Returns:
        The evaluation, and the episodes' lengths.
    """
    check_env(config.env)  # only registered ids: for "module:Id" Gymnasium would import any module that the settings name
    episodes = config.evaluation.episodes if episodes is None else episodes
    seed = config.evaluation.seed if seed is None else seed
    statistics = evaluate_returns(
        policy, config.env, episodes, seed=seed, env_kwargs=config.env_kwargs, records=heldout is not None
    )
    evaluation = summarize_episodes(statistics, seed=seed, references=references_for(config, yardstick))
    distance = None if heldout is None else heldout.distance(statistics.trajectories)
    if distance is not None:
        evaluation = dataclasses.replace(evaluation, heldout_distance=distance.distance, heldout_interval=distance.interval)
    return evaluation, statistics.lengths


def _warning(trainable: Trainable, evaluation: Evaluation, lengths: np.ndarray) -> str | None:
    sign, demonstrations = trainable.reward_sign(), trainable.demonstrations
    of_reward = _told_of_reward(trainable.config)
    if demonstrations is None:
        return of_reward
    shown = np.array([len(trajectory) for trajectory in demonstrations])
    of_ends = None if sign is None else early_end_warning(lengths, shown, evaluation.normalized, sign)
    sentences = [
        of_reward,
        None if sign is None else length_bias_warning(np.append(lengths, shown), sign),
        of_ends or shortfall_warning(evaluation.normalized, trainable.accuracy()),
    ]
    return " ".join(filter(None, sentences)) or None


def _told_of_reward(config: ExperimentConfig) -> str | None:
    """Return a sentence on how the environment's reward was used by something that need not see it; None if it was not."""
    if weight := task_weight(config):
        return f"The environment's reward was used too (task_weight={weight:g}), so the return shows more than imitation."
    if config.algo in WITHOUT_DEMONSTRATIONS and config.imitation.get("teacher", TrueReward.name) == TrueReward.name:
        return "The environment's reward gave the answers (teacher true-reward); people may answer otherwise."
    return None


def _provenance(config: ExperimentConfig, started: Started) -> dict[str, Any]:
    """Return JSON that says where a run started, and what it learns from since then."""
    reward = "answers" if config.algo in WITHOUT_DEMONSTRATIONS else config.reward or "the environment's reward"
    learns_from = "demonstrations" if config.demos is not None else reward
    return {"from": config.start_from, **dataclasses.asdict(started), "learns_from": learns_from}


def _earlier_warnings(info: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the warnings from before the run was resumed."""
    earlier = (info or {}).get("warnings")
    return [entry for entry in earlier if isinstance(entry, dict)] if isinstance(earlier, list) else []


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = round(time.perf_counter() - start, 3)
