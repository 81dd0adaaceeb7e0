"""One run: settings -> environment -> demonstrations -> generator -> algorithm -> one ``learn()`` -> run directory."""

from __future__ import annotations

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

from ganq_irl.environments.lookup import check_env
from ganq_irl.errors import RunDirectoryError
from ganq_irl.evaluation import Evaluation, evaluate_returns, length_bias_warning, summarize
from ganq_irl.experiment.checkpoints import Checkpoint, CheckpointStore
from ganq_irl.experiment.checks import check_config
from ganq_irl.experiment.config import ExperimentConfig
from ganq_irl.experiment.learners import Learner, build_learner
from ganq_irl.experiment.run_directory import (
    CHECKPOINTS,
    CONFIG,
    EVALUATION,
    default_folder,
    load_run,
    recording_run,
    versions,
    write_json,
)
from ganq_irl.files import locked, require_vacant
from ganq_irl.generators.policy_store import StoredPolicy

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a run ended with.

    Attributes:
        folder: the run directory.
        config: its resolved settings.
        evaluation: the true return of the final policy.
        warning: a sentence on what could explain the score other than imitation, or None.
    """

    folder: Path
    config: ExperimentConfig
    evaluation: Evaluation
    warning: str | None


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
    learner = build_learner(config)
    with locked(folder):
        require_vacant(folder)  # another process may have begun while this one was building
        return _trained(folder, config, learner, progress_bar, callback)


def resume_experiment(folder: Path | str, *, progress_bar: bool = True, callback: BaseCallback | None = None) -> RunResult:
    """Go on with a run from its newest checkpoint that is whole, to the end that its settings ask for.

    On a CPU, with the versions that began it, the run ends as if it had never stopped, bit for bit.

    Args:
        folder: the run directory.
        progress_bar: show one on stderr.
        callback: as in ``run_experiment``; the checkpoint gives it the state that it had.

    Raises:
        RunDirectoryError: it is none, its run is finished, it holds no checkpoint, or another process is training in it.
        GanqIrlError: settings, demonstrations or environment are no longer what they were.
    """
    run = load_run(folder)
    if run.info.get("status") == "finished":
        raise RunDirectoryError(f"{run.folder} is finished; train another with --config {run.folder / CONFIG}")
    with locked(run.folder):
        checkpoint = CheckpointStore(run.folder / CHECKPOINTS).newest()
        if run.info.get("versions", {}) != versions():
            _log.warning("%s began with other versions of its packages: it goes on, but not bit for bit", run.folder)
        learner = build_learner(check_config(run.config))
        return _trained(run.folder, run.config, learner, progress_bar, callback, (run.info, checkpoint))


def _trained(
    folder: Path,
    config: ExperimentConfig,
    learner: Learner,
    progress_bar: bool,
    callback: BaseCallback | None,
    resumed: tuple[Mapping[str, Any], Checkpoint] | None = None,
) -> RunResult:
    info, checkpoint = resumed or (None, None)
    with recording_run(folder, config, str(get_device(config.device)), info) as seconds:
        try:
            with _timed(seconds, "train"):
                learner.learn(folder, progress_bar, callback, checkpoint)
        except KeyboardInterrupt:
            learner.save(folder)
            raise
        learner.save(folder)
        with _timed(seconds, "evaluate"):
            evaluation, lengths = evaluate_run_policy(config, learner.policy())
        warning = _warning(learner, lengths)
        write_json(folder / EVALUATION, evaluation.to_json() | {"warning": warning})
    return RunResult(folder, config, evaluation, warning)


def evaluate_run_policy(
    config: ExperimentConfig, policy: StoredPolicy, *, episodes: int | None = None, seed: int | None = None
) -> tuple[Evaluation, np.ndarray]:
    """Evaluate a policy in a run's environment, normalised where the catalog knows the environment.

    Args:
        config: the run's settings.
        policy: what to evaluate.
        episodes: instead of ``config.evaluation.episodes``.
        seed: instead of ``config.evaluation.seed``.

    Returns:
        The evaluation, and the episodes' lengths.
    """
    from ganq_irl_demos.catalog import reference_returns

    check_env(config.env)  # one that Gymnasium knows: from "module:Id" it would import whatever the settings name
    episodes = config.evaluation.episodes if episodes is None else episodes
    seed = config.evaluation.seed if seed is None else seed
    statistics = evaluate_returns(policy, config.env, episodes, seed=seed, env_kwargs=config.env_kwargs)
    # Returns of an environment that was altered by keywords are on another scale.
    references = None if config.env_kwargs else reference_returns(config.env)
    return summarize(statistics, seed=seed, references=references), statistics.lengths


def _warning(learner: Learner, lengths: np.ndarray) -> str | None:
    sign = learner.reward_sign()
    return None if sign is None else length_bias_warning(np.append(lengths, learner.demonstration_lengths()), sign)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = round(time.perf_counter() - start, 3)
