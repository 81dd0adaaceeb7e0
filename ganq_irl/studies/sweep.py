"""Hyperparameter search with Optuna. A trial runs the grid of one method with sampled settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from ganq_irl.errors import ConfigurationError, RunDirectoryError, needed, usable_path
from ganq_irl.files import replace_file, require_own, require_plain, require_vacant
from ganq_irl.runs.resolve import gather_settings
from ganq_irl.studies.grid import make_cells
from ganq_irl.studies.spec import GridConfig, parse_grid

if TYPE_CHECKING:
    import optuna

STUDY, SWEEP_FILE, JOURNAL, TRIALS = "ganq-irl", "sweep.toml", "journal.log", "trials"
WARM_UP = 5
"""Evaluations before a trial can be pruned."""
_BOUNDS = {"low", "high", "log", "step"}


@dataclass(frozen=True)
class SweepConfig:
    """The search space, and the grid that scores a candidate.

    Attributes:
        grid: a grid of one method; each trial runs all its environments, numbers of demonstrations and seeds.
        search: dotted key of a run's settings -> a list of choices, or a range ``{low, high}`` with optional ``log = true``
            or ``step``. A range with integer bounds samples integers.
    """

    grid: GridConfig
    search: Mapping[str, Any]

    def to_toml(self) -> str:
        """Return the request as TOML."""
        return f"{self.grid.to_toml()}\n{tomli_w.dumps({'search': dict(self.search)})}"


def resolve_sweep(
    flags: Mapping[str, Any], *, assignments: Iterable[str] = (), file: Path | str | None = None
) -> SweepConfig:
    """Combine the sources of a request: flags over ``--set`` over file.

    Raises:
        ConfigurationError: a key is unknown, there is not exactly one method, or a range is malformed.
    """
    given = gather_settings(flags, assignments, file)
    search = given.pop("search", None)
    if not isinstance(search, Mapping) or not search:
        raise ConfigurationError(
            'search: nothing to search; give a table such as [search] "generator_kwargs.learning_rate" = '
            "{ low = 1e-4, high = 1e-2, log = true }",
            page="how_to/compare",
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
    """Open the study in a storage, or create it; several processes and machines may have it open.

    Args:
        storage: an RDB URL such as ``sqlite:///sweep.db``, or the path of a journal file.
        seed: of the sampler; each process needs its own, or all try the same settings.

    Raises:
        MissingDependency: Optuna is not installed.
    """
    optuna = needed("optuna", "sweep", "a sweep")
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage

    opened: Any = storage
    if "://" not in storage:
        # Optuna's default lock is a symbolic link, which ``require_plain`` refuses in a folder of ours.
        opened = JournalStorage(JournalFileBackend(str(require_plain(storage)), JournalFileOpenLock(storage)))
    # The first trials run to the end, and first evaluations, which are noise, prune no trial.
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=WARM_UP)
    sampler = optuna.samplers.TPESampler(seed=seed)
    return optuna.create_study(
        storage=opened, study_name=STUDY, direction="maximize", load_if_exists=True, pruner=pruner, sampler=sampler
    )


def prepare_sweep(config: SweepConfig, folder: Path) -> None:
    """Write the request to a folder, or check that the folder holds the same request.

    Raises:
        RunDirectoryError: the folder belongs to another sweep, or holds something else.
        GanqIrlError: the settings do not fit together.
    """
    make_cells(config.grid)
    path = require_own(usable_path(folder)) / SWEEP_FILE
    if path.is_file():
        if path.read_text(encoding="utf-8") != config.to_toml():
            raise RunDirectoryError(f"{folder} holds a sweep with other settings; give the same settings, or another --out")
    else:
        require_vacant(folder)
    replace_file(path, config.to_toml().encode())


def best_trial(storage: str) -> dict[str, Any]:
    """Return the best trial so far: its number, score and settings, and the number of trials in each state.

    Raises:
        ConfigurationError: no trial is complete; the message quotes the last error.
    """
    study = open_study(storage)
    trials = study.get_trials(deepcopy=False)
    counts: dict[str, int] = {}
    for trial in trials:
        counts[trial.state.name.lower()] = counts.get(trial.state.name.lower(), 0) + 1
    if "complete" not in counts:
        errors = [trial.user_attrs["error"] for trial in trials if "error" in trial.user_attrs]
        raise ConfigurationError(f"no trial is complete ({counts}){'; the last error: ' + errors[-1] if errors else ''}")
    best = study.best_trial
    return {"trial": best.number, "score": best.value, "settings": dict(best.params), "trials": counts}
