"""Export recovered rewards to ONNX and ``torch.export``. Each export is compared with the original before it is written."""

from __future__ import annotations

import copy
import importlib.util
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from ganq_irl.errors import MissingDependency, StorageError
from ganq_irl.files import replace_file
from ganq_irl.rewards.model import RewardModel
from ganq_irl.types import Batch, Observations

TOLERANCE = 1e-5  # relative to the largest reward, or to 1 if that is larger
OUTPUT = "rewards"
_ROWS = (5, 17)  # traced and compared with different batch sizes, to detect a fixed size


class PricedTransitions(nn.Module):
    """A reward as a function of the tensors named by ``input_names``; returns ``(batch,)``."""

    def __init__(self, model: RewardModel) -> None:
        super().__init__()
        self.model = model
        self.networks = model.discriminator
        space = model.observation_space
        self.keys = tuple(space.spaces) if isinstance(space, spaces.Dict) else ()

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs in order; an entry of a Dict space is ``observations.key``."""
        sides = [[f"{field}.{key}" for key in self.keys] or [field] for field in ("observations", "next_observations")]
        return (*sides[0], "actions", *sides[1], "dones")

    def flat(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return the tensors of a batch in the order of ``input_names``."""
        sides = (batch.observations, batch.next_observations)
        here, following = ((side,) if isinstance(side, Tensor) else tuple(side[key] for key in self.keys) for side in sides)
        return (*here, batch.actions, *following, batch.dones)

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return rewards, ``(batch,)``."""
        n = max(1, len(self.keys))
        batch = Batch(self._side(tensors[:n]), tensors[n], self._side(tensors[n + 1 : -1]), tensors[-1])
        return self.model.form(self.model.discriminator, self.model.loss, self.model.discriminator.encode(batch))

    def _side(self, tensors: tuple[Tensor, ...]) -> Observations:
        return dict(zip(self.keys, tensors, strict=True)) if self.keys else tensors[0]


def export_onnx(model: RewardModel, path: Path | str) -> float:
    """Export a reward to ONNX, with any batch size, named inputs and the output ``rewards``.

    Inputs are raw values in the types of the spaces: float32 for numbers, int64 for Discrete values, uint8 for images.

    Args:
        model: the reward.
        path: file to write, atomically.

    Returns:
        The largest observed difference from the original, relative to the largest reward (or to 1, if that is larger).

    Raises:
        MissingDependency: onnx is not installed.
        StorageError: the exported reward differs from the original; nothing is written.
    """
    if importlib.util.find_spec("onnx") is None:
        raise MissingDependency("exporting to ONNX needs the package onnx; install it with: pip install 'ganq-irl[export]'")
    from onnx import load_model_from_string
    from onnx.reference import ReferenceEvaluator

    priced, batch = _prepared(model)
    content = io.BytesIO()
    names = priced.input_names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about Python values: the shapes of spaces, which are constant
        torch.onnx.export(
            priced,
            priced.flat(batch),
            content,  # type: ignore[arg-type]  # this exporter accepts a file in memory
            input_names=list(names),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch"} for name in (*names, OUTPUT)},
            dynamo=False,  # the newer exporter needs another package and adds nothing for these networks
        )
    evaluator = ReferenceEvaluator(load_model_from_string(content.getvalue()))
    taken = set(evaluator.input_names)  # the tracer drops inputs that the reward does not use

    def exported(*tensors: Tensor) -> np.ndarray:
        given = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True) if name in taken}
        outputs: Any = evaluator.run(None, given)
        return outputs[0]

    difference = _checked(model, priced, exported, "ONNX")
    replace_file(Path(path), content.getvalue())
    return difference


def export_torch(model: RewardModel, path: Path | str) -> float:
    """Export a reward as a ``torch.export`` program (``.pt2``), with any batch size and the inputs of ``export_onnx``.

    Args:
        model: the reward.
        path: file to write, atomically.

    Returns:
        The largest difference from the original, as in ``export_onnx``.

    Raises:
        StorageError: the exported reward differs from the original; nothing is written.
    """
    priced, batch = _prepared(model)
    tensors = priced.flat(batch)
    rows = torch.export.Dim("batch")
    # The shapes of *tensors are those of one argument, a tuple.
    program = torch.export.export(priced, tensors, dynamic_shapes=(tuple({0: rows} for _ in tensors),))
    module = program.module()
    difference = _checked(model, priced, lambda *given: module(*given).numpy(), "torch.export")
    content = io.BytesIO()
    torch.export.save(program, content)
    replace_file(Path(path), content.getvalue())
    return difference


def _prepared(model: RewardModel) -> tuple[PricedTransitions, Batch]:
    model = copy.deepcopy(model).to("cpu")
    return PricedTransitions(model), _example(model, _ROWS[0])


def _checked(model: RewardModel, priced: PricedTransitions, exported: Callable[..., np.ndarray], what: str) -> float:
    batch = _example(model, _ROWS[1])
    original = model.price(batch).cpu().numpy()
    rewards = np.asarray(exported(*priced.flat(batch)))
    scale = max(1.0, float(np.abs(original).max()))
    difference = float(np.abs(rewards - original).max()) / scale if rewards.shape == original.shape else np.inf
    if not difference <= TOLERANCE:
        raise StorageError(
            f"the reward exported to {what} differs from the original by {difference:.2g} of its scale (limit {TOLERANCE}); "
            "nothing was written. Use the RewardModel itself, which loads anywhere"
        )
    return difference


def _example(model: RewardModel, n: int) -> Batch:
    """Return random transitions with the mean and standard deviation that the encoder was fitted to."""
    rng = np.random.default_rng(n)
    observations, following = (_rows(model, model.observation_space, "observations", rng, n) for _ in range(2))
    actions = _rows(model, model.action_space, "actions", rng, n)
    return Batch(observations, actions, following, torch.as_tensor(rng.integers(2, size=n), dtype=torch.float32))


def _rows(
    model: RewardModel, space: spaces.Space, field: str, rng: np.random.Generator, n: int, key: str | None = None
) -> Any:
    if isinstance(space, spaces.Dict):
        return {name: _rows(model, each, field, rng, n, name) for name, each in space.spaces.items()}
    if not isinstance(space, spaces.Box) or np.issubdtype(space.dtype, np.integer):
        drawn = copy.deepcopy(space)
        drawn.seed(int(rng.integers(2**31)))
        return torch.as_tensor(np.stack([drawn.sample() for _ in range(n)]))
    values = rng.standard_normal((n, int(np.prod(space.shape))))
    for part in model.discriminator.encoder.parts:
        if (part.field, part.key) == (field, key):
            mean, std = (statistic[part.columns].cpu().numpy() for statistic in _statistics(model))
            values = mean + std * values
    return torch.as_tensor(values.reshape(n, *space.shape).clip(space.low, space.high).astype(np.float32))


def _statistics(model: RewardModel) -> tuple[Tensor, Tensor]:
    encoder = model.discriminator.encoder
    return encoder.mean, encoder.std
