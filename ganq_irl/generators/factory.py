"""Build Stable-Baselines3 algorithms by name from plain values, such as those in a TOML file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, CombinedExtractor, FlattenExtractor, NatureCNN
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from ganq_irl.errors import ConfigurationError, MissingDependency, nearest
from ganq_irl.generators.acceleration import imported, is_installed
from ganq_irl.generators.observations import channels_first
from ganq_irl.generators.off_policy.n_step import replay_buffer_for
from ganq_irl.generators.options import check_widths, checked_keywords, parse_schedule, type_hints_of
from ganq_irl.networks.critic_policies import SACLayerNormPolicy, TD3LayerNormPolicy
from ganq_irl.networks.extractors import (
    LeavesExtractor,
    default_extractor,
    is_cnn_image,
    needs_leaves_extractor,
    why_unreadable,
)
from ganq_irl.networks.q_policies import ActionBranchesPolicy, ActionInputPolicy
from ganq_irl.space_matrix import EXACT_TWINS, TRAITS, Traits, check_trains
from ganq_irl.spaces import has_scalars

GENERATORS: dict[str, str] = {
    "ppo": "stable_baselines3:PPO",
    "fast-ppo": "ganq_irl.accelerated.ppo:FastPPO",
    "a2c": "stable_baselines3:A2C",
    "trpo": "sb3_contrib:TRPO",
    "sac": "stable_baselines3:SAC",
    "fast-sac": "ganq_irl.accelerated.sac:FastSAC",
    "td3": "stable_baselines3:TD3",
    "fast-td3": "ganq_irl.accelerated.sac:FastTD3",
    "ddpg": "stable_baselines3:DDPG",
    "tqc": "sb3_contrib:TQC",
    "crossq": "sb3_contrib:CrossQ",
    "dqn": "stable_baselines3:DQN",
    "qrdqn": "sb3_contrib:QRDQN",
    "gan-q": "ganq_irl.algorithms.ganq:GANQ",
    "gan-q-continuous": "ganq_irl.algorithms.ganq:ContinuousGANQ",
}
"""Name on the command line -> ``module:class``, imported on first use; ``register_generator`` adds names."""

FEATURES_EXTRACTORS: dict[str, type[BaseFeaturesExtractor]] = {
    extractor.__name__: extractor for extractor in (FlattenExtractor, NatureCNN, CombinedExtractor, LeavesExtractor)
}

OWN_POLICIES: dict[str, dict[str, type[BasePolicy]]] = {
    "sac": {"LayerNormCriticPolicy": SACLayerNormPolicy},
    "fast-sac": {"LayerNormCriticPolicy": SACLayerNormPolicy},
    "td3": {"LayerNormCriticPolicy": TD3LayerNormPolicy},
    "fast-td3": {"LayerNormCriticPolicy": TD3LayerNormPolicy},
    "ddpg": {"LayerNormCriticPolicy": TD3LayerNormPolicy},
    "dqn": {"ActionInputPolicy": ActionInputPolicy, "ActionBranchesPolicy": ActionBranchesPolicy},
}
"""Policies for each generator in addition to those of its class."""

_EXTRACTOR = "features_extractor_class"
_SCHEDULED = ("learning_rate", "critic_learning_rate", "clip_range", "clip_range_vf")
# Set by build_generator's own arguments, or private.
_NOT_OPTIONS = frozenset({"self", "env", "seed", "device", "tensorboard_log", "_init_setup_model"})


def register_generator(name: str, path: str, traits: Traits | None = None) -> None:
    """Register an algorithm under a name, for ``build_generator``, stored policies, and the command line.

    The module that exports the class registers it, so that this package does not depend on it.

    Args:
        name: name on the command line.
        path: ``module:class`` of an SB3 algorithm, imported on first use.
        traits: spaces and settings in which it trains; by default those of ``TRAITS``, or of an on-policy algorithm.
    """
    GENERATORS[name] = path
    TRAITS[name] = traits or TRAITS.get(name, Traits())


def generator_class(name: str) -> type[BaseAlgorithm]:
    """Return the SB3 class of a name in ``GENERATORS``.

    Raises:
        ConfigurationError: the name is unknown.
        MissingDependency: it is in sb3-contrib, which is not installed or too old.
    """
    if name not in GENERATORS:
        raise ConfigurationError(f"unknown generator {name!r}; {nearest(name, GENERATORS)}")
    path = GENERATORS[name]
    if name in EXACT_TWINS and not is_installed(path):
        return generator_class(EXACT_TWINS[name])
    try:
        return imported(path)
    except (ModuleNotFoundError, AttributeError) as error:
        if not path.startswith("sb3_contrib:") or error.name not in ("sb3_contrib", path.split(":")[1]):
            raise
        what = "is in sb3-contrib; install it" if error.name == "sb3_contrib" else "needs a newer sb3-contrib; upgrade it"
        raise MissingDependency(f"{name} {what} with: pip install -U 'ganq-irl[contrib]'") from error


def policy_classes(name: str) -> dict[str, type[BasePolicy]]:
    """Return the policies of a generator by name: SB3's, and ours.

    Raises:
        ConfigurationError: the generator is unknown.
        MissingDependency: it is in sb3-contrib, which is not installed.
    """
    return {**generator_class(name).policy_aliases, **OWN_POLICIES.get(name, {})}


def generator_options(name: str) -> frozenset[str]:
    """Return the keywords that ``build_generator`` passes to the algorithm's constructor."""
    return frozenset(inspect.signature(generator_class(name).__init__).parameters) - _NOT_OPTIONS


