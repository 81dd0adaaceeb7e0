"""Store policies as JSON and safetensors: what is needed to act, without training state and without pickling."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from ganq_irl import storage
from ganq_irl.errors import ConfigurationError, MissingDependency, StorageError, nearest
from ganq_irl.generators.factory import (
    FEATURES_EXTRACTORS,
    GENERATORS,
    OWN_POLICIES,
    activation_class,
    features_extractor_class,
    policy_classes,
)
from ganq_irl.generators.observations import Observation, ObservationNormalizer, build_normalizer, normalizer_of
from ganq_irl.generators.policies.outputs import has_action_values, predict_action_values
from ganq_irl.spaces import space_from_json, space_to_json

SCHEMA = 1
_CLASSES = {"activation_fn": activation_class, "features_extractor_class": features_extractor_class}
# Optimizers belong to training; spaces and schedule are passed separately.
_LEFT_OUT = frozenset({"observation_space", "action_space", "lr_schedule", "optimizer_class", "optimizer_kwargs"})


@dataclass(frozen=True)
class StoredPolicy:
    """A policy for raw observations, like an SB3 model trained under VecNormalize.

    Attributes:
        policy: the SB3 policy.
        algorithm: name of the generator class that trained it, such as "PPO", or of the policy class.
        normalizer: normalizes observations first, if training did; otherwise None.

    Example:
        >>> from ganq_irl import load_policy, save_policy
        >>> save_policy(ppo, "policy")
        >>> policy = load_policy("policy", device="cpu")
        >>> policy.algorithm, policy.predict(demos[0].observations[:2])[0].shape
        ('PPO', (2,))
    """

    policy: BasePolicy
    algorithm: str
    normalizer: ObservationNormalizer | None = None

    @property
    def observation_space(self) -> spaces.Space:
        """Observation space of the policy."""
        return self.policy.observation_space

    @property
    def action_space(self) -> spaces.Space:
        """Action space of the policy."""
        return self.policy.action_space

    @property
    def device(self) -> torch.device:
        """Device of the networks."""
        return self.policy.device

    def predict(
        self,
        observation: Observation,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """Return actions for raw observations, one or a batch, in the environment's units, like SB3's ``predict``."""
        if self.normalizer is not None:
            observation = self.normalizer(observation)
        return self.policy.predict(observation, state, episode_start, deterministic)

    def q_values(self, observations: Observation) -> np.ndarray:
        """Return the expected discounted return of every action, for a batch of raw observations.

        Args:
            observations: ``(batch, *observation_shape)``, or a dict of such arrays for a Dict space.

        Returns:
            ``(batch, n_actions)`` float32.

        Raises:
            ConfigurationError: the policy has no action values.
        """
        if not has_action_values(self.policy):
            raise ConfigurationError(
                f"{self.algorithm}'s policy has no action values; train a value learner over discrete actions: gan-q, dqn "
                "or qrdqn"
            )
        if self.normalizer is not None:
            observations = self.normalizer(observations)
        return predict_action_values(self.policy, observations)

    def return_distribution(self, observations: Observation, n: int = 32) -> np.ndarray:
        """Return samples of the discounted return of every action, for a batch of raw observations.

        Args:
            observations: ``(batch, *observation_shape)``, or a dict of such arrays for a Dict space.
            n: number of samples per action.

        Returns:
            ``(batch, n_actions, n)`` float32; for continuous actions ``(batch, n)``, at the policy's own action.

        Raises:
            ConfigurationError: the policy has no return distributions.
        """
        policy: Any = self.policy
        if not hasattr(policy, "return_distribution"):
            raise ConfigurationError(
                f"{self.algorithm}'s policy has no return distributions; train gan-q or gan-q-continuous"
            )
        if self.normalizer is not None:
            observations = self.normalizer(observations)
        return policy.return_distribution(observations, n)


def save_policy(model: BaseAlgorithm | BasePolicy | StoredPolicy, folder: Path | str) -> None:
    """Write a policy and its observation statistics to ``folder``.

    Args:
        model: an SB3 algorithm, an SB3 policy, or the result of ``load_policy``.
        folder: folder to write; it is replaced atomically.

    Raises:
        ConfigurationError: a part of the policy cannot be described by plain data, such as a class of your own.

    Example:
        >>> save_policy(ppo, "policy")  # JSON and safetensors: loading runs no code of the file
        >>> same = load_policy("policy", device="cpu")
    """
    storage.save_folder(Path(folder), *describe_policy(model))


def acting_policy(model: BaseAlgorithm | BasePolicy) -> StoredPolicy:
    """Return the current policy of an SB3 algorithm for raw observations: its networks and a copy of its statistics."""
    if isinstance(model, BasePolicy):
        return StoredPolicy(model, type(model).__name__)
    return StoredPolicy(model.policy, type(model).__name__, normalizer_of(model.get_vec_normalize_env()))


def copy_policy(policy: BasePolicy) -> BasePolicy:
    """Return a copy of a policy, in evaluation mode."""
    # A distribution holds tensors of its last forward pass, which are not leaves of the graph and cannot be deep-copied.
    distributions = [vars(module)["action_dist"] for module in policy.modules() if "action_dist" in vars(module)]
    copied = copy.deepcopy(policy, {id(distribution): copy.copy(distribution) for distribution in distributions})
    copied.set_training_mode(False)
    return copied


def describe_policy(model: BaseAlgorithm | BasePolicy | StoredPolicy) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the JSON and tensors that ``save_policy`` writes; call it before training to check that saving will work.

    Raises:
        ConfigurationError: see ``save_policy``.
    """
    if not isinstance(model, StoredPolicy):
        model = acting_policy(model)
    policy = model.policy
    config: dict[str, Any] = {
        "schema": SCHEMA,
        "kind": "policy",
        "algorithm": model.algorithm,
        "policy_class": _class_path(policy),
        "observation_space": space_to_json(policy.observation_space),
        "action_space": space_to_json(policy.action_space),
        "policy_kwargs": {key: _to_json(key, value) for key, value in _constructor_kwargs(policy).items()},
        "normalizer": None,
    }
    tensors = {f"policy.{key}": value for key, value in policy.state_dict().items()}
    if (normalizer := model.normalizer) is not None:
        config["normalizer"] = {"keys": list(normalizer.mean), "epsilon": normalizer.epsilon, "clip": normalizer.clip}
        for name in ("mean", "var"):
            statistics = getattr(normalizer, name)
            tensors |= {f"normalizer.{name}.{key}": torch.as_tensor(value) for key, value in statistics.items()}
    return config, tensors


