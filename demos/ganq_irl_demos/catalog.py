"""Catalog of the included demonstrations: their files, their returns, and the commands that made them."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class CatalogEntry:
    """An entry of the catalog.

    Attributes:
        name: name for ``load_demonstrations`` and ``--demos``.
        env_ids: Gymnasium IDs of the environment, several if its version differs between releases of Gymnasium.
        file: path of the data; it may be absent from a checkout without data.
        n_episodes: episodes in the file.
        expert_return: mean and standard deviation of the episodes' returns.
        random_return: mean and standard deviation for uniformly random actions.
        horizon: time limit of the environment in steps.
        requires: the extra of ganq-irl that the environment needs, or "".
        commands: shell commands that train the expert and record the episodes.
        description: one line of text.

    Example:
        >>> entry = catalog()["cartpole"]
        >>> entry.n_episodes, entry.env_id
        (20, 'CartPole-v1')
    """

    name: str
    env_ids: tuple[str, ...]
    file: Path
    n_episodes: int
    expert_return: tuple[float, float]
    random_return: tuple[float, float]
    horizon: int
    requires: str
    commands: tuple[str, ...]
    description: str

    @property
    def env_id(self) -> str:
        """Return the id that is registered in the installed Gymnasium, or the first one if none is."""
        import gymnasium as gym

        return next((env_id for env_id in self.env_ids if env_id in gym.registry), self.env_ids[0])


def catalog() -> dict[str, CatalogEntry]:
    """Return all entries by name. Only the TOML file is read.

    Example:
        >>> "pendulum" in catalog()
        True
    """
    return {entry.name: entry for entry in _entries()}


def reference_returns(env_id: str) -> tuple[float, float] | None:
    """Return the mean returns of the random policy and the expert, the 0 and 1 of a normalized score, or None.

    Example:
        >>> reference_returns("CartPole-v1")
        (23.7, 500.0)
    """
    for entry in _entries():
        if any(same_environment(env_id, known) for known in entry.env_ids):
            return entry.random_return[0], entry.expert_return[0]
    return None


def same_environment(first: str, second: str) -> bool:
    """Return whether two IDs name the same task: equal up to ``module:``, or in one entry (LunarLander v2 and v3)."""
    first, second = (env_id.rpartition(":")[2] for env_id in (first, second))
    return first == second or any(first in entry.env_ids and second in entry.env_ids for entry in _entries())


@functools.cache
def _entries() -> tuple[CatalogEntry, ...]:
    tables = tomllib.loads((ROOT / "catalog.toml").read_text(encoding="utf-8"))
    return tuple(
        CatalogEntry(
            name=name,
            env_ids=tuple(table["env_ids"]),
            file=ROOT / "data" / table["file"],
            n_episodes=table["n_episodes"],
            expert_return=(table["expert_return"]["mean"], table["expert_return"]["std"]),
            random_return=(table["random_return"]["mean"], table["random_return"]["std"]),
            horizon=table["horizon"],
            requires=table["requires"],
            commands=tuple(table["commands"]),
            description=table["description"],
        )
        for name, table in tables.items()
    )
