"""Behavioral cloning with the imitation library: a baseline, and a warm start for generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from imitation.algorithms import bc as imitation_bc
from imitation.util.logger import HierarchicalLogger
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.policies import (
    ActorCriticCnnPolicy,
    ActorCriticPolicy,
    BasePolicy,
    MultiInputActorCriticPolicy,
)
from stable_baselines3.common.torch_layers import NatureCNN

from ganq_irl.algorithms.bc_losses import ActionLoss, check_clonable
from ganq_irl.algorithms.sampling import seeded_torch
from ganq_irl.algorithms.settings import Settings, takes_settings
from ganq_irl.errors import ConfigurationError, UnsupportedGenerator
from ganq_irl.generators.checks import check_is_generator
from ganq_irl.generators.observations import channels_first, demonstrated_spaces
from ganq_irl.generators.policies.acting import copy_to_targets
from ganq_irl.networks.extractors import default_extractor
from ganq_irl.progress import make_progress_bar
from ganq_irl.space_matrix import check_trains
from ganq_irl.spaces import in_layout_of
from ganq_irl_demos import Demonstrations, load_demonstrations, require_valid, to_imitation


@dataclass(frozen=True, kw_only=True)
class BCSettings(Settings):
    """Settings of BC.

    Attributes:
        seed: seed of the default policy and of the batches.
        policy: an SB3 policy to train in place; by default an actor-critic policy with two hidden layers of 64.
        device: device of the default policy.
        batch_size: transitions per update; at most the number of transitions.
        learning_rate: learning rate of Adam.
        l2_weight: weight of the parameters' squared norm.
        entropy_weight: weight of the policy's entropy; only for actor-critic policies.
    """

    policy: BasePolicy | None = None
    device: torch.device | str = "auto"
    batch_size: int = 64
    learning_rate: float = 1e-3
    l2_weight: float = 0.0
    entropy_weight: float = 1e-3


class BC:
    """Behavioral cloning: maximize the likelihood of the demonstrated actions, with imitation's implementation.

    Policies without a likelihood of their own, such as SAC's, TD3's and DQN's, are trained with ``ActionLoss``. Critics are
    not trained.

    Args:
        observation_space: observation space of the environment.
        action_space: action space of the environment.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``BCSettings``.

    Attributes:
        n_updates_done: number of optimizer steps so far.

    Raises:
        IncompatibleSpaces: the spaces are not supported.
        UnsupportedGenerator: the policy is of a kind that cannot be cloned into.
        GanqIrlError: the demonstrations do not match the spaces.

    Example:
        >>> bc = BC(env.observation_space, env.action_space, demos).train(n_updates=10)
        >>> action, _ = bc.predict(demos[0].observations[0])
        >>> bc.n_updates_done
        10
    """

    @takes_settings(BCSettings)
    def __init__(
        self, observation_space: spaces.Space, action_space: spaces.Space, demonstrations: Any, settings: BCSettings
    ) -> None:
        check_trains("bc", observation_space, action_space)
        if settings.policy is not None:
            check_clonable(settings.policy)
        demos = load_demonstrations(
            demonstrations, observation_space=observation_space, action_space=action_space, needs=["actions"]
        )
        require_valid(demos, observation_space=observation_space, action_space=action_space)
        self.settings = settings
        self.n_updates_done = 0
        self._random_state: torch.Tensor | None = None
        with seeded_torch(settings.seed):
            self._trainer = imitation_bc.BC(
                observation_space=channels_first(observation_space),
                action_space=action_space,
                rng=np.random.default_rng(settings.seed),
                policy=settings.policy or _default_policy(channels_first(observation_space), action_space),  # type: ignore[arg-type]
                demonstrations=_as_policies_take_them(demos),
                batch_size=min(settings.batch_size, demos.n_transitions),
                optimizer_kwargs={"lr": settings.learning_rate},
                ent_weight=settings.entropy_weight,
                l2_weight=settings.l2_weight,
                device=settings.device if settings.policy is None else settings.policy.device,
                custom_logger=HierarchicalLogger(Logger(folder=None, output_formats=[])),
            )
        if not isinstance(self.policy, ActorCriticPolicy):
            self._trainer.loss_calculator = ActionLoss(settings.l2_weight)  # type: ignore[assignment]

    @classmethod
    def settings_from(cls, keywords: Mapping[str, Any]) -> BCSettings:
        """Return the settings for these keywords.

        Raises:
            ConfigurationError: a value has the wrong type or is out of range.
        """
        return BCSettings(**keywords)

    def __repr__(self) -> str:
        """Show the policy and the number of updates."""
        return f"{type(self).__name__}({type(self.policy).__name__}, n_updates_done={self.n_updates_done})"

    def train(
        self, n_updates: int = 10_000, progress_bar: bool = False, on_epoch_end: Callable[[], None] | None = None
    ) -> Self:
        """Take ``n_updates`` steps of the optimizer, over the demonstrations in shuffled epochs.

        The number of updates does not depend on the number of demonstrations, so that few demonstrations are not
        undertrained.

        Args:
            n_updates: number of updates, in addition to earlier ones.
            progress_bar: show a progress bar on stderr.
            on_epoch_end: called between epochs; ``state_dict`` is complete then.
        """
        done, total = self.n_updates_done, self.n_updates_done + n_updates
        bar = make_progress_bar(initial=done, total=total, desc="bc", unit="update", disable=not progress_bar)
        with seeded_torch(self.settings.seed), bar:
            if self._random_state is not None:
                torch.set_rng_state(self._random_state)
                self._random_state = None

            def advance() -> None:
                self.n_updates_done += 1
                bar.update(1)

            if n_updates > 0:
                self._trainer.train(
                    n_batches=n_updates,
                    log_interval=10**9,
                    progress_bar=False,
                    on_batch_end=advance,
                    on_epoch_end=on_epoch_end,
                )
        copy_to_targets(self.policy)
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return everything that determines further training, as plain values and tensors. Call it in ``on_epoch_end``."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self._trainer.optimizer.state_dict(),
            "n_updates_done": self.n_updates_done,
            "random_state": torch.get_rng_state(),  # determines the order of the next epoch
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the result of ``state_dict``. On a CPU, ``train`` then continues bit for bit."""
        self.policy.load_state_dict(state["policy"])
        self._trainer.optimizer.load_state_dict(state["optimizer"])
        self.n_updates_done = int(state["n_updates_done"])
        self._random_state = state["random_state"].clone()

    @property
    def policy(self) -> BasePolicy:
        """The policy being trained."""
        return self._trainer.policy

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return the policy's action, like SB3's ``predict``."""
        return self.policy.predict(observation, state, episode_start, deterministic)


def warm_start(generator: BaseAlgorithm, demonstrations: Any, n_updates: int, *, seed: int = 0, **options: Any) -> None:
    """Clone the demonstrations into a generator's policy before it imitates or learns; ``options`` are ``BC``'s.

    The critics stay untrained: hold the policy for some steps with ``HoldPolicy``, so that it is not unlearned at once.

    Raises:
        UnsupportedGenerator: the generator's policy is of a kind that cannot be cloned into.
        ConfigurationError: the generator has no environment.

    Example:
        >>> warm_start(ppo, demos, n_updates=10)
        >>> gail = GAIL(ppo, demos).learn(256)
    """
    check_is_generator(generator)
    check_clonable(generator.policy)
    env = generator.get_env()
    if env is None:
        raise ConfigurationError("the generator has no environment; call its set_env before the warm start")
    if generator.get_vec_normalize_env() is not None:
        raise UnsupportedGenerator(
            "a generator under VecNormalize has no statistics yet; do without the warm start, or without VecNormalize"
        )
    BC(*demonstrated_spaces(env), demonstrations, policy=generator.policy, seed=seed, **options).train(n_updates)


def _default_policy(observation_space: spaces.Space, action_space: spaces.Space) -> ActorCriticPolicy:
    extractor = default_extractor(observation_space)
    kind: type[ActorCriticPolicy] = ActorCriticPolicy
    if isinstance(observation_space, spaces.Dict):
        kind = MultiInputActorCriticPolicy
    elif extractor is NatureCNN:
        kind = ActorCriticCnnPolicy
    # imitation has its own optimizer. The policy's is never used, so its learning rate can be any number.
    return kind(
        observation_space,
        action_space,
        lr_schedule=lambda _: 1e-3,
        net_arch=[64, 64],
        features_extractor_class=extractor,
    )


def _as_policies_take_them(demos: Demonstrations) -> list[Any]:
    """Return imitation's trajectories with channels-first images, and actions in the format of SB3's distributions."""
    space = channels_first(demos.observation_space)
    if space != demos.observation_space:
        moved = tuple(replace(one, observations=in_layout_of(space, one.observations)) for one in demos.trajectories)
        demos = replace(demos, trajectories=moved, observation_space=space)
    return [replace(one, acts=_for_distribution(one.acts, demos.action_space)) for one in to_imitation(demos)]


def _for_distribution(actions: np.ndarray, space: spaces.Space) -> np.ndarray:
    """Reshape ``(T, *shape) -> (T, n)`` and convert to a dtype with logarithms; a Discrete space keeps ``(T,)``."""
    if isinstance(space, spaces.MultiBinary):
        return actions.astype(np.float32)
    return actions.reshape(len(actions), -1) if isinstance(space, spaces.Box) else actions
