"""One run: settings -> environment -> demonstrations -> generator -> algorithm -> one ``learn()`` -> run directory."""

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
from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import ConfigurationError, RunDirectoryError
from ganq_irl.evaluation import Evaluation, early_end_warning, evaluate_returns, length_bias_warning, summarize_episodes
from ganq_irl.files import locked, require_vacant
from ganq_irl.generators.policy_store import StoredPolicy
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
from ganq_irl.runs.kept_warnings import KeptWarnings, keeping_warnings
from ganq_irl.runs.training import Trainable, build_trainable
from ganq_irl.runs.validation import check_config
from ganq_irl.runs.yardstick import Yardstick, measure_yardstick, references_for

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run ended with.

    Attributes:
        folder: the run directory.
        config: its resolved settings.
        evaluation: the true return of the final policy.
        warning: sentences on what could explain the score other than imitation, or None.
        yardstick: return and length of the demonstrations and of random actions; None for a run without demonstrations.
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

    Nothing is written before everything that the settings ask for has been built, so that a wrong request leaves nothing.
    An interrupted run keeps the policy that it had, and is gone on with by ``resume_experiment``.

    Args:
        config: the settings.
        out: run directory; a new ``runs/<algo>-<env>-<seed>`` where absent.
        progress_bar: show one on stderr.
        callback: an SB3 callback of your own, called at every environment step (not by BC, which takes none).

    Raises:
        RunDirectoryError: ``out`` is not empty, or another process is training in it.
        CheckpointFailed: the disk is full.
        GanqIrlError: the settings, demonstrations or environment do not fit together.
    """
    config = check_config(config)
    folder = Path(out) if out is not None else default_folder(config)
    require_vacant(folder)
    with keeping_warnings() as kept:
        trainable = build_trainable(config)
        with locked(folder):
            require_vacant(folder)  # another process may have begun while this one was building
            return _trained(folder, config, trainable, kept, progress_bar, callback)


def resume_experiment(
    folder: Path | str,
    *,
    timesteps: int | None = None,
    progress_bar: bool = True,
    callback: BaseCallback | None = None,
) -> RunResult:
    """Go on with a run from its newest checkpoint that is whole, to the end that its settings ask for.

    On a CPU, with the versions that began it, the run ends as if it had never stopped, bit for bit. In simulators whose
    state cannot be saved this needs ``exact_checkpoints``.

    Args:
        folder: the run directory.
        timesteps: a new end, in environment steps from the beginning of the run, which may be finished. Schedules are those
            of a run of this length, so that a rate that had decayed rises again; without schedules the run ends as one that
            was asked for so many steps at first.
        progress_bar: show one on stderr.
        callback: as in ``run_experiment``; the checkpoint gives it the state that it had.

    Raises:
        RunDirectoryError: it is none, its run is finished, it holds no checkpoint, or another process is training in it.
        ConfigurationError: the run has gone as far as ``timesteps`` already, or counts updates.
        GanqIrlError: settings, demonstrations or environment are no longer what they were.
    """
    run = load_run(folder)
    is_finished = run.info.get("status") == "finished"
    if is_finished and timesteps is None:
        raise RunDirectoryError(
            f"{run.folder} is finished; give --timesteps N to go on, or train another with --config {run.folder / CONFIG}"
        )
    config = run.config if timesteps is None else _longer(run.config, timesteps)
    with locked(run.folder), keeping_warnings() as kept, budget.shared():
        checkpoint = CheckpointStore(run.folder / CHECKPOINTS).newest()
        done = run.config.timesteps if is_finished else checkpoint.step
        if timesteps is not None and timesteps <= (done or 0):
            raise ConfigurationError(f"--timesteps {timesteps}: {run.folder} has gone {done} steps already; give more")
        if run.info.get("versions", {}) != versions():
            _log.warning("%s began with other versions of its packages: it goes on, but not bit for bit", run.folder)
        trainable = build_trainable(check_config(config))
        return _trained(run.folder, config, trainable, kept, progress_bar, callback, (run.info, checkpoint))


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
    kept: KeptWarnings,
    progress_bar: bool,
    callback: BaseCallback | None,
    resumed: tuple[Mapping[str, Any], Checkpoint] | None = None,
) -> RunResult:
    info, checkpoint = resumed or (None, None)
    kept.step = trainable.steps_done
    with recording_run(folder, config, str(get_device(config.device)), info) as found:
        seconds = found["seconds"]
        kept.entries[:0] = _earlier_warnings(info)
        found["warnings"] = kept.entries
        try:
            with _timed(seconds, "train"):
                trainable.learn(folder, progress_bar, callback, checkpoint)
        except KeyboardInterrupt:
            trainable.save(folder)
            raise
        trainable.save(folder)
        with _timed(seconds, "evaluate"):
            shown = trainable.demonstrations
            yardstick = None if shown is None else measure_yardstick(config, shown)
            evaluation, lengths = evaluate_run_policy(config, trainable.policy(), yardstick=yardstick)
        warning = _warning(trainable, evaluation, lengths)
        if warning is not None:
            kept.add(warning, "episode lengths")
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
) -> tuple[Evaluation, np.ndarray]:
    """Evaluate a policy in a run's environment, normalised where the catalog or a yardstick says by what.

    Args:
        config: the run's settings.
        policy: what to evaluate.
        episodes: instead of ``config.evaluation.episodes``.
        seed: instead of ``config.evaluation.seed``.
        yardstick: of the run.

    Returns:
        The evaluation, and the episodes' lengths.
    """
    check_env(config.env)  # one that Gymnasium knows: from "module:Id" it would import whatever the settings name
    episodes = config.evaluation.episodes if episodes is None else episodes
    seed = config.evaluation.seed if seed is None else seed
    statistics = evaluate_returns(policy, config.env, episodes, seed=seed, env_kwargs=config.env_kwargs)
    return summarize_episodes(statistics, seed=seed, references=references_for(config, yardstick)), statistics.lengths


def _warning(trainable: Trainable, evaluation: Evaluation, lengths: np.ndarray) -> str | None:
    sign, demonstrations = trainable.reward_sign(), trainable.demonstrations
    if sign is None or demonstrations is None:
        return None
    shown = np.array([len(trajectory) for trajectory in demonstrations])
    sentences = [
        length_bias_warning(np.append(lengths, shown), sign),
        early_end_warning(lengths, shown, evaluation.normalized, sign),
    ]
    return " ".join(filter(None, sentences)) or None


def _earlier_warnings(info: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Those that a run had before it was resumed."""
    earlier = (info or {}).get("warnings")
    return [entry for entry in earlier if isinstance(entry, dict)] if isinstance(earlier, list) else []


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = round(time.perf_counter() - start, 3)
