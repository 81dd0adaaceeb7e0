"""Imitation without an adversary: a Stable-Baselines3 off-policy generator and demonstrations that it replays."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback

from ganq_irl.algorithms.expert_replay import ExpertReplay
from ganq_irl.algorithms.iq_reward import SoftQReward
from ganq_irl.errors import StorageError, UnsupportedGenerator
from ganq_irl.generators.checks import check_generator
from ganq_irl.generators.spaces import demonstrated_spaces
from ganq_irl.generators.state import generator_state, load_generator_state
from ganq_irl.storage import flatten_state, load_folder, save_folder, unflatten_state
from ganq_irl_demos import Demonstrations, load_demonstrations, require_valid

_SCHEMA = 1


class OffPolicyImitation(ABC):
    """A generator that learns from demonstrations in its own replay, in one ``learn()`` per run.

    The environment's reward never reaches it. Subclasses say what is learned, through ``_installed``.

    Args:
        generator: an SB3 off-policy algorithm with its environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        expert_reward: what the demonstrated transitions are stored with.
        seed: of the draws from the demonstrations; the generator has its own.
    """

    name: ClassVar[str]
    generator: OffPolicyAlgorithm

    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, *, expert_reward: float, seed: int) -> None:
        self.generator = self._checked(generator)
        loaded = _load(generator, demonstrations)
        self.demonstrations_checksum = loaded.checksum
        self.expert = ExpertReplay(self.generator, loaded, reward=expert_reward, seed=seed)
        self.seed = seed

    def _checked(self, generator: BaseAlgorithm) -> OffPolicyAlgorithm:
        if not isinstance(generator, OffPolicyAlgorithm):
            raise UnsupportedGenerator(
                f"{type(generator).__name__} keeps no replay that {self.name} could mix demonstrations into; "
                "use an off-policy generator: sac for continuous actions, dqn for discrete ones"
            )
        check_generator(generator, batch_size=1)
        return generator

    @abstractmethod
    def _installed(self) -> AbstractContextManager[None]:
        """While it is entered, the generator learns from the demonstrations."""

    # The generator, as any SB3 algorithm shows itself.

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
        """The generator's action, as SB3's ``predict``."""
        return self.generator.predict(observation, state, episode_start, deterministic)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 4,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train; the arguments are those of SB3's ``learn``, of which there is exactly one call.

        Raises:
            TrainingDiverged: a loss is no longer finite.
        """
        if total_timesteps <= self.generator.learning_starts:
            warnings.warn(
                f"learn({total_timesteps}) ends before the generator's learning_starts={self.generator.learning_starts}: "
                "nothing is trained; learn for longer, or lower learning_starts",
                stacklevel=2,
            )
        with self._installed():
            self.generator.learn(
                total_timesteps,
                callback=callback,
                log_interval=log_interval,
                tb_log_name=tb_log_name or self.name.upper(),
                reset_num_timesteps=reset_num_timesteps,
                progress_bar=progress_bar,
            )
        return self

    def recovered_reward(self) -> SoftQReward | None:
        """The reward that was learned; None where none is."""
        return None

    def save(self, folder: str | Path) -> None:
        """Write everything that learning changed as JSON and safetensors, atomically: generator, statistics, draws.

        Replay buffers, and the environments' states, are not part of it.
        """
        skeleton, tensors = flatten_state(self._state_dict())
        config = {"schema": _SCHEMA, "algorithm": self.name, "generator": type(self.generator).__name__, "state": skeleton}
        save_folder(Path(folder), config, tensors)

    @classmethod
    def load(cls, folder: str | Path, generator: BaseAlgorithm, demonstrations: Any, **options: Any) -> Self:
        """Restore what ``save`` wrote into an algorithm made of the same kind of generator, demonstrations and options.

        Raises:
            StorageError: the folder is altered, of another algorithm, or does not fit the generator and options given.
        """
        config, tensors = load_folder(Path(folder), device=generator.device)
        if config.get("schema") != _SCHEMA:
            raise StorageError(
                f"{folder} has schema {config.get('schema')!r}, this version reads {_SCHEMA}; update ganq-irl"
            )
        for what, given in (("algorithm", cls.name), ("generator", type(generator).__name__)):
            if config.get(what) != given:
                raise StorageError(f"{folder} was saved with the {what} {config.get(what)!r}, given {given!r}")
        loaded = cls(generator, demonstrations, **options)
        try:
            loaded._load_state_dict(unflatten_state(config["state"], tensors))
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise StorageError(f"{folder} does not fit the generator and options given: {error}") from error
        return loaded

    def _state_dict(self) -> dict[str, Any]:
        return {"generator": generator_state(self.generator), "expert": self.expert.state_dict()}

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        load_generator_state(self.generator, state["generator"])
        self.expert.load_state_dict(state["expert"])


def _load(generator: BaseAlgorithm, demonstrations: Any) -> Demonstrations:
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
    )
    require_valid(loaded, observation_space=observation_space, action_space=action_space)
    return loaded