def default_option(name: str, option: str, otherwise: Any) -> Any:
    """Default of one of a generator's options; ``otherwise`` for a name that is no generator."""
    if name not in GENERATORS:
        return otherwise
    return inspect.signature(generator_class(name).__init__).parameters[option].default


def build_generator(
    name: str,
    env: VecEnv,
    *,
    seed: int | None = None,
    device: torch.device | str = "auto",
    tensorboard_log: str | None = None,
    **options: Any,
) -> BaseAlgorithm:
    """Build an SB3 algorithm from its name and plain values.

    Args:
        name: a key of ``GENERATORS``.
        env: the vectorized environment.
        seed: seed of torch, numpy, the environments and the action space, as in SB3.
        device: "auto", "cpu", "cuda", ...
        tensorboard_log: folder for TensorBoard events, as in SB3.
        **options: the algorithm's keywords. In addition to SB3's values, ``learning_rate``, ``critic_learning_rate`` and
            ``clip_range`` can be a table ``{"initial": 1e-3, "final": 0.0}``; ``train_freq`` a list ``[1, "episode"]``;
            ``action_noise`` a table ``{"kind": "normal", "sigma": 0.1}`` in units of half the action range; and
            ``activation_fn``, ``optimizer_class`` and ``features_extractor_class`` in ``policy_kwargs`` are given by name.
            ``policy`` defaults to MlpPolicy, CnnPolicy or MultiInputPolicy, depending on the observation space. dqn also has
            ActionInputPolicy and ActionBranchesPolicy; sac, td3, their fast variants and ddpg also have
            LayerNormCriticPolicy.

    Raises:
        ConfigurationError: an option is unknown or has an invalid value.
        IncompatibleSpaces: the algorithm cannot train in the environment's spaces.
        MissingDependency: sb3-contrib is needed.
    """
    algorithm = generator_class(name)
    check_trains(name, env.observation_space, env.action_space)
    for option in options:
        if option not in generator_options(name):
            raise ConfigurationError(f"{name} has no option {option!r}; {nearest(option, generator_options(name))}")
    checked = checked_keywords(type_hints_of(algorithm), options)
    parsed = {option: _parse(option, value, env.action_space) for option, value in checked.items()}
    _fit_to_observations(name, env.observation_space, parsed)
    policy = _policy(name, parsed.pop("policy", None) or _usual_policy(name, env.observation_space, parsed))
    check_policy_reads(policy, parsed.get("policy_kwargs"), channels_first(env.observation_space))
    try:
        return algorithm(
            policy,
            env,
            seed=seed,
            device=device,
            tensorboard_log=tensorboard_log,
            **parsed,
        )
    except (TypeError, ValueError, AssertionError) as error:
        # SB3 checks its options with assertions, or fails later. If it also fails without options, they are not the cause.
        if not options or not _is_buildable(algorithm, env):
            raise
        raise ConfigurationError(f"{name} refuses its options {options}: {error}") from error
    except MemoryError as error:
        raise ConfigurationError(
            f"{name} does not fit into memory ({error}); use a smaller buffer_size, n_steps or number of environments"
        ) from error


