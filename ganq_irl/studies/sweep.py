"""A search for hyperparameters with Optuna: a trial is one method's cells of a grid with sampled settings."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomli_w
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from ganq_irl.errors import ConfigurationError, GanqIrlError, MissingDependency, RunDirectoryError, usable_path
from ganq_irl.evaluation import normalized_score
from ganq_irl.files import read_toml, replace_file, require_own, require_plain
from ganq_irl.runs.config import merged
from ganq_irl.runs.resolve import parse_assignment
from ganq_irl.runs.runner import run_experiment
from ganq_irl.studies.grid import Cell, make_cells
from ganq_irl.studies.spec import GridConfig, parse_grid

if TYPE_CHECKING:
    import optuna

STUDY, SWEEP_FILE, JOURNAL, TRIALS = "ganq-irl", "sweep.toml", "journal.log", "trials"
WARM_UP = 5
"""Evaluations that a trial has before it can be given up."""
_BOUNDS = {"low", "high", "log", "step"}


@dataclass(frozen=True)
class SweepConfig:
    """What is searched, and how a candidate is judged.

    Attributes:
        grid: one method; its environments, numbers of demonstrations and seeds are what each trial runs.
        search: dotted key of a run's settings -> its choices, a list, or a range: ``{low, high}``, with ``log = true`` for
            orders of magnitude or ``step``; whole numbers where both ends are.
    """

    grid: GridConfig
    search: Mapping[str, Any]

    def to_toml(self) -> str:
        """The request as TOML."""
        return f"{self.grid.to_toml()}\n{tomli_w.dumps({'search': dict(self.search)})}"


def resolve_sweep(
    flags: Mapping[str, Any], *, assignments: Iterable[str] = (), file: Path | str | None = None
) -> SweepConfig:
    """Put the sources of a request together: flags over ``--set`` over file.

    Raises:
        ConfigurationError: a key is unknown, there is not exactly one method, or a range is none.
    """
    given = read_toml(Path(file)) if file is not None else {}
    for assignment in assignments:
        given = merged(given, parse_assignment(assignment))
    given = merged(given, {key: value for key, value in flags.items() if value is not None})
    search = given.pop("search", None)
    if not isinstance(search, Mapping) or not search:
        raise ConfigurationError(
            'search: nothing to search; give a table such as [search] "generator_kwargs.learning_rate" = '
            "{ low = 1e-4, high = 1e-2, log = true }"
        )
    grid = parse_grid(given)
    if len(grid.algos) != 1 or grid.vary or "@" in grid.algos[0]:
        raise ConfigurationError(
            f"a sweep is of one method and varies nothing else; given {grid.algos}, vary {dict(grid.vary)}"
        )
    for key, space in search.items():
        _check_space(key, space)
    return SweepConfig(grid, dict(search))


def _check_space(key: str, space: Any) -> None:
    if isinstance(space, list) and space:
        return
    if isinstance(space, Mapping) and {"low", "high"} <= space.keys() <= _BOUNDS and space["low"] < space["high"]:
        return
    raise ConfigurationError(f"search.{key}: given {space!r}; expected a list of choices, or {{ low = 1, high = 8 }}")


def open_study(storage: str, seed: int = 0) -> optuna.Study:
    """The study in a storage, made where it is not there; several processes and machines may have it open.

    Args:
        storage: an RDB URL such as ``sqlite:///sweep.db``, or the path of a journal file.
        seed: of the sampler; another one for each process, or they would try the same.

    Raises:
        MissingDependency: Optuna is not installed.
    """
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
    except ModuleNotFoundError as error:
        raise MissingDependency("Optuna is not installed; install it with: pip install 'ganq-irl[sweep]'") from error
    kept: Any = storage
    if "://" not in storage:
        # Optuna's own lock is a symbolic link, which has no place in a folder that may come from anyone.
        kept = JournalStorage(JournalFileBackend(str(require_plain(storage)), JournalFileOpenLock(storage)))
    # The first trials run to their end, and no trial is given up on its first evaluations, which are noise.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=WARM_UP)
    sampler = optuna.samplers.TPESampler(seed=seed)
    return optuna.create_study(
        storage=kept, study_name=STUDY, direction="maximize", load_if_exists=True, pruner=pruner, sampler=sampler
    )


def prepare_sweep(config: SweepConfig, folder: Path) -> None:
    """Write the request, or find it there.

    Raises:
        RunDirectoryError: the folder is that of another sweep, or holds something else.
        GanqIrlError: the settings do not fit together.
    """
    make_cells(config.grid)
    path = require_own(usable_path(folder)) / SWEEP_FILE
    if path.is_file():
        if path.read_text(encoding="utf-8") != config.to_toml():
            raise RunDirectoryError(f"{folder} is of a sweep with other settings; give its own, or another --out")
    elif folder.exists() and any(folder.iterdir()):
        raise RunDirectoryError(f"{folder} is not empty; choose another --out, or move it away")
    replace_file(path, config.to_toml().encode())


def run_trials(config: SweepConfig, folder: Path, storage: str, n_trials: int, seed: int = 0) -> None:
    """Run trials in this process until the study has ``n_trials`` that ended, whoever ran them.

    A trial that raises is recorded as failed and does not stop the rest. One that was killed stays "running" in the study
    and counts for nothing.
    """
    from optuna.study import MaxTrialsCallback
    from optuna.trial import TrialState

    ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    study = open_study(storage, seed)
    if len(study.get_trials(deepcopy=False, states=ended)) < n_trials:
        limit = MaxTrialsCallback(n_trials, states=ended)
        study.optimize(lambda trial: _score(config, folder, trial), callbacks=[limit], catch=(Exception,))


def _score(config: SweepConfig, folder: Path, trial: optuna.Trial) -> float:
    settings: dict[str, Any] = {}
    for key, space in config.search.items():
        settings = merged(settings, parse_nested(key, _suggest(trial, key, space)))
    method = config.grid.algos[0]
    own = merged(config.grid.methods.get(method, {}), settings)
    try:
        scores: list[float] = []
        for cell in make_cells(dataclasses.replace(config.grid, methods={**config.grid.methods, method: own})):
            run = folder / TRIALS / str(trial.number) / cell.path
            result = run_experiment(cell.config, run, progress_bar=False, callback=_Watch(trial, cell, scores))
            scores.append(_judged(cell, result.evaluation.mean_return))
    except GanqIrlError as error:
        trial.set_user_attr("error", str(error))
        raise
    return float(np.mean(scores))


def _suggest(trial: optuna.Trial, key: str, space: Any) -> Any:
    if isinstance(space, list):
        return json.loads(trial.suggest_categorical(key, [json.dumps(choice) for choice in space]))  # lists and tables too
    low, high, log, step = space["low"], space["high"], space.get("log", False), space.get("step")
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=log, step=step or 1)
    return trial.suggest_float(key, low, high, log=log, step=step)


def parse_nested(key: str, value: Any) -> dict[str, Any]:
    """``a.b`` and a value as nested tables."""
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


def _judged(cell: Cell, mean_return: float) -> float:
    """A return between random and expert where those are known, so that environments weigh the same."""
    from ganq_irl_demos import reference_returns

    references = None if cell.config.env_kwargs else reference_returns(cell.env)
    return mean_return if references is None else normalized_score(mean_return, *references)


class _Watch(BaseCallback):
    """Report every evaluation of a trial's run, and end the run where the pruner gives it up."""

    def __init__(self, trial: optuna.Trial, cell: Cell, earlier: list[float]) -> None:
        super().__init__()
        self.trial, self.cell, self.earlier = trial, cell, list(earlier)
        self.n_seen = 0

    def _on_training_start(self) -> None:
        self.logger.output_formats.append(_Listener(self))

    def _on_step(self) -> bool:
        return True

    def seen(self, mean_return: float) -> None:
        """An evaluation came in."""
        import optuna

        value = float(np.mean([*self.earlier, _judged(self.cell, mean_return)]))
        self.trial.report(value, len(self.earlier) * 1000 + self.n_seen)
        self.n_seen += 1
        if self.trial.should_prune():
            raise optuna.TrialPruned


class _Listener(KVWriter):
    """Hears what the run's logger writes."""

    def __init__(self, watch: _Watch) -> None:
        self.watch = watch

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        if "eval/mean_reward" in key_values:
            self.watch.seen(float(key_values["eval/mean_reward"]))

    def close(self) -> None:
        """Nothing is held open."""


def best_trial(storage: str) -> dict[str, Any]:
    """The best trial so far, as plain values: its number, score and settings, and how many trials ended in which way.

    Raises:
        ConfigurationError: no trial has ended well; with what the last one that failed said.
    """
    study = open_study(storage)
    trials = study.get_trials(deepcopy=False)
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.state.name.lower()] = counts.get(trial.state.name.lower(), 0) + 1
    if "complete" not in counts:
        errors = [trial.user_attrs["error"] for trial in trials if "error" in trial.user_attrs]
        raise ConfigurationError(f"no trial has ended well ({counts}){'; the last one: ' + errors[-1] if errors else ''}")
    best = study.best_trial
    return {"trial": best.number, "score": best.value, "settings": dict(best.params), "trials": counts}
