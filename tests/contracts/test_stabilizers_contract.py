"""What every stabilizer must do, with every loss and on both discriminators."""

import itertools
import json
from dataclasses import fields

import pytest
import torch

from ganq_irl.discriminator import LOSSES, STABILIZERS, build_stabilizer
from ganq_irl.errors import ConfigurationError
from ganq_irl.storage import flatten_state, load_folder, save_folder, unflatten_state
from ganq_irl.types import Batch
from tests.toys import KINDS, parameters_of, toy_batch, toy_learner, toy_updates

SETTINGS = {
    "fake-replay": {"size": 48},
    "instance-noise": {"std": 0.1, "n_anneal": 20},
    "spectral-norm": {"scale": 2.0},
}
"""Where the defaults are large, or would leave something untouched in a few updates."""


def spec(name):
    return {"name": name, **SETTINGS.get(name, {})}


def is_contradiction(name, loss):
    return STABILIZERS[name].needs_log_ratio and not LOSSES[loss].has_log_ratio


ALL = [
    (name, loss, KINDS[(i + j) % 2])  # every pair of names, losses and discriminators; of triples, half
    for (i, name), (j, loss) in itertools.product(enumerate(STABILIZERS), enumerate(LOSSES))
]
POSSIBLE = [case for case in ALL if not is_contradiction(*case[:2])]


def through_storage(state, folder):
    """A state as another process would read it."""
    skeleton, tensors = flatten_state(state)
    save_folder(folder, {"state": skeleton}, tensors)
    config, loaded = load_folder(folder)
    return unflatten_state(config["state"], loaded)


def same(metrics, others):
    return all(
        one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
        for one, other in zip(metrics, others, strict=True)
    )


@pytest.mark.parametrize(("name", "loss", "kind"), POSSIBLE)
def test_learns_saves_and_continues_bit_identically(name, loss, kind, tmp_path):
    learner = toy_learner(kind, loss=loss, stabilizers=[spec(name)])
    before = parameters_of(learner.discriminator)
    metrics = toy_updates(learner, 3)
    assert all(torch.isfinite(value) for update in metrics for value in update.values())
    assert torch.isfinite(parameters_of(learner.discriminator)).all()
    assert torch.equal(parameters_of(learner.discriminator), before) == STABILIZERS[name].freezes

    heir = toy_learner(kind, seed=1, loss=loss, stabilizers=[spec(name)])  # other weights, other noise
    heir.load_state_dict(through_storage(learner.state_dict(), tmp_path / "state"))
    probe = toy_batch(seed=99)
    assert torch.equal(heir.scorer(probe), learner.scorer(probe))
    assert same(toy_updates(heir, 2, start=3), toy_updates(learner, 2, start=3))
    assert torch.equal(heir.scorer(probe), learner.scorer(probe))
    assert torch.equal(parameters_of(heir.discriminator), parameters_of(learner.discriminator))
    assert heir.n_updates == learner.n_updates == 5


@pytest.mark.parametrize(("name", "loss", "kind"), [case for case in ALL if is_contradiction(*case[:2])])
def test_a_contradiction_between_stabilizer_and_loss_is_refused(name, loss, kind):
    with pytest.raises(ConfigurationError, match=f"{name!r} needs log-ratios and the loss {loss!r} has none"):
        toy_learner(kind, loss=loss, stabilizers=[spec(name)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STABILIZERS)
def test_equal_seeds_give_equal_runs(name, kind):
    one, other = (toy_learner(kind, seed=3, stabilizers=[spec(name)]) for _ in range(2))
    assert same(toy_updates(one), toy_updates(other))
    assert torch.equal(parameters_of(one.discriminator), parameters_of(other.discriminator))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STABILIZERS)
