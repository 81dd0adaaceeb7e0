from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from examples.gan import GAN, as_batch, main
from ganq_irl.algorithms.sampling import seeded_torch
from ganq_irl.discriminator import LOSSES, STABILIZERS
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces, TrainingDiverged


def generator(width=1, hidden=16, seed=0):
    with seeded_torch(seed):
        return nn.Sequential(nn.Linear(1, hidden), nn.Tanh(), nn.Linear(hidden, width))


def normal(mean=3.0, std=0.5, n=2000, seed=0):
    return np.random.default_rng(seed).normal(mean, std, size=(n, 1)).astype(np.float32)


def parameters_of(gan):
    return torch.cat([p.detach().flatten() for m in (gan.generator, gan.learner.discriminator) for p in m.parameters()])


def test_a_normal_is_matched_in_mean_and_deviation():
    rates = {"learning_rate": 1e-2, "generator_learning_rate": 2e-3}
    gan = GAN(generator(), normal(), latent_dim=1, stabilizers=["instance-noise"], hidden_sizes=(32,), **rates).learn(500)
    samples = gan.sample(4000, torch.Generator().manual_seed(0))
    assert samples.mean().item() == pytest.approx(3.0, abs=0.1)
    assert samples.std().item() == pytest.approx(0.5, abs=0.1)


def test_an_untrained_one_does_not_match():
    samples = GAN(generator(), normal(), latent_dim=1).sample(4000)
    assert abs(samples.mean().item() - 3.0) > 1


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_both_players(name):
    gan = GAN(generator(), normal(), latent_dim=1, loss=name, batch_size=32)
    before = [parameter.detach().clone() for parameter in gan.generator.parameters()]
    scores = gan.learner.scorer(gan.data)
    gan.learn(5)
    assert all((p != old).all() for p, old in zip(gan.generator.parameters(), before, strict=True))
    assert (gan.learner.scorer(gan.data) != scores).all()
    assert torch.isfinite(parameters_of(gan)).all()
    assert torch.isfinite(gan.metrics["generator_loss"])


@pytest.mark.parametrize("name", STABILIZERS)
def test_every_stabilizer_is_accepted(name):
    gan = GAN(generator(), normal(), latent_dim=1, stabilizers=[name], batch_size=32)
    players = gan.generator, gan.learner.discriminator
    before = [deepcopy(player.state_dict()) for player in players]
    gan.learn(5)
    moved = [
        any(not torch.equal(v, old[k]) for k, v in p.state_dict().items()) for p, old in zip(players, before, strict=True)
    ]
    assert moved == [True, name != "frozen"]
    assert torch.isfinite(parameters_of(gan)).all()


def test_the_generators_step_follows_the_live_discriminator_and_gives_it_no_gradient():
    """One update by hand: the batch, the fakes and z are drawn in this order from one generator."""
    real, mine = torch.as_tensor(normal()), generator()
    gan = GAN(mine, real, latent_dim=1, batch_size=8, seed=7)
    before = deepcopy(mine)
    gan.learn(1)
    discriminator_gradients = [p.grad.clone() for p in gan.learner.discriminator.parameters()]

    rng = torch.Generator().manual_seed(7)
    rows = torch.randperm(len(real), generator=rng)[:8]
    other = GAN(before, real, latent_dim=1, batch_size=8, seed=7).learner
    with torch.no_grad():
        fakes = before(torch.randn(8, 1, generator=rng))
    other.update(as_batch(real[rows]), as_batch(fakes))
    scores = other.discriminator(as_batch(before(torch.randn(8, 1, generator=rng))))
    expected = torch.autograd.grad(other.loss.generator(scores).mean(), list(before.parameters()))
    for parameter, gradient in zip(mine.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-7)
    for kept, parameter in zip(discriminator_gradients, other.discriminator.parameters(), strict=True):
        assert torch.equal(kept, parameter.grad)  # of the discriminator's own step, and nothing added


def test_an_averaged_discriminator_is_what_the_generator_follows():
    """With a decay of 1 the average stays what the first update made, wherever the live discriminator goes from there."""
    gradients = []
    for rate in (1e-3, 1e-1):
        stabilizers = [{"name": "averaged-discriminator", "decay": 1.0}]
        gan = GAN(generator(), normal(), latent_dim=1, stabilizers=stabilizers, generator_learning_rate=0.0).learn(1)
        gan.learner.set_learning_rate(rate)
        gan.learn(2)
        gradients.append(torch.cat([p.grad.flatten() for p in gan.generator.parameters()]))
    assert gradients[0].any()
    assert torch.equal(*gradients)


@pytest.mark.parametrize("stabilizers", [[], ["instance-noise", "fake-replay"]])
def test_equal_seeds_give_equal_runs_whatever_the_global_state(stabilizers):
    def run(seed, noise):
        torch.manual_seed(noise)
        gan = GAN(generator(), normal(), latent_dim=1, stabilizers=stabilizers, batch_size=32, seed=seed)
        return parameters_of(gan.learn(10))

    assert torch.equal(run(3, 0), run(3, 1))
    assert not torch.equal(run(3, 0), run(4, 0))


def test_learning_in_two_parts_is_learning_in_one():
    whole = GAN(generator(), normal(), latent_dim=1, batch_size=32).learn(6)
    parts = GAN(generator(), normal(), latent_dim=1, batch_size=32).learn(3).learn(3)
    assert torch.equal(parameters_of(whole), parameters_of(parts))


def test_samples_with_a_generator_of_their_own_leave_training_alone():
    quiet, sampled = (GAN(generator(), normal(), latent_dim=1, batch_size=32).learn(2) for _ in range(2))
    drawn = [sampled.sample(5, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*drawn)
    assert drawn[0].shape == (5, 1)
    assert not drawn[0].requires_grad
    assert torch.equal(parameters_of(quiet.learn(2)), parameters_of(sampled.learn(2)))


def test_n_critic_counts_the_discriminators_updates():
    gan = GAN(generator(), normal(), latent_dim=1, n_critic=3, batch_size=8).learn(4)
    assert gan.learner.n_updates == 12


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"loss": "bcee"}, ConfigurationError, "did you mean 'bce'"),
        ({"stabilizers": ["r3"]}, ConfigurationError, "unknown stabilizer"),
        ({"n_critic": 0}, ConfigurationError, "at least 1"),
        ({"batch_size": 0}, ConfigurationError, "batch_size"),
        ({"data": np.zeros(5)}, IncompatibleSpaces, "data"),
        ({"data": np.full((5, 1), np.nan)}, IncompatibleSpaces, "finite"),
        ({"generator": generator(width=2)}, IncompatibleSpaces, "generator"),
    ],
)
def test_what_cannot_work_is_refused(settings, error, said):
    arguments = {"generator": generator(), "data": normal(), "latent_dim": 1} | settings
    with pytest.raises(error, match=said):
        GAN(arguments.pop("generator"), arguments.pop("data"), **arguments)


def test_divergence_is_said():
    class Diverging(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(float("nan")))

        def forward(self, z):
            return self.scale * z

    with pytest.raises(TrainingDiverged, match="spectral-norm"):
        GAN(Diverging(), normal(), latent_dim=1).learn(1)


def test_the_example_covers_the_ring(capsys):
    main(n_updates=300)
    covered = int(capsys.readouterr().out.split()[0])
    assert covered >= 2  # untrained, it covers none