def load_policy(folder: Path | str, device: torch.device | str = "auto") -> StoredPolicy:
    """Load a policy written by ``save_policy``.

    Args:
        folder: folder of the policy.
        device: "auto" uses a GPU if there is one.

    Raises:
        StorageError: the folder is missing, incomplete, altered, or of a newer schema.
        MissingDependency: the policy class is in sb3-contrib, which is not installed.

    Example:
        >>> save_policy(ppo, "policy")
        >>> load_policy("policy", device="cpu").observation_space.shape
        (4,)
    """
    config, tensors = storage.load_folder(Path(folder))
    if config.get("kind") != "policy" or not isinstance(config.get("schema"), int):
        raise StorageError(f"{folder} holds no policy; give a folder written by save_policy, such as RUN/policy")
    if config["schema"] > SCHEMA:
        raise StorageError(f"{folder} has schema {config['schema']}, this version reads up to {SCHEMA}; update ganq-irl")
    try:
        with storage.building_for(tensors):
            policy = _build_policy(config)
        policy.load_state_dict({k.removeprefix("policy."): v for k, v in tensors.items() if k.startswith("policy.")})
        normalizer = build_normalizer(config["normalizer"], tensors)
        algorithm = config["algorithm"]
    except MissingDependency:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise StorageError(f"{folder} does not describe a policy that can be built ({error}); save it again") from error
    policy.set_training_mode(False)
    return StoredPolicy(policy.to(storage.usable_device(device)), algorithm, normalizer)


def _build_policy(config: dict[str, Any]) -> BasePolicy:
    kwargs = {key: _CLASSES[key](value) if key in _CLASSES else value for key, value in config["policy_kwargs"].items()}
    return _policy_class(config["policy_class"])(
        observation_space=space_from_json(config["observation_space"]),
        action_space=space_from_json(config["action_space"]),
        lr_schedule=_no_learning,
        **kwargs,
    )


def _no_learning(_progress_remaining: float) -> float:
    return 0.0


def _constructor_kwargs(policy: BasePolicy) -> dict[str, Any]:
    """Return the arguments with which the policy class builds the same networks."""
    kwargs = policy._get_constructor_parameters()
    # SB3 omits this one for actor-critic policies, so that its own policy.save() loses it.
    kwargs["share_features_extractor"] = getattr(policy, "share_features_extractor", None)
    accepted = _accepted(_policy_class(_class_path(policy)))
    return {key: value for key, value in kwargs.items() if key in accepted and key not in _LEFT_OUT and value is not None}


def _accepted(cls: type) -> set[str]:
    """Return the keywords of a constructor, including those of the base class that its ``**kwargs`` go to."""
    names: set[str] = set()
    for ancestor in cls.__mro__:
        parameters = inspect.signature(ancestor.__init__).parameters  # type: ignore[misc]  # of a class, not an instance
        names |= parameters.keys()
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return names


def _class_path(policy: BasePolicy) -> str:
    """Return a known policy class as ``generator:policy``, such as ``ppo:MlpPolicy``; several generators share classes."""
    cls = type(policy)
    # imitation's default policy for BC is an ActorCriticPolicy with another default net_arch, which is saved anyway.
    if (cls.__module__, cls.__name__) == ("imitation.policies.base", "FeedForward32Policy"):
        return "ppo:MlpPolicy"
    package = cls.__module__.split(".")[0]
    for name, path in GENERATORS.items():
        if path.startswith(package) or name in OWN_POLICIES:  # others need not be imported
            for alias, known in _policy_classes_if_there(name).items():
                if known is cls:
                    return f"{name}:{alias}"
    raise ConfigurationError(
        f"a policy of class {cls.__module__}.{cls.__qualname__} cannot be saved without pickling code; use MlpPolicy, "
        "CnnPolicy or MultiInputPolicy with policy_kwargs, or keep it with Stable-Baselines3's own save()"
    )


def _policy_classes_if_there(name: str) -> dict[str, type[BasePolicy]]:
    try:
        return policy_classes(name)
    except MissingDependency:  # a release of the package that is older than this algorithm
        return {}


def _policy_class(path: str) -> Any:
    name, alias = path.split(":")
    if name not in GENERATORS:
        raise ConfigurationError(f"policies of {name!r} are unknown; {nearest(name, GENERATORS)}")
    return policy_classes(name)[alias]


def _to_json(key: str, value: Any) -> Any:
    if isinstance(value, type) and value in (*vars(nn).values(), *FEATURES_EXTRACTORS.values()):
        return value.__name__
    if _is_plain(value):
        return value
    raise ConfigurationError(
        f"policy_kwargs.{key} = {value!r} cannot be saved without pickling code; use plain values, torch.nn's activations "
        f"and SB3's feature extractors ({', '.join(FEATURES_EXTRACTORS)})"
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
