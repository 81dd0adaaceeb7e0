"""What each stabilizer of batches, losses and gates does, against its paper."""

import math

import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import LOSSES, Discriminator, Encoded, InputEncoder, build_stabilizer
from ganq_irl.discriminator.losses import build_loss
from tests.toys import KINDS, parameters_of, toy_batch, toy_discriminator, toy_learner, toy_updates


def encoded(n, value=0.0, dim=5):
    return Encoded(torch.full((n, dim), float(value)), torch.full((n,), float(value)), torch.full((n,), float(value)))


def attached(spec, kind="plain"):
    stabilizer = build_stabilizer(spec)
    stabilizer.attach(toy_discriminator(kind), None)
    return stabilizer


# Instance noise.


def test_noise_moves_continuous_columns_alone():
    """One-hot actions, bits, pixels and terminal flags stay what they are."""
    space = spaces.Dict({"arm": spaces.Box(-1, 1, (2,)), "grip": spaces.MultiBinary(2), "mode": spaces.Discrete(2)})
    encoder = InputEncoder(space, spaces.Discrete(2), ("observations", "actions", "dones"))
    noise = build_stabilizer("instance-noise")
    noise.attach(Discriminator(encoder), None)
    real, fake = encoded(50, dim=encoder.dim), encoded(50, dim=encoder.dim)
    for side, given in zip(noise.on_batch(real, fake, torch.Generator().manual_seed(0)), (real, fake), strict=True):
        moved = (side.features != given.features).all(dim=0)
        assert moved.tolist() == [True, True] + [False] * (encoder.dim - 2)
        assert torch.equal(side.dones, given.dones)


def test_noise_has_its_deviation_and_differs_between_sides():
    noise = attached({"name": "instance-noise", "std": 0.25})
    real, fake = noise.on_batch(encoded(20_000), encoded(20_000), torch.Generator().manual_seed(0))
    for side in (real, fake):
        assert side.features[:, :3].std().item() == pytest.approx(0.25, rel=0.02)
        assert side.features[:, :3].mean().item() == pytest.approx(0, abs=0.01)
    assert not torch.equal(real.features, fake.features)


def test_noise_anneals_linearly_to_nothing():
    noise, generator = attached({"name": "instance-noise", "std": 1.0, "n_anneal": 4}), torch.Generator().manual_seed(0)
    deviations = [noise.on_batch(encoded(10_000), encoded(1), generator)[0].features[:, :3].std().item() for _ in range(6)]
    assert deviations == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0], rel=0.02)
    assert deviations[4] == deviations[5] == 0


# Replay of fakes.


def test_replay_mixes_in_old_fakes_and_never_keeps_more_than_its_size():
    replay, generator = attached({"name": "fake-replay", "size": 10, "fraction": 0.5}), torch.Generator().manual_seed(0)
    real = encoded(4, value=-1)
    for update in range(30):
        given, mixed = replay.on_batch(real, encoded(4, value=update), generator)
        assert given is real
        assert len(mixed) == 4
        n_old = 2 if update else 0
        assert (mixed.features[:, 0] == update).sum() == 4 - n_old
        assert (mixed.features[:, 0] < update).sum() == n_old
        assert torch.equal(mixed.dones, mixed.features[:, 0])  # rows stay whole
        assert torch.equal(mixed.offset, mixed.features[:, 0])
        assert int(replay.stored) == min(10, 4 * (update + 1))
        assert len(replay.features) == 10


def test_replay_keeps_rows_of_many_rounds():
    """Rows are overwritten at random, so that the store's ages spread out instead of being the last rounds alone."""
    replay, generator = attached({"name": "fake-replay", "size": 100}), torch.Generator().manual_seed(0)
    for update in range(60):
        replay.on_batch(encoded(1), encoded(10, value=update), generator)
    ages = 59 - replay.features[:, 0]
    assert (ages == 0).sum() == 10
    assert ages.max() > 20
    assert len(ages.unique()) > 12


@pytest.mark.parametrize(("fraction", "n_old"), [(0.0, 0), (0.25, 2), (1.0, 8)])
def test_the_fraction_of_old_rows(fraction, n_old):
    replay = attached({"name": "fake-replay", "size": 20, "fraction": fraction})
    generator = torch.Generator().manual_seed(0)
    replay.on_batch(encoded(1), encoded(8, value=1), generator)
    _, mixed = replay.on_batch(encoded(1), encoded(8, value=2), generator)
    assert (mixed.features[:, 0] == 1).sum() == n_old


