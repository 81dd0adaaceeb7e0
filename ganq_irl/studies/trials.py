"""The trials of a sweep: run in this process, in several, or on a Ray cluster. They share nothing but the storage."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.logger import KVWriter

from ganq_irl.errors import GanqIrlError
from ganq_irl.evaluation import normalized_score
from ganq_irl.runs.config import merged, nested
from ganq_irl.runs.runner import run_experiment
from ganq_irl.runs.stateful import StatefulCallback
from ganq_irl.studies.grid import Cell, make_cells
from ganq_irl.studies.ray_engine import connected_ray, submitter
from ganq_irl.studies.sweep import TRIALS, SweepConfig, open_study
from ganq_irl.studies.workers import run_tasks

if TYPE_CHECKING:
    import optuna


def run_sweep(
    config: SweepConfig,
    folder: Path,
    storage: str,
    n_trials: int,
    *,
    seed: int = 0,
    jobs: int = 1,
    engine: str = "local",
    gpus_per_run: float = 0.0,
) -> None:
    """Run trials until the study has ``n_trials`` that ended.

    Args:
        config: the request.
        folder: where the runs of the trials are written.
        storage: of the study, see ``open_study``.
        n_trials: trials in all, those of earlier starts included.
        seed: of the sampler; each process adds its number.
        jobs: number of processes.
        engine: ``local`` for processes of this machine, ``ray`` for those of a Ray cluster. There every node must see the
            folder and the storage.
        gpus_per_run: GPUs that Ray reserves for each process.

    Raises:
        MissingDependency: Optuna, or Ray, is not installed.
    """
    if engine == "ray":
        ray = connected_ray()
        submit = submitter(ray, gpus_per_run)
        ray.get([submit(task) for task in _searches(config, folder.resolve(), storage, n_trials, seed, jobs)])
    elif jobs == 1:
        run_trials(config, folder, storage, n_trials, seed)
    else:
        tasks = dict(enumerate(_searches(config, folder, storage, n_trials, seed, jobs)))
        for outcome in [outcome for _, outcome in run_tasks(tasks, jobs)]:
            outcome.result()  # raises only after all have ended: one that failed does not stop the others


def _searches(
    config: SweepConfig, folder: Path, storage: str, n_trials: int, seed: int, jobs: int
) -> list[Callable[[], None]]:
    return [partial(run_trials, config, folder, storage, n_trials, seed + worker) for worker in range(jobs)]


def run_trials(config: SweepConfig, folder: Path, storage: str, n_trials: int, seed: int = 0) -> None:
    """Run trials in this process until the study has ``n_trials`` that ended, in whichever process.

    A trial that raises is recorded as failed and does not stop the others. A trial whose process is killed stays "running"
    in the study and is not counted.
    """
    from optuna.study import MaxTrialsCallback
    from optuna.trial import TrialState

    ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    study = open_study(storage, seed)
    if len(study.get_trials(deepcopy=False, states=ended)) < n_trials:
        limit = MaxTrialsCallback(n_trials, states=ended)
        study.optimize(lambda trial: _score(config, folder, trial), callbacks=[limit], catch=(Exception,))


def _score(config: SweepConfig, folder: Path, trial: optuna.Trial) -> float:
    """Train and evaluate a trial's cells; return their mean score."""
    settings: dict[str, Any] = {}
    for key, space in config.search.items():
        settings = merged(settings, nested(key, _suggest(trial, key, space)))
    method = config.grid.algos[0]
    own = merged(config.grid.methods.get(method, {}), settings)
    try:
        scores: list[float] = []
        for cell in make_cells(dataclasses.replace(config.grid, methods={**config.grid.methods, method: own})):
            run = folder / TRIALS / str(trial.number) / cell.path
            result = run_experiment(cell.config, run, progress_bar=False, callback=_PruningCallback(trial, cell, scores))
            scores.append(_score_of(cell, result.evaluation.mean_return))
    except GanqIrlError as error:
        trial.set_user_attr("error", str(error))
        raise
    return float(np.mean(scores))


def _suggest(trial: optuna.Trial, key: str, space: Any) -> Any:
    if isinstance(space, list):  # of numbers and strings, or of lists and tables
        return json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in space]))
    low, high, log, step = space["low"], space["high"], space.get("log", False), space.get("step")
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=log, step=step or 1)
    return trial.suggest_float(key, low, high, log=log, step=step)


def _score_of(cell: Cell, mean_return: float) -> float:
    """Normalize a return by random and expert play if those are known, so that environments weigh the same."""
    from ganq_irl_demos import reference_returns

    references = None if cell.config.env_kwargs else reference_returns(cell.env)
    return mean_return if references is None else normalized_score(mean_return, *references)


class _PruningCallback(StatefulCallback):
    """Callback that reports every evaluation of a run to its trial, and ends the run if the pruner gives the trial up."""

    def __init__(self, trial: optuna.Trial, cell: Cell, earlier: list[float]) -> None:
        super().__init__()
        self.trial, self.cell, self.earlier = trial, cell, list(earlier)
        self.n_seen = 0

    def _on_training_start(self) -> None:
        self.logger.output_formats.append(_EvaluationListener(self))

    def report(self, mean_return: float) -> None:
        """Report an evaluation."""
        import optuna

        value = float(np.mean([*self.earlier, _score_of(self.cell, mean_return)]))
        self.trial.report(value, len(self.earlier) * 1000 + self.n_seen)
        self.n_seen += 1
        if self.trial.should_prune():
            raise optuna.TrialPruned


class _EvaluationListener(KVWriter):
    """Logger output that passes evaluations on to the callback."""

    def __init__(self, callback: _PruningCallback) -> None:
        self.callback = callback

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        if "eval/mean_reward" in key_values:
            self.callback.report(float(key_values["eval/mean_reward"]))

    def close(self) -> None:
        """Do nothing: there is no file to close."""
