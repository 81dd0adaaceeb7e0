"""Start a generator from a trained policy, such as that of an imitation run or of behavioral cloning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from ganq_irl.errors import ConfigurationError, MissingDependency, RunDirectoryError, usable_path
from ganq_irl.generators.checks import check_is_generator
from ganq_irl.generators.factory import GENERATORS, policy_classes
from ganq_irl.generators.internals import observation_statistics
from ganq_irl.generators.observations import ObservationNormalizer
from ganq_irl.generators.policies.acting import acting_names, copy_to_targets
from ganq_irl.generators.policies.store import StoredPolicy, describe_policy, load_policy
from ganq_irl.storage import CONFIG_FILE

_ALIKE = ("activation_fn", "features_extractor_class", "normalize_images", "squash_output", "use_sde")
"""Keywords of policies that change what the same parameters compute."""
_NETWORKS = ("net_arch", "activation_fn", "n_critics", "n_quantiles", "return_model", "action_network")
"""Keywords of policies that decide which networks they have, and do not follow from the spaces."""
_N_OBSERVATIONS = 1e4
"""Weight of loaded statistics, in observations: they stay, and new observations still count."""


@dataclass(frozen=True)
class Started:
    """What ``start_from`` loaded.

    Attributes:
        algorithm: class that trained the policy.
        critics: whether critics were loaded as well.
    """

    algorithm: str
    critics: bool


def start_from(generator: BaseAlgorithm, source: Path | str | StoredPolicy) -> Started:
    """Load a trained policy into a generator, which goes on from there with any reward.

    Both need the same spaces and the same networks. Statistics of observations are loaded with the policy, and critics if
    all networks agree. The new critics know nothing yet, or another reward, so that a policy which follows them at once is
    unlearned: hold it for some steps with ``HoldPolicy``. Off-policy, also set ``learning_starts=0``: the policy needs no
    random actions first.

    Args:
        generator: an SB3 algorithm with its environment.
        source: a run directory, the folder of a policy, or a loaded policy.

    Returns:
        What was loaded.

    Raises:
        RunDirectoryError: there is no policy.
        StorageError: the policy is damaged.
        ConfigurationError: it does not fit the generator; the message says what differs.

    Example:
        >>> save_policy(sac, "run/policy")  # as every run does
        >>> model = SAC("MlpPolicy", "Pendulum-v1", learning_starts=0, policy_kwargs={"net_arch": [16]}, device="cpu")
        >>> start_from(model, "run")
        Started(algorithm='SAC', critics=True)
        >>> model = model.learn(64, callback=HoldPolicy(2_000))  # on the environment's reward
    """
    check_is_generator(generator)
    stored = source if isinstance(source, StoredPolicy) else load_policy(policy_folder(source), generator.device)
    _check_fits(generator, stored, "the policy" if isinstance(source, StoredPolicy) else str(source))
    own, given = generator.policy.state_dict(), stored.policy.state_dict()
    whole = type(generator.policy) is type(stored.policy) and _shapes(own) == _shapes(given)
    generator.policy.load_state_dict(given if whole else {**own, **{key: given[key] for key in acting_names(stored.policy)}})
    copy_to_targets(generator.policy)
    if stored.normalizer is not None:
        _load_statistics(generator, stored.normalizer)
    return Started(stored.algorithm, whole)


def policy_folder(path: Path | str) -> Path:
    """Return the folder of a policy, given a run directory or the folder itself.

    Raises:
        RunDirectoryError: there is no policy.
    """
    path = usable_path(path)
    for folder in (path / "policy", path):
        if (folder / CONFIG_FILE).is_file():
            return folder
    raise RunDirectoryError(
        f"{path} holds no policy; give a run directory that `ganq-irl train` wrote, or its folder policy"
    )


def options_to_start(generator: str, stored: StoredPolicy) -> dict[str, Any]:
    """Return the options with which a generator gets the networks of a stored policy.

    Args:
        generator: a name in ``GENERATORS``.
        stored: the policy.

    Returns:
        ``policy`` and ``policy_kwargs``; nothing if the generator has no policies of this class.
    """
    described = describe_policy(stored)[0]
    alias = described["policy_class"].split(":")[1]
    if policy_classes(generator).get(alias) is not type(stored.policy):
        return {}
    networks = {key: value for key, value in described["policy_kwargs"].items() if key in _NETWORKS}
    return {"policy": alias, "policy_kwargs": networks}


def _check_fits(generator: BaseAlgorithm, stored: StoredPolicy, name: str) -> None:
    policy, kind = generator.policy, type(generator).__name__
    for what in ("observation_space", "action_space"):
        theirs, ours = getattr(stored.policy, what), getattr(policy, what)
        if theirs != ours:
            raise ConfigurationError(f"{name} has the {what.replace('_', ' ')} {theirs}, and the environment has {ours}")
    names, expected_names = acting_names(stored.policy), acting_names(policy)
    is_related = isinstance(stored.policy, type(policy)) or isinstance(policy, type(stored.policy))
    if not is_related and set(names) != set(expected_names):
        raise ConfigurationError(
            f"{name} holds a policy of {_owners(stored)}, which {kind} cannot start from; train one of these, or clone the "
            "demonstrations for it with `ganq-irl train bc --generator NAME`"
        )
    theirs, ours = describe_policy(stored)[0]["policy_kwargs"], describe_policy(generator)[0]["policy_kwargs"]
    differing = [key for key in _ALIKE if theirs.get(key) != ours.get(key)]
    shapes, expected = _shapes(stored.policy.state_dict()), _shapes(policy.state_dict())
    if differing or set(names) != set(expected_names) or any(shapes[key] != expected[key] for key in names):
        told = {key: theirs.get(key) for key in ("net_arch", *differing)}
        raise ConfigurationError(f"{name} has other networks than {kind} here; build it with policy_kwargs {told}")
    normalizer = generator.get_vec_normalize_env()
    if (normalizer is not None and normalizer.norm_obs) != (stored.normalizer is not None):
        raise ConfigurationError(
            f"{name} acts on normalized observations; set normalize_observations=true (VecNormalize in Python)"
            if stored.normalizer is not None
            else f"{name} acts on raw observations; set normalize_observations=false (no VecNormalize in Python)"
        )


def _owners(stored: StoredPolicy) -> str:
    names = []
    for name in GENERATORS:
        try:
            names += [name] if type(stored.policy) in policy_classes(name).values() else []
        except MissingDependency:
            continue
    return " or ".join(names)


def _load_statistics(generator: BaseAlgorithm, normalizer: ObservationNormalizer) -> None:
    for key, statistics in observation_statistics(generator).items():
        statistics.mean, statistics.var = np.array(normalizer.mean[key]), np.array(normalizer.var[key])
        statistics.count = _N_OBSERVATIONS


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}
