"""Base class for imitation algorithms that train a generator."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback

from ganq_irl.algorithms.settings import Settings, as_callbacks
from ganq_irl.errors import ConfigurationError, StorageError, nearest
from ganq_irl.generators.callbacks import FiniteObservations
from ganq_irl.generators.checks import check_is_generator
from ganq_irl.generators.observations import demonstrated_spaces
from ganq_irl.spaces import in_layout_of
from ganq_irl.storage import flatten_state, load_folder, save_folder, unflatten_state
from ganq_irl.types import Batch
from ganq_irl_demos import Demonstrations, load_demonstrations, require_valid

_SCHEMA = 1


class GeneratorImitation(ABC):
    """A Stable-Baselines3 generator that learns from demonstrations, with one ``learn()`` per run.

    The generator never sees the environment's reward. A subclass defines a settings class, whose fields are the keywords of
    its constructor (``takes_settings``), ``_build``, ``_installed`` for training, and ``_state_dict`` for saving.

    Attributes:
        modes: settings class of each mode; all algorithms have the mode ``default``.
        settings: the settings of this object.
    """

    name: ClassVar[str]
    modes: ClassVar[Mapping[str, type[Settings]]]
    settings: Settings
    generator: BaseAlgorithm
    demonstrations_checksum: str | None

    @abstractmethod
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, **keywords: Any) -> None: ...

    @abstractmethod
    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: Any) -> None:
        """Build everything that training needs; called by the constructor."""

    @classmethod
    def settings_from(cls, keywords: Mapping[str, Any]) -> Settings:
        """Return the settings for these keywords. ``mode`` chooses the defaults of the others.

        Raises:
            ConfigurationError: the mode is unknown, or a value has the wrong type or is out of range.
            TypeError: the algorithm has no such keyword.
        """
        mode = keywords.get("mode", "default")
        if not isinstance(mode, str) or mode not in cls.modes:
            raise ConfigurationError(f"mode: unknown {mode!r} for {cls.name}; {nearest(str(mode), cls.modes)}")
        return cls.modes[mode](**keywords)

    @abstractmethod
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> AbstractContextManager[BaseCallback]:
        """Return a context in which the generator learns from the demonstrations.

        It yields the callback for the generator's ``learn``, which also calls the other callbacks.
        """

    @abstractmethod
    def _state_dict(self) -> dict[str, Any]:
        """Return everything that training changes."""

    @abstractmethod
    def _load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of ``_state_dict``."""

    def __repr__(self) -> str:
        """Show the generator, the environment, and the number of training steps."""
        made = self._provenance()
        told = {"generator": made["generator"], "env": made["env"], "timesteps": made["timesteps"], **self._repr_details()}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    def _repr_details(self) -> dict[str, Any]:
        """Return what ``repr`` shows in addition to generator and environment."""
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
        """Return the generator's action, like SB3's ``predict``."""
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
        """Train. The arguments are those of SB3's ``learn``, which is called exactly once.

        Afterwards, also after an exception, the generator is a plain SB3 model again: ``generator.learn()`` continues with
        the environment's rewards, which the replay buffer holds for every transition. To continue with the learned reward,
        call ``learn`` here again with ``reset_num_timesteps=False``, or wrap the environment in a ``VecRewardWrapper``.

        Raises:
            TrainingDiverged: a loss or a reward is no longer finite.
            EnvironmentFailed: an observation is not finite.
        """
        learning_starts = getattr(self.generator, "learning_starts", 0)
        if total_timesteps <= learning_starts:
            warnings.warn(
                f"learn({total_timesteps}) ends before the generator's learning_starts={learning_starts}, so nothing is "
                "trained; train for longer, or lower learning_starts",
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
        """Write everything that training changes as JSON and safetensors, atomically.

        Replay and rollout buffers, and the states of the environments, are not saved.
        """
        skeleton, tensors = flatten_state(self._state_dict())
        config = {"schema": _SCHEMA, "algorithm": self.name, "generator": type(self.generator).__name__, "state": skeleton}
        save_folder(Path(folder), config, tensors)

    @classmethod
    def load(cls, folder: str | Path, generator: BaseAlgorithm, demonstrations: Any, **settings: Any) -> Self:
        """Load a folder written by ``save`` into an algorithm with the same kind of generator, demonstrations and settings.

        Raises:
            StorageError: the folder was altered, is of another algorithm, or does not match the generator and settings.
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
            raise StorageError(f"{folder} does not match the generator and settings: {error}") from error
        return loaded


def demonstrations_for(generator: BaseAlgorithm, demonstrations: Any, needs: Sequence[str]) -> Demonstrations:
    """Load demonstrations for a generator's environment, and check them against its spaces.

    Args:
        generator: the generator, with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        needs: which of ``OPTIONAL_FIELDS`` the algorithm learns from; demonstrations that lack them are refused.

    Raises:
        GanqIrlError: demonstrations cannot be read, are invalid, or are from another environment.
    """
    env = generator.get_env()
    assert env is not None
    observation_space, action_space = demonstrated_spaces(env)
    # imitation's objects do not tell truncation from termination, but the environment's ID does. Demonstrations with an ID
    # may come from another version of the environment, as long as the spaces agree.
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


def batch_for(generator: BaseAlgorithm, demonstrations: Demonstrations) -> Batch:
    """Return all transitions on the generator's device, with images as the generator sees them."""
    batch = demonstrations.to_batch(generator.device)
    here, following = (
        in_layout_of(generator.observation_space, each) for each in (batch.observations, batch.next_observations)
    )
    return replace(batch, observations=here, next_observations=following)
