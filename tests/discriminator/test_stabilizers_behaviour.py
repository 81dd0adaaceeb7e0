"""What each stabiliser of batches, losses, gates, penalties and parameters does, against its paper."""

import math

import pytest
import torch
from gymnasium import spaces
from toys import KINDS, parameters_of, toy_batch, toy_discriminator, toy_learner, toy_updates

from ganq_irl.discriminator import LOSSES, Discriminator, DiscriminatorLearner, Encoded, InputEncoder, build_stabilizer
from ganq_irl.discriminator.losses import build_loss
from ganq_irl.discriminator.stabilizers import Step
from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Batch


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


# Penalties.


class LinearScore:
    """A learner whose score is w·(s, a) + b for w of a known norm."""

    def __init__(self, spec, norm=3.0, loss="bce"):
        encoder = InputEncoder(spaces.Box(-9, 9, (2,)), spaces.Box(-1, 1, (2,)), ("observations", "actions"))
        self.learner = DiscriminatorLearner(Discriminator(encoder, ()), self.batch(2), loss=loss, stabilizers=[spec])
        encoder.mean.zero_()
        encoder.std.fill_(1.0)
        layer = self.learner.discriminator.network.layers[0]
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[0.5, -0.5, 0.5, -0.5]]) * norm)
            layer.bias.zero_()

    @staticmethod
    def batch(seed):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)
        return Batch(x[:, :2], x[:, 2:], x[:, :2], torch.zeros(8))

    def metrics(self):
        return self.learner.update(self.batch(0), self.batch(1))


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        ("gradient-penalty", 10.0, 10 * (3 - 1) ** 2),
        ("zero-centered-gradient-penalty", 10.0, 10 * 3**2),
        ("r1", 10.0, 10 / 2 * 3**2),
        ("r2", 0.5, 0.5 / 2 * 3**2),
    ],
)
def test_gradient_penalties_of_a_linear_score(name, weight, expected):
    metrics = LinearScore({"name": name, "weight": weight}).metrics()
    assert metrics[f"penalty/{name}"].item() == pytest.approx(expected, rel=1e-4)


def test_a_gradient_of_norm_one_is_what_the_one_centred_penalty_wants():
    assert LinearScore("gradient-penalty", norm=1.0).metrics()["penalty/gradient-penalty"].item() == pytest.approx(
        0, abs=1e-6
    )


def test_r1_looks_at_real_rows_and_r2_at_fake_ones():
    for name, expected in (("r1", 1.0), ("r2", 4.0)):
        stabilizer = build_stabilizer({"name": name, "weight": 2.0})
        learner = toy_learner()
        score = lambda rows: (rows.features**2).sum(dim=1) / 2  # noqa: E731  # ‖∇‖² = ‖x‖²
        learner.discriminator.score = score
        real, fake = encoded(3, 5**-0.5), encoded(3, (4 / 5) ** 0.5)
        step = Step(learner.discriminator, learner.loss, real, fake, score(real), score(fake), learner.generator)
        assert stabilizer.penalty(step).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", ["bce", "least-squares", "kl"])
def test_logit_entropy_reads_the_loss_s_log_ratio(loss):
    linear = LinearScore({"name": "logit-entropy", "weight": 0.5}, norm=0.3, loss=loss)
    with torch.no_grad():
        linear.learner.discriminator.network.layers[0].bias.fill_(0.5)
        scores = torch.cat([linear.learner.discriminator(linear.batch(seed)) for seed in (0, 1)])
        d = torch.sigmoid(linear.learner.loss.log_ratio(scores)).double()
    entropy = -(d * d.log() + (1 - d) * (1 - d).log()).mean().item()
    assert linear.metrics()["penalty/logit-entropy"].item() == pytest.approx(-0.5 * entropy, abs=1e-5)


def test_historical_averaging_is_the_distance_to_the_mean_of_the_past():
    learner = toy_learner(stabilizers=[{"name": "historical-averaging", "weight": 2.0}], learning_rate=1e-2)
    past = [parameters_of(learner.discriminator)]
    for update in range(6):
        distance = ((past[-1] - torch.stack(past).mean(dim=0)) ** 2).sum().item()
        (metrics,) = toy_updates(learner, 1, start=update)
        assert metrics["penalty/historical-averaging"].item() == pytest.approx(2.0 * distance, rel=1e-3, abs=1e-7)
        past.append(parameters_of(learner.discriminator))
    assert distance > 1e-4


