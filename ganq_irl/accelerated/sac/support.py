"""Decide where the accelerated SAC and TD3 are exact; everywhere else, Stable-Baselines3's own code runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stable_baselines3 import SAC, TD3
from stable_baselines3.common.distributions import DiagGaussianDistribution, SquashedDiagGaussianDistribution
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy, ContinuousCritic
from stable_baselines3.sac.policies import Actor, SACPolicy
from stable_baselines3.td3.policies import Actor as TD3Actor
from stable_baselines3.td3.policies import TD3Policy
from torch import Tensor, nn

from ganq_irl.accelerated.core import (
    reasons_beside,
    reasons_of_extractor,
    reasons_of_layers,
    reasons_of_methods,
    reasons_of_observations,
    reasons_of_optimizer,
    reasons_of_parameters,
)
from ganq_irl.generators.acceleration import Copied, copied, why_changed

# Functions of SB3 that are reimplemented here, with the digests of releases 2.2.1 to 2.9.2.
_PREDICT = copied(
    BasePolicy, "predict", "4247b87124cf", "bc0739789c8a", "8b17f04cbb3c", "c790f3cfac53", "69daff028a8e", "220ebd561d5b"
)
_Q_VALUES = copied(ContinuousCritic, "forward", "5e28388af984", "41de624bab71")
_COPIED: dict[type[OffPolicyAlgorithm], tuple[Copied, ...]] = {
    SAC: (
        _PREDICT,
        _Q_VALUES,
        copied(SAC, "train", "0c4182ccc476", "5ca30ae24ac8", "f4d50e1e44ca"),
        copied(Actor, "forward", "046b3664d361"),
        copied(Actor, "get_action_dist_params", "b03caf6c0200", "4cebf52de553"),
        copied(Actor, "action_log_prob", "390e7798a551", "1cea0b9d8e73"),
        copied(SquashedDiagGaussianDistribution, "sample", "380bf7eb9a3b"),
        copied(SquashedDiagGaussianDistribution, "log_prob", "6fd18a09130e", "f88c3d86c5aa"),
        copied(SquashedDiagGaussianDistribution, "log_prob_from_params", "2993972dc81c", "b8a3415efd73"),
        copied(DiagGaussianDistribution, "sample", "9f370ddba44b"),
        copied(DiagGaussianDistribution, "log_prob", "a25ba619d62b"),
        copied(DiagGaussianDistribution, "proba_distribution", "59db137a01a8"),
        copied(DiagGaussianDistribution, "actions_from_params", "5fe092ab1b60"),
    ),
    TD3: (
        _PREDICT,
        _Q_VALUES,
        copied(ContinuousCritic, "q1_forward", "fb67d54e59ac"),
        copied(TD3, "train", "4b46f098856f", "92dd70117054"),
        copied(TD3Actor, "forward", "03c42d1ee46b"),
    ),
}

# A subclass that overrides one of these acts or learns differently.
_METHODS = (
    "forward",
    "q1_forward",
    "action_log_prob",
    "get_action_dist_params",
    "predict",
    "_predict",
    "extract_features",
    "obs_to_tensor",
    "scale_action",
    "unscale_action",
    "set_training_mode",
)


def why_slow(model: OffPolicyAlgorithm) -> str | None:
    """Return the first reason why the accelerated update would not be exact, or None.

    Args:
        model: a SAC or TD3.
    """
    return next(_reasons(model), None)


def _reasons(model: Any) -> Iterator[str]:
    is_soft = isinstance(model, SAC)
    changed = why_changed(_COPIED[SAC if is_soft else TD3])
    if changed is not None:
        yield changed
    if model.device.type != "cpu":
        yield f"the device {model.device}"
    if is_soft and model.use_sde:
        yield "state-dependent exploration"
    policy = model.policy
    yield from reasons_of_observations(model.observation_space, policy.normalize_images)
    policy_class, actor_class = (SACPolicy, Actor) if is_soft else (TD3Policy, TD3Actor)
    actors = [policy.actor] if is_soft else [policy.actor, policy.actor_target]
    critics = [policy.critic, policy.critic_target]
    for kind, parts in ((policy_class, [policy]), (actor_class, actors), (ContinuousCritic, critics)):
        for part in parts:
            yield from _reasons_of_part(part, kind)
    if is_soft and type(policy.actor.action_dist) is not SquashedDiagGaussianDistribution:
        yield f"actions drawn from a {type(policy.actor.action_dist).__name__}"
    for actor in actors:
        yield from _reasons_of_networks(actor, _actor_networks(actor, is_soft))
    for critic in critics:
        yield from _reasons_of_networks(critic, critic.q_networks)
    yield from _reasons_of_sharing([*actors, *critics])
    learning: list[tuple[nn.Module | None, Any, Iterable[Tensor]]] = [
        (part, part.optimizer, part.parameters()) for part in (policy.actor, policy.critic)
    ]
    if is_soft and model.ent_coef_optimizer is not None:
        learning.append((None, model.ent_coef_optimizer, [model.log_ent_coef]))
    for module, optimizer, parameters in learning:
        yield from reasons_of_parameters(module) if module is not None else ()
        yield from reasons_of_optimizer(optimizer, parameters)


def _reasons_of_part(part: nn.Module, kind: type[nn.Module]) -> Iterator[str]:
    if not isinstance(part, kind):
        yield f"a {kind.__name__.lower()} of class {type(part).__name__}"
        return
    yield from reasons_of_methods(part, kind, _METHODS)


def _actor_networks(actor: Any, is_soft: bool) -> list[list[nn.Module]]:
    return [[*actor.latent_pi, head] for head in (actor.mu, actor.log_std)] if is_soft else [list(actor.mu)]


def _reasons_of_networks(part: Any, networks: Iterable[Iterable[nn.Module]]) -> Iterator[str]:
    yield from reasons_of_extractor(part.features_extractor)
    layers = [list(network) for network in networks]
    for network in layers:
        yield from reasons_of_layers(network)
    yield from reasons_beside(part, layers)
    shapes = [[tuple(p.shape) for module in network for p in module.parameters()] for network in layers]
    if any(shape != shapes[0] for shape in shapes):
        yield "networks of different shapes"


def _reasons_of_sharing(parts: Iterable[nn.Module]) -> Iterator[str]:
    parameters = [parameter for part in parts for parameter in part.parameters()]
    if len(set(parameters)) < len(parameters):
        yield "networks that share parameters"
    if len({(parameter.dtype, parameter.device) for parameter in parameters}) > 1:
        yield "parameters of different types"
