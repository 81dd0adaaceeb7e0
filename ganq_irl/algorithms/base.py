"""Base class for imitation algorithms that train a generator."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback

from ganq_irl.algorithms.settings import Settings, as_callbacks
from ganq_irl.errors import ConfigurationError, StorageError, nearest
from ganq_irl.generators.checks import check_is_generator
from ganq_irl.generators.finite import FiniteObservations
from ganq_irl.generators.spaces import demonstrated_spaces
from ganq_irl.storage import flatten_state, load_folder, save_folder, unflatten_state
from ganq_irl_demos import Demonstrations, load_demonstrations, require_valid

_SCHEMA = 1


class GeneratorImitation(ABC):
    """A Stable-Baselines3 generator that learns from demonstrations, in one ``learn()`` per run.

    The environment's reward never reaches the generator. A subclass has a settings class, whose fields its constructor takes
    as keywords (``takes``), ``_build``, ``_installed`` for what is learned, and ``_state_dict`` for what is saved.

    Attributes:
        modes: the settings class of each mode; all algorithms have the mode ``default``.
        settings: the settings of this object.
    """

    name: ClassVar[str]
    modes: ClassVar[Mapping[str, type[Settings]]]
    settings: Settings
    generator: BaseAlgorithm
    demonstrations_checksum: str

    @abstractmethod
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, **keywords: Any) -> None: ...

    @abstractmethod
    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: Any) -> None:
        """Make everything that learning needs; the constructor calls it."""

    @classmethod
    def settings_from(cls, keywords: Mapping[str, Any]) -> Settings:
        """Return the settings for these keywords. A ``mode`` chooses the defaults of the others.

        Raises:
            ConfigurationError: the mode is unknown, or a value has the wrong type or lies outside of its range.
            TypeError: a keyword is none of the algorithm's.
        """
        mode = keywords.get("mode", "default")
        if not isinstance(mode, str) or mode not in cls.modes:
            raise ConfigurationError(f"mode: unknown {mode!r} for {cls.name}; {nearest(str(mode), cls.modes)}")
        return cls.modes[mode](**keywords)

    @abstractmethod
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> AbstractContextManager[BaseCallback]:
        """Return a context within which the generator learns from the demonstrations.

        Gives the one callback that its ``learn`` needs for this, which calls the others as well.
        """

    @abstractmethod
    def _state_dict(self) -> dict[str, Any]:
        """Return everything that learning changes."""

    @abstractmethod
    def _load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``_state_dict`` gave."""

    def __repr__(self) -> str:
        """Show the generator, the environment, and how long it was trained."""
        made = self._provenance()
        told = {"generator": made["generator"], "env": made["env"], "timesteps": made["timesteps"], **self._told()}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def _told(self) -> dict[str, Any]:
        """Return what to show beside generator and environment."""
        return {}

    @property
    def policy(self) -> BasePolicy:
        """The generator's policy."""
        return self.generator.policy

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return the generator's action, as SB3's ``predict`` does."""
        return self.generator.predict(observation, state, episode_start, deterministic)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train; the arguments are those of SB3's ``learn``, of which there is exactly one call.

        Afterwards, also after an exception, the generator is a plain SB3 model again: ``generator.learn()`` goes on with the
        environment's own reward, which the replay buffer holds for every transition. To go on with the learned reward, call
        ``learn`` here again with ``reset_num_timesteps=False``, or wrap the environment in a ``VecRewardWrapper``.

        Raises:
            TrainingDiverged: a loss or a reward is no longer finite.
            EnvironmentFailed: an observation is not finite.
        """
        learning_starts = getattr(self.generator, "learning_starts", 0)
        if total_timesteps <= learning_starts:
            warnings.warn(
                f"learn({total_timesteps}) ends before the generator's learning_starts={learning_starts}: "
                "nothing is trained; learn for longer, or lower learning_starts",
                stacklevel=2,
            )
        with self._installed([FiniteObservations(), *as_callbacks(callback)]) as combined:
            self.generator.learn(
                total_timesteps,
                callback=combined,
                log_interval=log_interval,
                tb_log_name=tb_log_name or self.name.upper(),
                reset_num_timesteps=reset_num_timesteps,
                progress_bar=progress_bar,
            )
        return self

    def _provenance(self) -> dict[str, Any]:
        """Return JSON that says how the policy and the reward were learned."""
        env = self.generator.get_env()
        spec = None if env is None else env.get_attr("spec")[0]
        return {
            "algorithm": self.name,
            "generator": type(self.generator).__name__,
            "env": None if spec is None else spec.id,
            "timesteps": int(self.generator.num_timesteps),
            "demonstrations_sha256": self.demonstrations_checksum,
            "seed": self.settings.seed,
        }

    def save(self, folder: str | Path) -> None:
        """Write everything that learning changed as JSON and safetensors, atomically.

        Replay and rollout buffers, and the environments' states, are not part of it.
        """
        skeleton, tensors = flatten_state(self._state_dict())
        config = {"schema": _SCHEMA, "algorithm": self.name, "generator": type(self.generator).__name__, "state": skeleton}
        save_folder(Path(folder), config, tensors)

    @classmethod
    def load(cls, folder: str | Path, generator: BaseAlgorithm, demonstrations: Any, **settings: Any) -> Self:
        """Restore what ``save`` wrote into an algorithm made of the same kind of generator, demonstrations and settings.

        Raises:
            StorageError: the folder is altered, of another algorithm, or does not fit the generator and settings given.
        """
        check_is_generator(generator)
        config, tensors = load_folder(Path(folder), device=generator.device)
        if config.get("schema") != _SCHEMA:
            raise StorageError(
                f"{folder} has schema {config.get('schema')!r}, this version reads {_SCHEMA}; update ganq-irl"
            )
        for what, given in (("algorithm", cls.name), ("generator", type(generator).__name__)):
            if config.get(what) != given:
                raise StorageError(f"{folder} was saved with the {what} {config.get(what)!r}, given {given!r}")
        loaded = cls(generator, demonstrations, **settings)
        try:
            loaded._load_state_dict(unflatten_state(config["state"], tensors))
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise StorageError(f"{folder} does not fit the generator and settings given: {error}") from error
        return loaded


def demonstrations_for(generator: BaseAlgorithm, demonstrations: Any, needs: Sequence[str]) -> Demonstrations:
    """Load demonstrations for a generator's environment, and check them against its spaces.

    Args:
        generator: with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        needs: what is learned from, of ``OPTIONAL_FIELDS``; demonstrations that lack it are refused.

    Raises:
        GanqIrlError: demonstrations that cannot be read, are not sound, or are of another environment.
    """
    env = generator.get_env()
    assert env is not None
    observation_space, action_space = demonstrated_spaces(env)
    # imitation's objects do not tell a time limit from a termination; the environment's id does. Demonstrations that
    # carry an id of their own may come from another version of the environment, if only the spaces agree.
    is_ours = isinstance(demonstrations, str | os.PathLike | Demonstrations)
    spec = None if is_ours else env.get_attr("spec")[0]
    loaded = load_demonstrations(
        demonstrations,
        observation_space=observation_space,
        action_space=action_space,
        env_id=spec.id if spec is not None else None,
        needs=needs,
    )
    require_valid(loaded, observation_space=observation_space, action_space=action_space)
    return loaded
