import sys

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import (
    STABILIZERS,
    STATE_ACTION,
    STATE_ACTION_STATE,
    Discriminator,
    InputEncoder,
    ShapedDiscriminator,
    build_stabilizer,
)
from ganq_irl.errors import MissingDependency, StorageError
from ganq_irl.rewards import RewardModel
from ganq_irl.rewards.export import TOLERANCE, PricedTransitions, export_onnx, export_torch
from ganq_irl.types import Batch
from tests.toys import toy_batch, toy_discriminator, toy_learner, toy_updates

ARCHITECTURE = [name for name in STABILIZERS if build_stabilizer(name).changes_architecture]
MODELS = {
    "plain": lambda: RewardModel(toy_discriminator(), "gail"),
    "f": lambda: RewardModel(toy_discriminator("shaped"), "f"),
    "g": lambda: RewardModel(toy_discriminator("shaped"), "g"),
    "dict": lambda: RewardModel(Discriminator(InputEncoder(DICT, BOX, STATE_ACTION), (8,)), "logit"),
    "tabular": lambda: RewardModel(
        ShapedDiscriminator(InputEncoder(spaces.Discrete(5), spaces.Discrete(3), STATE_ACTION_STATE), ("observations",)), "g"
    ),
    "pixels": lambda: RewardModel(Discriminator(InputEncoder(PIXELS, BOX, STATE_ACTION), (8,)), "logit"),
}
DICT = spaces.Dict(a=spaces.Box(-1, 1, (2,), np.float32), b=spaces.Discrete(3))
BOX = spaces.Box(-2, 2, (2,), np.float32)
PIXELS = spaces.Box(0, 255, (3, 40, 40), np.uint8)


def onnx_rewards(path, model, batch):
    reference = pytest.importorskip("onnx.reference")
    priced = PricedTransitions(model)
    evaluator = reference.ReferenceEvaluator(str(path))
    given = dict(zip(priced.input_names, priced.flat(batch), strict=True))
    return evaluator.run(None, {name: given[name].numpy() for name in evaluator.input_names})[0]


def torch_rewards(path, model, batch):
    with torch.no_grad():
        return torch.export.load(path).module()(*PricedTransitions(model).flat(batch)).numpy()


FORMATS = {"onnx": (export_onnx, onnx_rewards), "pt2": (export_torch, torch_rewards)}


@pytest.fixture(params=FORMATS)
def format_(request):
    if request.param == "onnx":
        pytest.importorskip("onnx")
    return request.param


def batch_for(model, n):
    space = model.observation_space
    rng = np.random.default_rng(n)

    def rows(space):
        if isinstance(space, spaces.Dict):
            return {key: rows(value) for key, value in space.spaces.items()}
        space.seed(int(rng.integers(100)))
        return torch.as_tensor(np.stack([space.sample() for _ in range(n)]))

    return Batch(rows(space), rows(model.action_space), rows(space), torch.arange(n).remainder(2).float())


@pytest.mark.parametrize("name", MODELS)
def test_the_file_prices_as_the_model_does(name, format_, tmp_path):
    model = MODELS[name]()
    write, read = FORMATS[format_]
    path = tmp_path / f"reward.{format_}"
    assert write(model, path) <= TOLERANCE
    for n in (1, 23):
        batch = batch_for(model, n)
        np.testing.assert_allclose(read(path, model, batch), model.price(batch).numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stabilizer", ARCHITECTURE)
def test_every_architecture_is_exported(stabilizer, format_, tmp_path):
    """Both networks of the shaped discriminator are of the plain one's kind; only ONNX, which is quick, tries both."""
    for kind in ("plain", "shaped") if format_ == "onnx" else ("shaped",):
        assert_is_exported(stabilizer, kind, format_, tmp_path)


def assert_is_exported(stabilizer, kind, format_, tmp_path):
    learner = toy_learner(kind, stabilizers=[stabilizer])
    toy_updates(learner, 1)
    model = RewardModel(learner.scorer, "g" if kind == "shaped" else "logit")
    write, read = FORMATS[format_]
    write(model, tmp_path / "reward")
    batch = toy_batch(9, seed=3)
    np.testing.assert_allclose(read(tmp_path / "reward", model, batch), model.price(batch).numpy(), atol=1e-5, rtol=1e-5)


def test_an_export_that_prices_otherwise_is_not_written(format_, tmp_path, monkeypatch):
    """What is exported is told to add a hair more than the tolerance."""
    forward = PricedTransitions.forward
    monkeypatch.setattr(PricedTransitions, "forward", lambda self, *tensors: forward(self, *tensors) + 1e-3)
    with pytest.raises(StorageError, match=r"differs from the original by 0\.001"):
        FORMATS[format_][0](MODELS["plain"](), tmp_path / "reward")
    assert not any(tmp_path.iterdir())


def test_the_model_is_left_as_it_was(format_, tmp_path):
    model = MODELS["f"]()
    batch, before = toy_batch(), model.discriminator
    rewards = model.price(batch)
    FORMATS[format_][0](model, tmp_path / "reward")
    assert model.discriminator is before
    assert torch.equal(model.price(batch), rewards)


def test_inputs_have_the_types_of_their_spaces(tmp_path):
    onnx = pytest.importorskip("onnx")
    tiny = spaces.Box(0, 255, (2, 2, 1), np.uint8)
    discriminator = Discriminator(InputEncoder(tiny, spaces.Discrete(3), STATE_ACTION_STATE), (4,))
    export_onnx(RewardModel(discriminator, "logit"), tmp_path / "reward.onnx")
    given = {each.name: each.type.tensor_type.elem_type for each in onnx.load(tmp_path / "reward.onnx").graph.input}
    image, index = onnx.TensorProto.UINT8, onnx.TensorProto.INT64
    assert {name: given[name] for name in ("observations", "actions", "next_observations")} == {
        "observations": image, "actions": index, "next_observations": image,
    }  # fmt: skip


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependency, match=r"ganq-irl\[export\]"):
        export_onnx(MODELS["plain"](), tmp_path / "reward.onnx")