def test_in_evaluation_a_score_never_depends_on_batch_mates(name, kind):
    learner = toy_learner(kind, stabilizers=[spec(name)])
    toy_updates(learner)
    scorer, batch = learner.scorer, toy_batch(seed=40)
    scores = scorer(batch)
    others = Batch.cat([batch[:1], toy_batch(31, seed=41, shift=5.0)])
    assert torch.equal(scorer(others)[0], scores[0])
    assert torch.allclose(torch.cat([scorer(batch[i : i + 1]) for i in range(32)]), scores, atol=1e-5)
    assert torch.equal(scorer(batch), scores)  # and scoring leaves no trace


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STABILIZERS)
def test_a_row_s_training_score_depends_on_batch_mates_where_it_is_declared(name, kind):
    learner = toy_learner(kind, stabilizers=[spec(name)])
    toy_updates(learner, 1)
    learner.scorer.requires_grad_(False)
    discriminator, batch = learner.discriminator.train(), toy_batch(seed=40)
    others = Batch.cat([batch[:1], toy_batch(31, seed=41, shift=5.0)])
    with torch.nn.utils.parametrize.cached():  # a power iteration is no batch-mate
        scores = discriminator(batch)[0], discriminator(others)[0]
    assert torch.equal(*scores) != STABILIZERS[name].uses_batch_statistics


@pytest.mark.parametrize(
    ("batch", "gradient"),
    itertools.product(
        [name for name, kind in STABILIZERS.items() if kind.uses_batch_statistics],
        [name for name, kind in STABILIZERS.items() if kind.penalizes_gradient],
    ),
)
def test_batch_statistics_and_gradient_penalties_are_refused_together(batch, gradient):
    for names in ([batch, gradient], [gradient, batch]):
        with pytest.raises(ConfigurationError, match=rf"'{gradient}' needs .*'{batch}' a score depends"):
            toy_learner(stabilizers=names)


@pytest.mark.parametrize("name", STABILIZERS)
def test_settings_describe_and_rebuild(name):
    stabilizer = build_stabilizer(spec(name))
    description = json.loads(json.dumps(stabilizer.settings()))
    assert description["name"] == name == stabilizer.name
    assert build_stabilizer(description).settings() == stabilizer.settings()
    assert {field.name for field in fields(stabilizer)} == description.keys() - {"name"}
    assert build_stabilizer(stabilizer) is stabilizer


def shapes_of(learner):
    state = learner.state_dict()
    return {(part, key): value.shape for part in ("discriminator", "stabilizers") for key, value in state[part].items()}


@pytest.mark.parametrize("name", STABILIZERS)
def test_state_is_allocated_when_attached_and_not_later(name):
    learner = toy_learner("shaped", stabilizers=[spec(name)])
    shapes = shapes_of(learner)
    toy_updates(learner)
    assert shapes_of(learner) == shapes


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_go_together_go_together(kind, tmp_path):
    """Everything but the gradient penalties, then everything but the batch statistics."""
    for excluded in ("penalizes_gradient", "uses_batch_statistics"):
        names = [name for name, one in STABILIZERS.items() if not getattr(one, excluded) and name != "frozen"]
        learner, heir = (toy_learner(kind, seed=seed, stabilizers=[spec(name) for name in names]) for seed in (0, 1))
        metrics = toy_updates(learner)
        assert all(torch.isfinite(value) for update in metrics for value in update.values())
        heir.load_state_dict(through_storage(learner.state_dict(), tmp_path / excluded))
        assert same(toy_updates(heir, 2, start=3), toy_updates(learner, 2, start=3))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STABILIZERS)
def test_learns_and_continues_on_a_gpu(name, kind, tmp_path):
    learner, heir = (toy_learner(kind, seed=seed, device="cuda", stabilizers=[spec(name)]) for seed in (0, 1))
    metrics = toy_updates(learner, device="cuda")
    assert all(value.device.type == "cuda" for update in metrics for value in update.values() if value.ndim == 0)
    heir.load_state_dict(through_storage(learner.state_dict(), tmp_path / "state"))  # read to the CPU
    assert torch.allclose(heir.scorer(toy_batch(device="cuda")), learner.scorer(toy_batch(device="cuda")))
    toy_updates(heir, 2, start=3, device="cuda")
