"""Decide where the accelerated PPO is exact; everywhere else, SB3's own code runs."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import MlpExtractor
from stable_baselines3.ppo import PPO

from ganq_irl.accelerated.core import (
    reasons_beside,
    reasons_of_extractor,
    reasons_of_layers,
    reasons_of_methods,
    reasons_of_observations,
    reasons_of_parameters,
)
from ganq_irl.accelerated.ppo.networks import actor_modules, critic_modules
from ganq_irl.generators.acceleration import FLAT_OBSERVATIONS, copied, why_changed

_COPIED = (
    *FLAT_OBSERVATIONS,
    copied(OnPolicyAlgorithm, "collect_rollouts", "558b59e495e7", "be79433d7b1d", "094ca6fef855", "4f23eaa5da31"),
    copied(PPO, "train", "2333558ca28a", "3cdbbcce8e34"),
    copied(RolloutBuffer, "add", "10cf75abbf37"),
    copied(ActorCriticPolicy, "forward", "ee08f477ed29", "75347c6b2512"),
    copied(ActorCriticPolicy, "evaluate_actions", "5900f1f401f1", "3d40a1833d53", "efaf5b1f97a4"),
    copied(ActorCriticPolicy, "predict_values", "429179efc2c8"),
    copied(ActorCriticPolicy, "extract_features", "5139d514245d", "a10c05a95938", "3899c3e0169e"),
    copied(ActorCriticPolicy, "_get_action_dist_from_latent", "452b56f3c6d8"),
    copied(MlpExtractor, "forward", "25728b93502a", "f63778e7aeb8"),
    copied(MlpExtractor, "forward_actor", "309f6471612b"),
    copied(MlpExtractor, "forward_critic", "e04bb2a6fd06"),
    copied(CategoricalDistribution, "sample", "390836bbc783"),
    copied(CategoricalDistribution, "log_prob", "231020bfb5d0"),
    copied(CategoricalDistribution, "entropy", "0f7dec005367"),
    copied(DiagGaussianDistribution, "sample", "9f370ddba44b"),
    copied(DiagGaussianDistribution, "log_prob", "a25ba619d62b"),
    copied(DiagGaussianDistribution, "entropy", "44047127ffb2", "b1deda8e074a"),
)

# A subclass that overrides one of these acts or learns differently.
_METHODS = (
    "forward",
    "evaluate_actions",
    "predict_values",
    "extract_features",
    "obs_to_tensor",
    "get_distribution",
    "set_training_mode",
    "_get_action_dist_from_latent",
)


def why_slow(model: PPO) -> str | None:
    """Return the first reason why the accelerated code would not be exact; None if it is."""
    return next(_reasons(model), None)


def _reasons(model: PPO) -> Iterator[str]:
    changed = why_changed(_COPIED)
    if changed is not None:
        yield changed
    policy = model.policy
    if not isinstance(policy, ActorCriticPolicy):
        yield f"a policy of class {type(policy).__name__}"
        return
    yield from reasons_of_observations(model.observation_space, policy.normalize_images)
    if model.use_sde:
        yield "state-dependent exploration"
    elif type(policy.action_dist) not in (CategoricalDistribution, DiagGaussianDistribution):
        yield f"actions of a {type(model.action_space).__name__} space: {type(policy.action_dist).__name__}"
    yield from _reasons_of_class(policy)
    if type(model.rollout_buffer) is not RolloutBuffer:
        yield f"a rollout buffer of class {type(model.rollout_buffer).__name__}"


def _reasons_of_class(policy: ActorCriticPolicy) -> Iterator[str]:
    yield from reasons_of_methods(policy, ActorCriticPolicy, _METHODS)
    for extractor in (policy.pi_features_extractor, policy.vf_features_extractor):
        yield from reasons_of_extractor(extractor)
    if type(policy.mlp_extractor) is not MlpExtractor:
        yield f"networks of class {type(policy.mlp_extractor).__name__}"
        return
    yield from _reasons_of_networks(policy)


def _reasons_of_networks(policy: ActorCriticPolicy) -> Iterator[str]:
    networks = actor_modules(policy), critic_modules(policy)
    for modules in networks:
        yield from reasons_of_layers(modules)
    yield from reasons_of_parameters(policy)
    parameters = [parameter for modules in networks for module in modules for parameter in module.parameters()]
    if len({*parameters}) < len(parameters):
        yield "actor and critic share parameters"
    yield from reasons_beside(policy, networks, *([policy.log_std] if hasattr(policy, "log_std") else []))
    for name, parameter in policy.named_parameters():
        if parameter.dtype != torch.float32:
            yield f"the parameter {name} is {parameter.dtype}"
