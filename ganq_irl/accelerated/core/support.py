"""Short reasons why an update without autograd would not be exact."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence

import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn

from ganq_irl.accelerated.core.activations import ACTIVATIONS

_ADAM_OPTIONS = ("amsgrad", "maximize", "capturable", "differentiable", "decoupled_weight_decay")


def reasons_of_observations(space: spaces.Space, normalize_images: bool = True) -> Iterator[str]:
    """Yield why observations are not plain vectors: another space than Box, or images."""
    if not isinstance(space, spaces.Box):
        yield f"observations of a {type(space).__name__} space"
    elif normalize_images and is_image_space(space):
        yield "observations are images"


def reasons_of_extractor(extractor: nn.Module) -> Iterator[str]:
    """Yield the class of a features extractor that does more than flatten observations."""
    if type(extractor) is not FlattenExtractor:
        yield f"a features extractor of class {type(extractor).__name__}"


def reasons_of_methods(part: object, kind: type, names: Iterable[str]) -> Iterator[str]:
    """Yield the methods that an object of a subclass of ``kind`` overrides, in its class or on the instance itself."""
    for name in names:
        if inspect.getattr_static(part, name, None) is not inspect.getattr_static(kind, name, None):
            yield f"{type(part).__name__} overrides {name}"


def reasons_beside(module: nn.Module, networks: Iterable[Iterable[nn.Module]], *others: Tensor) -> Iterator[str]:
    """Yield parameters of a module that belong neither to its ``networks`` nor to ``others``."""
    known = {parameter for layers in networks for layer in layers for parameter in layer.parameters()} | {*others}
    for name, parameter in module.named_parameters():
        if parameter not in known:
            yield f"a parameter {name} beside those of SB3's networks"


def reasons_of_layers(modules: Sequence[nn.Module]) -> Iterator[str]:
    """Yield what ``Dense`` cannot run: all but linear layers, each followed by at most a LayerNorm and an activation.

    Args:
        modules: modules of a network, in the order of execution.
    """
    may_follow: tuple[type[nn.Module], ...] = ()
    for module in modules:
        kind = type(module)
        if kind is nn.Linear:
            may_follow = (nn.LayerNorm, *ACTIVATIONS)
            if module.bias is None:
                yield "a linear layer without bias"
        elif kind not in (nn.LayerNorm, *ACTIVATIONS):
            yield f"a {kind.__name__} layer"
        elif kind not in may_follow:
            yield f"a {kind.__name__} layer at an unusual position"
        elif kind is nn.LayerNorm:
            may_follow = tuple(ACTIVATIONS)
            yield from _reasons_of_norm(module)
        else:
            may_follow = ()


def reasons_of_parameters(module: nn.Module) -> Iterator[str]:
    """Yield properties of parameters, modules and hooks that autograd respects and an explicit update would not."""
    kinds = {(parameter.dtype, parameter.device) for parameter in module.parameters()}
    if len(kinds) > 1 or not {dtype for dtype, _ in kinds} <= {torch.float32, torch.float64}:
        yield f"parameters of {', '.join(sorted(str(dtype) for dtype, _ in kinds))}"
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            yield f"the parameter {name} is frozen"
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
            yield f"the parameter {name} has hooks"
    if any(has_hooks(each) for each in module.modules()):
        yield "the networks have hooks"


def reasons_of_optimizer(optimizer: torch.optim.Optimizer, parameters: Iterable[Tensor]) -> Iterator[str]:
    """Yield properties of an optimizer that ``FlatAdam`` does not support.

    Args:
        optimizer: the optimizer to replace.
        parameters: parameters that are trained.
    """
    group, parameters = optimizer.param_groups[0], {*parameters}
    if type(optimizer) is not torch.optim.Adam or any(group.get(option) for option in _ADAM_OPTIONS):
        yield "another optimizer than plain Adam"
    elif len(optimizer.param_groups) > 1 or not parameters <= {*group["params"]}:
        yield "an optimizer that does not hold the network's parameters in one group"
    elif any(other.grad is not None for other in {*group["params"]} - parameters):
        yield "an optimizer of parameters beside the network's"  # older SB3 includes DQN's target, which is never trained
    elif isinstance(group["lr"], Tensor):
        yield "a learning rate that is a tensor"
    elif len({float(state.get("step", 0)) for state in map(optimizer.state.get, parameters) if state}) > 1:
        yield "an optimizer whose parameters have taken different numbers of steps"


def has_hooks(module: nn.Module) -> bool:
    """Return whether the forward or backward pass of a module calls hooks."""
    return any((module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks))


def _reasons_of_norm(module: nn.Module) -> Iterator[str]:
    assert isinstance(module, nn.LayerNorm)
    if len(module.normalized_shape) != 1 or module.weight is None or module.bias is None:
        yield "layer normalization without scale and offset"