def test_a_batch_larger_than_the_store():
    replay = attached({"name": "fake-replay", "size": 3})
    for value in (1, 2):
        _, mixed = replay.on_batch(encoded(1), encoded(8, value=value), torch.Generator().manual_seed(0))
        assert int(replay.stored) == 3
    assert (replay.features == 2).all()
    assert (mixed.features[:, 0] == 1).sum() == 4


# Gates.


def test_weights_are_clipped_from_the_start_at_the_papers_bound():
    learner = toy_learner(loss="wasserstein", stabilizers=["weight-clipping"])
    for _ in range(2):
        largest = max(parameter.abs().max().item() for parameter in learner.discriminator.parameters())
        assert largest == pytest.approx(0.01)  # Arjovsky et al. (2017), algorithm 1
        toy_updates(learner, 1)


def test_freezing_skips_while_the_discriminator_is_too_strong():
    learner = toy_learner(stabilizers=[{"name": "freezing", "ceiling": 0.9}, "averaged-discriminator"], learning_rate=3e-2)
    skipped = []
    for seed in range(40):
        before = parameters_of(learner.discriminator)
        metrics = learner.update(toy_batch(64, seed=2 * seed, shift=3.0), toy_batch(64, seed=2 * seed + 1, shift=-3.0))
        accuracy = (metrics["real_accuracy"] + metrics["fake_accuracy"]) / 2
        skipped.append(torch.equal(parameters_of(learner.discriminator), before))
        assert skipped[-1] == (accuracy > 0.9)
        assert ("gradient_norm" in metrics) != skipped[-1]
    assert not skipped[0]
    assert skipped[-1]
    assert learner.n_updates == 40


def test_freezing_asks_the_loss_for_the_middle():
    """Least-squares scores all lie above 0; accuracy is against 1/2."""
    learner = toy_learner(loss="least-squares", stabilizers=[{"name": "freezing", "ceiling": 0.5}])
    with torch.no_grad():
        learner.discriminator.network.layers[-1].weight.zero_()
        learner.discriminator.network.layers[-1].bias.fill_(0.4)
    before = parameters_of(learner.discriminator)
    (metrics,) = toy_updates(learner, 1)
    assert metrics["real_accuracy"] == 0
    assert metrics["fake_accuracy"] == 1
    assert not torch.equal(parameters_of(learner.discriminator), before)


@pytest.mark.parametrize(
    "other", ["spectral-norm", "batch-norm", "minibatch-discrimination", "averaged-discriminator", "r1"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_discriminator_never_changes_its_mind(kind, other):
    """Neither by a step nor by running statistics or power iterations: the control's score is random and *fixed*."""
    learner = toy_learner(kind, stabilizers=[other, "frozen"])
    before = learner.scorer(toy_batch(seed=9))
    metrics = toy_updates(learner, 3)
    assert torch.equal(learner.scorer(toy_batch(seed=9)), before)
    assert torch.isfinite(metrics[-1]["loss"])


# Losses.


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.5])
def test_label_smoothing_of_bce_is_cross_entropy_with_a_soft_label(epsilon):
    scores, fake_scores = torch.tensor([2.0, -1.0, 0.3]), torch.tensor([1.0, 0.5])
    loss = build_loss("bce")
    smoothing = attached({"name": "label-smoothing", "epsilon": epsilon})
    real, fake = smoothing.on_losses(loss, scores, fake_scores, (loss.real(scores), loss.fake(fake_scores)))
    soft = torch.full((3,), 1 - epsilon)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, soft, reduction="none")
    assert torch.allclose(real, expected)
    assert torch.equal(fake, loss.fake(fake_scores))  # one-sided


@pytest.mark.parametrize("name", LOSSES)
def test_label_smoothing_of_any_loss_mixes_its_sides(name):
    scores, loss = torch.tensor([0.7, 0.2]), build_loss(name)
    smoothing = attached({"name": "label-smoothing", "epsilon": 0.2})
    real, _ = smoothing.on_losses(loss, scores, scores, (loss.real(scores), loss.fake(scores)))
    assert torch.allclose(real, 0.8 * loss.real(scores) + 0.2 * loss.fake(scores))


def test_label_smoothing_caps_certainty():
    """D* = (1 - ε) p / (p + q): where all is real the logit stops at log (1 - ε) / ε."""
    learner = toy_learner(hidden=(), learning_rate=0.1, stabilizers=[{"name": "label-smoothing", "epsilon": 0.1}])
    real, fake = toy_batch(shift=8.0), toy_batch(shift=-8.0)
    for _ in range(300):
        learner.update(real, fake)
    assert learner.scorer(real).mean().item() == pytest.approx(math.log(0.9 / 0.1), abs=0.1)
