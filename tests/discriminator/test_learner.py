import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.nn.utils import parametrize

from ganq_irl.discriminator import (
    STABILIZERS,
    STATE_ACTION,
    STATE_ACTION_RETURN,
    BottleneckDiscriminator,
    Discriminator,
    DiscriminatorLearner,
    InputEncoder,
    ReturnDiscriminator,
)
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.types import Batch
from tests.toys import ACTIONS, KINDS, OBSERVATIONS, parameters_of, toy_batch, toy_discriminator, toy_learner, toy_updates


def gaussians(seed, n=256, mean=1.0):
    """Real around +mean, fake around -mean: log p/q = 2 mean·x, the same in every dimension."""
    real, fake = toy_batch(n, seed=2 * seed, shift=mean), toy_batch(n, seed=2 * seed + 1, shift=-mean)
    zero = torch.zeros(n)
    return replace(real, log_probs=zero), replace(fake, log_probs=zero)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_separate_two_gaussians(kind):
    learner = toy_learner(kind, learning_rate=1e-2, reference=gaussians(0)[0])
    first = learner.update(*gaussians(0))
    for seed in range(1, 150):
        last = learner.update(*gaussians(seed))
    assert last["loss"] < 0.5 * first["loss"]
    assert last["real_accuracy"] > 0.9
    assert last["fake_accuracy"] > 0.9
    real, fake = gaussians(1000)
    assert learner.scorer(real).mean() > 2 > -2 > learner.scorer(fake).mean()


def test_the_score_becomes_the_log_ratio_of_the_gaussians():
    learner = toy_learner(hidden=(), learning_rate=1e-2, reference=gaussians(0)[0])
    for seed in range(600):
        learner.set_learning_rate(1e-2 * (1 - seed / 600))
        learner.update(*gaussians(seed, mean=0.3))
    real, fake = gaussians(1000, 512, mean=0.3)
    both = Batch.cat([real, fake])
    log_ratio = 2 * 0.3 * both.observations.sum(dim=1)
    assert (learner.scorer(both) - log_ratio).abs().mean() < 0.15


@pytest.mark.parametrize("name", ["bce", "least-squares", "kl", "hinge"])
@pytest.mark.parametrize("kind", KINDS)
def test_metrics_are_those_of_the_scores_before_the_step(kind, name):
    learner, real, fake = toy_learner(kind, loss=name), toy_batch(), toy_batch(20, seed=1)
    with torch.no_grad():
        scores = [learner.discriminator(side) for side in (real, fake)]
    if kind == "shaped":
        scores = [learner.loss.score_of(log_ratios) for log_ratios in scores]
    metrics = learner.update(real, fake)
    assert metrics["loss"].item() == pytest.approx(
        (learner.loss.real(scores[0]).mean() + learner.loss.fake(scores[1]).mean()).item(), abs=1e-5
    )
    assert metrics["score_gap"].item() == pytest.approx((scores[0].mean() - scores[1].mean()).item(), abs=1e-5)
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    assert learner.n_updates == 1


def test_a_shaped_discriminator_states_airls_d_to_every_loss():
    """D = exp(f) / (exp(f) + π): for least squares the score is D itself."""
    learner, real, fake = toy_learner("shaped", loss="least-squares"), toy_batch(), toy_batch(seed=1)
    with torch.no_grad():
        d = []
        for batch in (real, fake):
            f = learner.discriminator.shaped_reward(learner.discriminator.encode(batch))
            d.append(f.exp() / (f.exp() + batch.log_probs.exp()))
    expected = ((d[0] - 1) ** 2 / 2).mean() + (d[1] ** 2 / 2).mean()
    assert learner.update(real, fake)["loss"].item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_first_step_of_adam_is_the_learning_rate():
    learner = toy_learner(learning_rate=1e-3)
    before = parameters_of(learner.discriminator)
    learner.set_learning_rate(5e-3)
    toy_updates(learner, 1)
    steps = (parameters_of(learner.discriminator) - before).abs()
    assert steps.max().item() == pytest.approx(5e-3, rel=1e-3)
    assert steps.median().item() == pytest.approx(5e-3, rel=1e-2)


def test_a_learning_rate_of_zero_stops_it():
    learner = toy_learner()
    toy_updates(learner, 1)
    before = parameters_of(learner.discriminator)
    learner.set_learning_rate(0.0)
    toy_updates(learner, 2, start=1)
    assert torch.equal(parameters_of(learner.discriminator), before)