def _fit_to_observations(name: str, space: spaces.Space, options: dict[str, Any]) -> None:
    """Add options that Stable-Baselines3's classes need for some observation spaces."""
    if needs_leaves_extractor(channels_first(space)):
        options["policy_kwargs"] = {"features_extractor_class": LeavesExtractor} | (options.get("policy_kwargs") or {})
    chooses_a_buffer = not GENERATORS[EXACT_TWINS.get(name, name)].startswith(("stable_baselines3", "sb3_contrib"))
    if has_scalars(space) and TRAITS[name].replays and not chooses_a_buffer and options.get("replay_buffer_class") is None:
        n_steps = options.pop("n_steps", 1)
        kind, settings = replay_buffer_for(space, n_steps, options.get("gamma", 0.99))
        options["replay_buffer_class"] = kind
        options["replay_buffer_kwargs"] = settings | (options.get("replay_buffer_kwargs") or {})


def _usual_policy(name: str, space: spaces.Space, options: dict[str, Any]) -> str:
    """Return the default policy; a generator that has only MlpPolicy gets the features extractor of the missing one."""
    usual = default_policy(space)
    if usual in policy_classes(name):
        return usual
    extractor = default_extractor(channels_first(space))
    options["policy_kwargs"] = {_EXTRACTOR: extractor} | (options.get("policy_kwargs") or {})
    return "MlpPolicy"


def _is_buildable(algorithm: type[BaseAlgorithm], env: VecEnv) -> bool:
    """Return whether the algorithm can be built for the environment with default options."""
    small: dict[str, Any] = {"buffer_size": 100} if "buffer_size" in inspect.signature(algorithm.__init__).parameters else {}
    try:
        algorithm(default_policy(env.observation_space), env, device="cpu", **small)
    except Exception:  # of any kind: the options are not the cause
        return False
    return True