# After the step.


def test_the_averaged_discriminator_follows_at_its_decay_and_scores():
    learner = toy_learner(stabilizers=[{"name": "averaged-discriminator", "decay": 0.8}], learning_rate=1e-2)
    scorer = learner.scorer
    assert scorer is not learner.discriminator
    assert torch.equal(scorer(toy_batch()), learner.discriminator.eval()(toy_batch()))
    toy_updates(learner, 1)
    average = parameters_of(learner.discriminator)  # the first step starts the average
    assert torch.equal(parameters_of(learner.scorer), average)
    for update in range(1, 6):
        toy_updates(learner, 1, start=update)
        average = 0.8 * average + 0.2 * parameters_of(learner.discriminator)
        assert torch.allclose(parameters_of(learner.scorer), average, atol=1e-6)
    assert not torch.allclose(average, parameters_of(learner.discriminator), atol=1e-4)


def test_the_average_of_a_normalised_discriminator_takes_its_buffers():
    learner = toy_learner(stabilizers=["averaged-discriminator", "batch-norm"])
    toy_updates(learner, 4)
    buffers = dict(learner.discriminator.named_buffers())
    for name, buffer in learner.scorer.named_buffers():
        assert torch.equal(buffer, buffers[name])


@pytest.mark.parametrize("other", ["spectral-norm", "minibatch-discrimination", "batch-norm", "virtual-batch-norm"])
@pytest.mark.parametrize("name", ["averaged-discriminator", "historical-averaging"])
def test_what_tracks_parameters_finds_the_final_networks_whatever_the_order(name, other):
    """A parametrised weight moves in the order of parameters: a copy taken before would follow the wrong ones."""
    scores = []
    for names in ([name, other], [other, name]):
        learner = toy_learner(stabilizers=names)
        toy_updates(learner, 4)
        scores.append(learner.scorer(toy_batch()))
    assert torch.equal(*scores)


@pytest.mark.parametrize("bound", [0.01, 0.2])
def test_weight_clipping_holds_before_and_after_every_step(bound):
    learner = toy_learner(stabilizers=[{"name": "weight-clipping", "bound": bound}], loss="wasserstein", learning_rate=0.1)
    assert parameters_of(learner.discriminator).abs().max() <= bound
    toy_updates(learner, 3)
    clipped = parameters_of(learner.discriminator).abs()
    assert clipped.max() == torch.tensor(bound)
    assert (clipped == torch.tensor(bound)).float().mean() > 0.1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "instance-noise", "std": -0.1}, r"std = -0.1, expected a number from 0.0"),
        ({"name": "instance-noise", "n_anneal": -1}, "n_anneal = -1, expected an integer from 0"),
        ({"name": "fake-replay", "fraction": 1.1}, "fraction = 1.1"),
        ({"name": "fake-replay", "size": 0}, "size = 0, expected an integer from 1"),
        ({"name": "fake-replay", "size": 1e4}, r"size = 10000.0, expected an integer"),
        ({"name": "freezing", "ceiling": 0.4}, "ceiling = 0.4, expected a number from 0.5 to 1.0"),
        ({"name": "label-smoothing", "epsilon": 0.6}, "epsilon = 0.6"),
        ({"name": "r1", "weight": -1.0}, "weight = -1.0"),
        ({"name": "gradient-penalty", "weight": "ten"}, "gradient-penalty: weight = 'ten', expected a number"),
        ({"name": "logit-entropy", "weight": math.nan}, "weight = nan"),
        ({"name": "averaged-discriminator", "decay": 1.5}, "decay = 1.5"),
        ({"name": "weight-clipping", "bound": 0.0}, "bound = 0.0"),
    ],
)
def test_settings_out_of_range(spec, message):
    with pytest.raises(ConfigurationError, match=message):
        toy_learner(stabilizers=[spec])