@pytest.mark.parametrize(("bound", "factor"), [(None, None), (1e-3, 1e-3), (1e6, None)])
def test_the_norm_of_the_gradient_is_bounded(bound, factor):
    learner = toy_learner(max_grad_norm=bound)
    (metrics,) = toy_updates(learner, 1)
    norm = torch.cat([parameter.grad.flatten() for parameter in learner.discriminator.parameters()]).norm()
    assert ("gradient_norm" in metrics) == (bound is not None)
    if factor:
        assert norm.item() == pytest.approx(factor, rel=1e-3)
        assert metrics["gradient_norm"] > factor
    else:
        assert norm > 1e-2


def test_the_gradient_is_that_of_the_loss_and_its_penalties():
    learner = toy_learner(
        stabilizers=[{"name": "r1", "weight": 4.0}, {"name": "logit-entropy", "weight": 0.5}], max_grad_norm=None
    )
    twin = toy_discriminator()
    twin.load_state_dict(learner.discriminator.state_dict())
    real, fake = toy_batch(), toy_batch(seed=1)
    metrics = learner.update(real, fake)

    scores = twin(real), twin(fake)
    features = twin.encode(real).features.requires_grad_(True)
    (slope,) = torch.autograd.grad(twin.network(features).sum(), features, create_graph=True)
    d = torch.sigmoid(torch.cat(scores))
    entropy = -(d * d.log() + (1 - d) * (1 - d).log()).mean()
    r1 = 4.0 / 2 * (slope**2).sum(dim=1).mean()
    loss = torch.nn.functional.softplus(-scores[0]).mean() + torch.nn.functional.softplus(scores[1]).mean()
    (loss + r1 - 0.5 * entropy).backward()
    assert metrics["loss"].item() == pytest.approx(loss.item(), abs=1e-6)
    assert metrics["penalty/r1"].item() == pytest.approx(r1.item(), abs=1e-6)
    assert metrics["penalty/logit-entropy"].item() == pytest.approx(-0.5 * entropy.item(), abs=1e-6)
    for found, expected in zip(learner.discriminator.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(found.grad, expected.grad, atol=1e-6)


def test_the_reference_gives_the_statistics():
    reference = toy_batch(50, seed=7, shift=4.0)
    learner = toy_learner(reference=reference)
    assert torch.allclose(learner.discriminator.encoder.mean[:3], reference.observations.mean(dim=0))


def test_both_sides_may_differ_in_size():
    metrics = toy_learner(stabilizers=["gradient-penalty"]).update(toy_batch(7), toy_batch(20, seed=1))
    assert torch.isfinite(metrics["loss"])


@pytest.mark.parametrize("name", STABILIZERS)
def test_an_update_never_touches_global_random_states(name):
    learner = toy_learner(stabilizers=[name])
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    toy_updates(learner, 2)
    learner.scorer(toy_batch())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert random.getstate() == states[2]


# A generator that learns through its samples, as GAN-Q's.


def return_batch(returns, n=64):
    return Batch(torch.zeros(n, 3), torch.zeros(n, 1), torch.zeros(n, 3), torch.zeros(n), returns=returns)


def return_learner(**options):
    encoder = InputEncoder(OBSERVATIONS, spaces.Box(-1, 1, (1,)), STATE_ACTION_RETURN)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        discriminator = Discriminator(encoder, (32,))
    return DiscriminatorLearner(discriminator, return_batch(torch.zeros(64)), **options)


def test_a_gradient_reaches_the_generator_through_its_returns():
    learner = return_learner()
    location = torch.zeros((), requires_grad=True)
    noise = torch.randn(64, generator=torch.Generator().manual_seed(0))
    scores = learner.scorer(return_batch(location + noise))
    learner.loss.generator(scores).mean().backward()
    step = 1e-3
    with torch.no_grad():
        up, down = (learner.loss.generator(learner.scorer(return_batch(noise + sign * step))).mean() for sign in (1, -1))
    assert location.grad.item() == pytest.approx(((up - down) / (2 * step)).item(), rel=2e-2)
    assert location.grad != 0


def test_an_update_stops_at_the_samples():
    returns = torch.zeros(64, requires_grad=True)
    return_learner().update(return_batch(torch.ones(64)), return_batch(returns))
    assert returns.grad is None


@pytest.mark.parametrize("is_known", [True, False])
def test_a_generators_loss_is_that_of_its_scores_and_leaves_the_critic_alone(is_known):
    """Whether the fakes are those of the update before, which are encoded already, or others."""
    learner = return_learner()
    location = torch.zeros((), requires_grad=True)
    noise = torch.randn(64, generator=torch.Generator().manual_seed(0))
    fake = return_batch(location + noise)
    learner.update(return_batch(torch.ones(64)), fake if is_known else return_batch(noise))
    loss = learner.generator_loss(fake)
    expected = learner.loss.generator(learner.discriminator(return_batch(noise))).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    before = [parameter.grad.clone() for parameter in learner.discriminator.parameters()]
    (gradient,) = torch.autograd.grad(loss, location)
    assert gradient != 0
    for parameter, kept in zip(learner.discriminator.parameters(), before, strict=True):
        assert torch.equal(parameter.grad, kept)


def test_sides_that_share_their_condition_learn_as_sides_that_do_not():
    """The same tensors are read once, equal ones twice: one update, to rounding."""
    penalty = [{"name": "zero-centered-gradient-penalty", "weight": 1.0}]
    real, fake = (torch.randn(64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    shared, apart = return_learner(stabilizers=penalty), return_learner(stabilizers=penalty)
    batch = return_batch(real)
    shared.update(batch, replace(batch, returns=fake))
    apart.update(batch, return_batch(fake))
    assert parameters_of(shared.discriminator).numpy() == pytest.approx(parameters_of(apart.discriminator).numpy(), abs=1e-6)


@pytest.mark.parametrize("name", ["batch-norm", "minibatch-discrimination", "virtual-batch-norm", "spectral-norm", None])
@pytest.mark.parametrize("kind", KINDS)
def test_sides_are_scored_together_unless_rows_are_compared(kind, name, monkeypatch):
    learner, scored = toy_learner(kind, stabilizers=[name] if name else []), []
    score = learner.discriminator.score
    monkeypatch.setattr(learner.discriminator, "score", lambda rows: scored.append(len(rows)) or score(rows))
    learner.update(toy_batch(7), toy_batch(20, seed=1))
    assert scored == ([7, 20] if name in ("batch-norm", "minibatch-discrimination") else [27])


@pytest.mark.parametrize("kind", [*KINDS, "bottleneck"])
def test_scores_of_both_sides_are_those_of_each(kind):
    discriminator = toy_discriminator(kind) if kind in KINDS else BottleneckDiscriminator(toy_discriminator().encoder, (8,))
    real, fake = (discriminator.encode(batch) for batch in (toy_batch(7), toy_batch(20, seed=1)))
    together = discriminator.score_sides(real, fake)
    for scores, side in zip(together, (real, fake), strict=True):
        assert torch.allclose(scores, discriminator.score(side), atol=1e-6)


def test_an_update_that_need_not_measure_tells_its_loss_alone():
    batches = return_batch(torch.ones(64)), return_batch(torch.zeros(64))
    measured, bare = return_learner(), return_learner()
    assert bare.update(*batches, measures=False).keys() == {"loss", "gradient_norm"}
    assert "real_accuracy" in measured.update(*batches)
    assert torch.equal(parameters_of(measured.discriminator), parameters_of(bare.discriminator))
    # A gate asks for the accuracies, whether or not anybody else does.
    gated = return_learner(stabilizers=[{"name": "freezing", "ceiling": 0.9}])
    assert "real_accuracy" in gated.update(*batches, measures=False)


def test_what_came_late_is_as_good_as_what_was_there():
    """A reference given before the first update, and not at construction, makes the same learner."""
    batch = toy_batch(64, seed=3, shift=2.0)
    early = toy_learner(reference=batch, stabilizers=["virtual-batch-norm"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        late = DiscriminatorLearner(toy_discriminator(), stabilizers=["virtual-batch-norm"])
    late.fit_reference(batch)
    for name, value in early.discriminator.state_dict().items():
        assert torch.equal(value, late.discriminator.state_dict()[name]), name


@pytest.mark.parametrize("loss", ["bce", "wasserstein", "js"])
def test_a_generator_finds_the_real_distribution(loss):
    """Real returns lie around 2; a generator that starts at -1 follows the score there."""
    stabilizers = [{"name": "zero-centered-gradient-penalty", "weight": 1.0}]
    learner = return_learner(loss=loss, stabilizers=stabilizers, learning_rate=1e-2, betas=(0.0, 0.99))
    draw = torch.Generator().manual_seed(0)
    location = torch.full((), -1.0, requires_grad=True)
    optimizer = torch.optim.Adam([location], lr=2e-2, betas=(0.0, 0.99))
    path = []
    for _ in range(400):
        real, noise = 2 + 0.5 * torch.randn(64, generator=draw), 0.5 * torch.randn(64, generator=draw)
        learner.update(return_batch(real), return_batch(location + noise))
        optimizer.zero_grad()
        learner.loss.generator(learner.scorer(return_batch(location + noise))).mean().backward()
        optimizer.step()
        path.append(location.item())
    assert np.mean(path[-100:]) == pytest.approx(2.0, abs=0.3)


# What is refused, and what is kept.


def test_empty_batches():
    for real, fake, name in ((toy_batch(0), toy_batch(), "real"), (toy_batch(), toy_batch(0), "fake")):
        with pytest.raises(ConfigurationError, match=f"the {name} batch is empty"):
            toy_learner().update(real, fake)


def test_a_shaped_discriminator_needs_log_probabilities_on_both_sides():
    """Counted as 0 where they are missing they would make f alone the logit, without a word."""
    batch, without = toy_batch(), replace(toy_batch(), log_probs=None)
    for real, fake, name in ((without, batch, "real"), (batch, without, "fake")):
        with pytest.raises(ConfigurationError, match=f"the {name} batch has no log_probs.*both sides"):
            toy_learner("shaped").update(real, fake)
    toy_learner("plain").update(without, without)


def test_batches_of_another_environment():
    with pytest.raises(IncompatibleSpaces, match=r"observations: given rows of shape \(4,\)"):
        toy_learner().update(toy_batch(), replace(toy_batch(), observations=torch.zeros(32, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "bse"}, "unknown loss 'bse': did you mean 'bce'"),
        ({"stabilizers": ["r3"]}, "unknown stabilizer 'r3': did you mean 'r"),
        ({"stabilizers": [{"weight": 3.0}]}, "unknown stabilizer None"),
        ({"stabilizers": [{"name": "r1", "wieght": 3.0}]}, "'r1' has no setting 'wieght': did you mean 'weight'"),
        ({"stabilizers": [{"name": "frozen", "weight": 1}]}, "'frozen' has no setting 'weight': it has no settings"),
        ({"stabilizers": ["r1", {"name": "r1", "weight": 2.0}]}, "given twice: r1"),
        ({"stabilizers": ["logit-entropy"], "loss": "hinge"}, "'logit-entropy' needs .* 'hinge' has none.*bce"),
        ({"stabilizers": ["batch-norm", "r1"]}, "'r1' needs .*'batch-norm' a score depends.* by 'virtual-batch-norm'"),
    ],
)
def test_settings_that_cannot_work(options, message):
    with pytest.raises(ConfigurationError, match=message):
        toy_learner(**options)


def test_loading_a_state_shares_nothing_with_its_donor():
    """torch's optimizers adopt the tensors that they load; two learners would then share Adam's moments."""
    donor, heir, alone = (toy_learner() for _ in range(3))
    toy_updates(donor)
    toy_updates(alone)
    heir.load_state_dict(donor.state_dict())
    toy_updates(heir, 2, start=50)
    toy_updates(donor, 2, start=3)
    toy_updates(alone, 2, start=3)
    assert torch.equal(parameters_of(donor.discriminator), parameters_of(alone.discriminator))


def test_the_seed_is_that_of_noise_alone():
    def scores(seed):
        learner = DiscriminatorLearner(toy_discriminator(), toy_batch(64), stabilizers=["instance-noise"], seed=seed)
        toy_updates(learner)
        return learner.scorer(toy_batch())

    assert torch.equal(scores(1), scores(1))
    assert not torch.equal(scores(1), scores(2))


def test_the_scorer_is_in_evaluation_mode_and_an_update_in_training_mode():
    learner = toy_learner(stabilizers=["batch-norm"])
    assert not learner.scorer.training
    before = learner.scorer(toy_batch())
    toy_updates(learner, 1)
    assert not torch.equal(learner.scorer(toy_batch()), before)
    assert learner.scorer is learner.discriminator


def test_an_averaged_discriminator_scores_for_the_generator_in_evaluation_mode():
    """In training mode the average would judge a row by its batch-mates, and move statistics of its own."""
    real, fake = gaussians(0)
    learner = toy_learner(stabilizers=["batch-norm", "averaged-discriminator"], reference=real)
    learner.update(real, fake)
    with torch.no_grad():
        given = learner.generator_loss(fake)
        expected = learner.loss.generator(learner.scorer(fake)).mean()
    torch.testing.assert_close(given, expected, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["bottleneck", "returns"])
def test_parameters_change_only_when_nothing_computed_from_them_is_kept(kind):
    """``reading_once`` is left, and spectral normalization's cache as well, before the optimizer's step."""
    space, fields = OBSERVATIONS, STATE_ACTION if kind == "bottleneck" else STATE_ACTION_RETURN
    encoder = InputEncoder(space, ACTIONS, fields, **({} if kind == "bottleneck" else {"n_returns": 2}))
    discriminator = {"bottleneck": BottleneckDiscriminator, "returns": ReturnDiscriminator}[kind](encoder, (8,))
    learner = DiscriminatorLearner(discriminator, stabilizers=["gradient-penalty"])
    steps, step = [], learner.optimizer.step

    def watched():
        steps.append((discriminator._read is not None, parametrize._cache_enabled))
        step()

    learner.optimizer.step = watched
    sides = (toy_batch(seed=1), toy_batch(seed=2))
    if kind == "returns":
        sides = [replace(side, returns=torch.randn(len(side), 2)) for side in sides]
    learner.update(*sides)
    assert steps == [(False, 0)]