def default_policy(observation_space: spaces.Space) -> str:
    """Return SB3's policy name for an observation space: MultiInputPolicy for Dict, CnnPolicy for images, else MlpPolicy.

    Images with a side of fewer than 36 pixels are too small for SB3's CNN, so MlpPolicy flattens them.
    """
    if isinstance(observation_space, spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_cnn_image(channels_first(observation_space)) else "MlpPolicy"


def check_policy_reads(
    policy: type[BasePolicy], policy_kwargs: Mapping[str, Any] | None, observation_space: spaces.Space
) -> None:
    """Check that a policy's features extractor can read the observations.

    Args:
        policy: class of the policy.
        policy_kwargs: its keywords, which may name another extractor.
        observation_space: of the policy, images channels first.

    Raises:
        ConfigurationError: it cannot; the message names a policy that can.
    """
    options = policy_kwargs or {}
    kinds: Sequence[Any] = policy.__mro__
    signatures = (inspect.signature(kind.__init__).parameters for kind in kinds)
    usual = next((names[_EXTRACTOR].default for names in signatures if _EXTRACTOR in names), None)
    extractor = options.get(_EXTRACTOR, usual)
    reason = why_unreadable(extractor, observation_space, options.get("normalize_images", True))
    if reason is not None:
        without = f" without {_EXTRACTOR}" if _EXTRACTOR in options else ""
        raise ConfigurationError(f"{policy.__name__}: {reason}; use {default_policy(observation_space)}{without}")


def _policy(name: str, policy: Any) -> type[BasePolicy]:
    known = policy_classes(name)
    if isinstance(policy, type):
        return policy
    if not isinstance(policy, str) or policy not in known:
        raise ConfigurationError(f"{name} has no policy {policy!r}; {nearest(str(policy), known)}")
    return known[policy]


def _parse(option: str, value: Any, action_space: spaces.Space) -> Any:
    if (option in _SCHEDULED and value is not None) or (option == "n_steps" and isinstance(value, Mapping)):
        return parse_schedule(value, option)
    if option == "train_freq" and isinstance(value, list | tuple):
        return _parse_train_freq(value)
    if option == "policy_kwargs" and value is not None:
        return _parse_policy_kwargs(value)
    if option == "action_noise" and value is not None and not isinstance(value, ActionNoise):
        return _parse_action_noise(value, action_space)
    return value


def _parse_train_freq(value: list | tuple) -> tuple[int, str]:
    if len(value) == 2 and value[1] in ("step", "episode") and str(value[0]).isdecimal():
        return int(value[0]), value[1]
    raise ConfigurationError(f'train_freq: given {value!r}; expected a number of steps, [4, "step"] or [1, "episode"]')


def _parse_action_noise(value: Any, action_space: spaces.Space) -> ActionNoise:
    kinds = {"normal": NormalActionNoise, "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise}
    table = value if isinstance(value, Mapping) else {}
    kind, sigma = table.get("kind", "normal"), table.get("sigma")
    if not table.keys() <= {"kind", "sigma"} or kind not in kinds or not isinstance(sigma, int | float) or sigma <= 0:
        raise ConfigurationError(
            f'action_noise: given {value}; expected {{ kind = "normal" or "ornstein-uhlenbeck", sigma = 0.1 }}'
        )
    zeros = np.zeros(action_space.shape or ())
    return kinds[kind](mean=zeros, sigma=zeros + sigma)


def _parse_policy_kwargs(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"policy_kwargs: given {value!r}; expected a table such as {{ net_arch = [64, 64] }}")
    by_name: dict[str, Callable[[str], Any]] = {
        "activation_fn": activation_class,
        "optimizer_class": _optimizer_class,
        "features_extractor_class": features_extractor_class,
    }
    if "net_arch" in value and value["net_arch"] is not None:
        check_widths(value["net_arch"], "policy_kwargs.net_arch")
    return {
        key: by_name[key](entry) if key in by_name and isinstance(entry, str) else _thawed(entry)
        for key, entry in value.items()
    }


def activation_class(name: str) -> type[nn.Module]:
    """Return an activation of ``torch.nn`` by name.

    Raises:
        ConfigurationError: unknown name.
    """
    return _named("activation_fn", name, {key: getattr(nn, key) for key in nn.modules.activation.__all__})


def features_extractor_class(name: str) -> type[BaseFeaturesExtractor]:
    """Return one of SB3's feature extractors by name.

    Raises:
        ConfigurationError: unknown name.
    """
    return _named("features_extractor_class", name, FEATURES_EXTRACTORS)


def _optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    known = {
        key: value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    return _named("optimizer_class", name, {**known, "RMSpropTFLike": RMSpropTFLike})


def _named(what: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise ConfigurationError(f"policy_kwargs.{what}: unknown {name!r}; {nearest(name, known)}")
    return known[name]


def _thawed(value: Any) -> Any:
    """Copy nested dicts and lists, since SB3 modifies the policy_kwargs that it is given."""
    if isinstance(value, Mapping):
        return {key: _thawed(entry) for key, entry in value.items()}
    return [_thawed(entry) for entry in value] if isinstance(value, list) else value
