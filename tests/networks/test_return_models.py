"""Return generators: the mean is exactly the mean, samples are those of the action taken, and targets are Bellman's."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, norm
from torch.nn.utils import parameters_to_vector

from ganq_irl.algorithms.ganq.residuals import ResidualScale
from ganq_irl.errors import ConfigurationError
from ganq_irl.networks.q_networks import ACTION_NETWORKS
from ganq_irl.networks.return_models import RETURN_MODELS
from ganq_irl.networks.return_noise import N_GRID, NOISE, NoiseEmbedding, noise_grid, stratified_noise
from tests.algorithms.ganq_examples import MODES, clone, collected, counting_env, small, step_taken

KINDS = [("location-shape", network) for network in ACTION_NETWORKS] + [("concatenated", None)]
every_kind = pytest.mark.parametrize(("name", "network"), KINDS)


def build(name, network=None, seed=0):
    kwargs = {"return_model": name} | ({"action_network": network} if network else {})
    torch.manual_seed(seed)
    return small(policy_kwargs=kwargs, net_arch=(16, 12)).q_net


def observations(n=7):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


def test_the_grid_is_made_of_normal_quantiles():
    np.testing.assert_allclose(noise_grid(5), norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9]), atol=1e-6)
    assert len(noise_grid()) == N_GRID
    assert noise_grid().sum().abs() < 1e-5


@given(n=st.integers(1, 40), seed=st.integers(0, 1_000))
def test_stratified_noise_has_a_draw_in_each_nth_of_the_normal_distribution(n, seed):
    noise = stratified_noise(n, torch.Generator().manual_seed(seed))
    assert (norm.cdf(noise.double().numpy()) * n).astype(int).tolist() == list(range(n))


@pytest.mark.parametrize("draw", NOISE.values(), ids=NOISE)
def test_noise_is_standard_normal_whichever_way_it_is_drawn(draw):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([draw(8, generator) for _ in range(2_000)])
    assert torch.isfinite(drawn).all()
    assert kstest(drawn.numpy(), "norm").statistic < 0.02
    fresh = torch.Generator().manual_seed(0)
    assert torch.equal(draw(8, fresh), drawn[:8])


def test_stratified_means_scatter_less():
    generator = torch.Generator().manual_seed(0)
    scatter = {name: torch.stack([draw(8, generator).mean() for _ in range(500)]).std() for name, draw in NOISE.items()}
    assert scatter["stratified"] < 0.3 * scatter["normal"]


@pytest.mark.parametrize("truth", [norm.ppf, lambda q: np.where(q < 0.3, -1.0, 1.0)], ids=["normal", "two modes"])
def test_the_noise_begins_with_units_that_smooth_laws_and_gaps_are_sums_of(truth):
    """The best sum of the 64 units is within 5 % of a normal law and of one that jumps (W1 by deviation)."""
    levels = (np.arange(2_000) + 0.5) / 2_000
    units = NoiseEmbedding(64)(torch.as_tensor(norm.ppf(levels), dtype=torch.float32)).detach().numpy()
    columns = np.column_stack([units, np.ones(len(units))])
    quantiles = truth(levels)
    weights = np.linalg.solve(columns.T @ columns + 1e-2 * np.eye(65), columns.T @ quantiles)  # least squares, by a ridge
    assert np.abs(columns @ weights - quantiles).mean() < 0.05 * quantiles.std()


@every_kind
def test_q_values_are_the_mean_over_the_grid(name, network):
    generator = build(name, network)
    samples = generator.distribution(observations(), generator.grid)
    assert samples.shape == (7, 3, N_GRID)
    torch.testing.assert_close(samples.mean(dim=2), generator(observations()), atol=1e-6, rtol=1e-5)
    assert samples.std(dim=2).min() > 0  # and there is something to take the mean of


@every_kind
def test_samples_are_those_of_the_action_taken_by_the_same_noise_in_every_row(name, network):
    generator, noise, actions = build(name, network), torch.randn(5), torch.tensor([0, 1, 2, 2, 1, 0, 1])
    every = generator.distribution(observations(), noise)
    means, samples = generator.samples(observations(), actions, noise)
    torch.testing.assert_close(samples, every[torch.arange(7), actions])
    expected = generator(observations())[torch.arange(7), actions] if network else samples.mean(dim=1)
    torch.testing.assert_close(means, expected.unsqueeze(1))


@pytest.mark.parametrize("network", ACTION_NETWORKS)
def test_our_target_samples_are_those_of_the_action_of_the_highest_mean(network):
    generator, noise = build("location-shape", network), torch.randn(5)
    every, best = generator.distribution(observations(), noise), generator(observations()).argmax(dim=1)
    torch.testing.assert_close(generator.greedy_samples(observations(), noise), every[torch.arange(7), best])


def test_or_those_of_the_action_that_another_network_values_highest():
    generator, noise, values = build("location-shape"), torch.randn(5), torch.randn(7, 3)
    every = generator.distribution(observations(), noise)
    samples = generator.greedy_samples(observations(), noise, lambda _: values)
    torch.testing.assert_close(samples, every[torch.arange(7), values.argmax(dim=1)])


def test_the_papers_target_samples_are_the_highest_of_each_noise():
    generator, noise = build("concatenated"), torch.randn(5)
    expected = generator.distribution(observations(), noise).amax(dim=1)
    torch.testing.assert_close(generator.greedy_samples(observations(), noise), expected)


def test_the_papers_network_by_hand():
    """One sample at a time: noise beside the state, one output for each action."""
    generator, noise = build("concatenated"), torch.randn(4)
    states = observations(3)
    every = generator.distribution(states, noise)
    for row, k in np.ndindex(3, 4):
        single = generator.q_net(torch.cat([states[row], noise[k : k + 1]]).unsqueeze(0))
        torch.testing.assert_close(every[row, :, k], single[0], atol=1e-6, rtol=1e-5)


def test_the_papers_network_sees_noise_beside_the_state():
    generator = build("concatenated")
    first = next(module for module in generator.q_net if hasattr(module, "in_features"))
    assert first.in_features == 3
    one, other = (generator.distribution(observations(1), torch.tensor([z]))[0, :, 0] for z in (-1.0, 1.0))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("network", ACTION_NETWORKS)
def test_the_shape_does_not_move_the_mean_whatever_its_weights(network):
    generator = build("location-shape", network)
    before = generator(observations())
    with torch.no_grad():
        generator.shape.mul_(50)
        generator.embedding.bias.add_(3)
    samples = generator.distribution(observations(), generator.grid)
    torch.testing.assert_close(generator(observations()), before)
    torch.testing.assert_close(samples.mean(dim=2), before, atol=1e-4, rtol=1e-4)


def test_registry_and_shared_interface():
    assert list(RETURN_MODELS) == ["location-shape", "concatenated"]


# Bellman samples by hand.

GAMMA = 0.9
LENGTH = {0: 3, 1: 4}  # of even episodes, which terminate, and of odd ones, which a time limit cuts


@pytest.mark.parametrize("n_steps", [1, 2, 3, 5])
def test_bellman_samples_by_hand(n_steps):
    """Σ_k γ^k r_k + γ^n G(z | s', a*): nothing after a termination, the bootstrap from where a time limit cut."""
    model = collected(small(counting_env(), n_steps=n_steps, gamma=GAMMA), 100)
    sampled = model._sample(64)
    batch, rewards, discounts = sampled
    seen, noise = set(), torch.randn(model.n_samples, generator=clone(model.learner.rng))
    with torch.no_grad():
        following = model.q_net_target.greedy_samples(batch.next_observations, noise)
    _, _, targets, _ = step_taken(model, sampled)
    for row, (_, episode, step) in enumerate(batch.observations.tolist()):
        kind = int(episode) % 2
        left = LENGTH[kind] - int(step)
        n = min(n_steps, left)
        newest = episode == batch.observations[:, 1].max()
        if newest:
            continue  # cut short by the end of what is stored
        assert batch.next_observations[row].tolist() == [0, episode, step + n]
        terminated = kind == 0 and n == left
        reward, discount = 7 * sum(GAMMA**k for k in range(n)), 0.0 if terminated else GAMMA**n
        assert rewards[row].item() == pytest.approx(reward, rel=1e-5)
        assert discounts[row].item() == pytest.approx(discount, rel=1e-5)
        expected = reward + discount * following[row]
        torch.testing.assert_close(targets[row], expected, atol=1e-3, rtol=1e-4)
        seen.add((kind, n == left))
    assert seen >= {(0, True), (1, True)}  # both ends were met


@pytest.mark.parametrize("double_q", [False, True])
def test_who_chooses_the_action_of_a_target(double_q):
    """The target network itself; the acting average in double Q-learning, since the highest of one's own is too high."""
    model = collected(small(counting_env(), gamma=GAMMA, double_q=double_q), 100)
    with torch.no_grad():
        for parameter in model.q_net_average.q_net[1].parameters():  # the head: what was worst is best
            parameter.neg_()
    sampled = model._sample(64)
    batch, rewards, discounts = sampled
    with torch.no_grad():
        acting, own = (net(batch.next_observations).argmax(dim=1) for net in (model.q_net_average, model.q_net_target))
        assert (acting != own).all()
    _, noise, targets, _ = step_taken(model, sampled)
    with torch.no_grad():
        following = model.q_net_target.distribution(batch.next_observations, noise)
    expected = rewards + discounts * following[torch.arange(64), acting if double_q else own]
    torch.testing.assert_close(targets, expected, atol=1e-3, rtol=1e-4)


def test_the_published_generator_leaves_no_action_to_choose():
    with pytest.raises(ConfigurationError, match=r"double_q: .*'location-shape'"):
        small(counting_env(), mode="paper", double_q=True)


def test_the_discount_of_one_step_targets_without_an_n_step_buffer():
    model = collected(small(counting_env(), n_steps=1, gamma=GAMMA))
    batch, _, discounts = model._sample(64)
    torch.testing.assert_close(discounts.flatten(), GAMMA * (1 - batch.dones))
    assert 0 < batch.dones.mean() < 1


# Who gets which gradient.


@pytest.mark.parametrize("mode", MODES)
def test_the_generator_climbs_and_the_critic_keeps_no_gradient_of_it(mode):
    model = collected(small(mode=mode))
    critic = model.learner.discriminator
    model._step(model._sample(8), measures=False)
    gradients = [parameter.grad.clone() for parameter in critic.parameters() if parameter.grad is not None]
    weights = parameters_to_vector(critic.parameters()).clone()
    ours = parameters_to_vector(model.q_net.parameters()).detach().clone()
    calls = []
    update = model.learner.update

    def after_update(*arguments, **keywords):
        metrics = update(*arguments, **keywords)
        calls.append([parameter.grad.clone() for parameter in critic.parameters() if parameter.grad is not None])
        calls.append(parameters_to_vector(critic.parameters()).clone())
        return metrics

    model.learner.update = after_update
    model._step(model._sample(8), measures=False)
    left, stepped = calls
    now = [parameter.grad for parameter in critic.parameters() if parameter.grad is not None]
    assert all(map(torch.equal, left, now))  # the generator's step added nothing
    assert torch.equal(stepped, parameters_to_vector(critic.parameters()))
    assert not torch.equal(stepped, weights)  # its own step did
    assert not all(map(torch.equal, gradients, now))
    assert not torch.equal(ours, parameters_to_vector(model.q_net.parameters()))


def test_the_critics_step_leaves_the_generator_alone():
    model = collected(small(learning_rate=0.0))
    before = parameters_to_vector(model.q_net.parameters()).detach().clone()
    model._step(model._sample(8), measures=False)
    assert torch.equal(before, parameters_to_vector(model.q_net.parameters()))


def test_the_average_follows_the_generator_at_its_rate():
    model = collected(small(average_rate=0.25))
    before = parameters_to_vector(model.q_net_average.parameters()).detach().clone()
    model._step(model._sample(8), measures=False)
    now = parameters_to_vector(model.q_net.parameters()).detach()
    torch.testing.assert_close(parameters_to_vector(model.q_net_average.parameters()), 0.75 * before + 0.25 * now)
    own = collected(small(average_rate=1.0))
    own._step(own._sample(8), measures=False)
    assert torch.equal(*(parameters_to_vector(net.parameters()) for net in (own.q_net, own.q_net_average)))


def test_gradients_are_bounded():
    bounded, free = (collected(small(max_grad_norm=bound)) for bound in (1e-3, None))
    sizes = []
    for model in (bounded, free):
        model._step(model._sample(8), measures=False)
        sizes.append(torch.cat([parameter.grad.flatten() for parameter in model.q_net.parameters()]).norm().item())
    assert sizes[0] == pytest.approx(1e-3, rel=1e-3)
    assert sizes[1] > 1e-3


# The unit.


def test_the_scale_is_the_debiased_running_root_mean_square():
    scale, decay = ResidualScale(decay=0.9), 0.9
    batches = [(torch.randn(6, 4) * 3, torch.randn(6, 4)) for _ in range(4)]
    squares = [0.5 * (real.square().mean() + fake.square().mean()).item() for real, fake in batches]
    for real, fake in batches:
        result = scale.update(real, fake)
    weights = np.array([decay ** (3 - i) for i in range(4)])
    assert result.item() == pytest.approx(np.sqrt(np.average(squares, weights=weights)), rel=1e-4)
    assert torch.equal(result, scale.scale)


@given(st.floats(1e-2, 1e4))
def test_the_scale_is_in_the_returns_own_units(factor):
    one, other, residuals = ResidualScale(), ResidualScale(), torch.linspace(-1, 2, 8)
    first, second = one.update(residuals, -residuals), other.update(factor * residuals, -factor * residuals)
    torch.testing.assert_close(second, factor * first, rtol=1e-4, atol=1e-6)


def test_the_scale_has_a_floor_and_a_state():
    scale = ResidualScale(floor=0.5)
    assert scale.scale == 0.5
    assert scale.update(torch.zeros(3), torch.zeros(3)) == 0.5
    scale.update(torch.full((3,), 9.0), torch.zeros(3))
    again = ResidualScale(floor=0.5)
    again.load_state_dict(scale.state_dict())
    assert torch.equal(again.scale, scale.scale)
    assert again.scale > 0.5


def test_the_critic_sees_distances_from_the_mean_in_that_unit():
    """Shifting every reward moves targets and mean alike in the end; what the critic sees has size one from the start."""
    model = collected(small(counting_env()))
    calls = []
    update = model.learner.update
    model.learner.update = lambda real, fake, **keywords: calls.append((real, fake)) or update(real, fake, **keywords)
    model._step(model._sample(32), measures=False)
    ((real, fake),) = calls
    square = 0.5 * (real.returns.square().mean() + fake.returns.square().mean())
    assert square.item() == pytest.approx(1, rel=1e-3)
    assert model.residuals.scale > 3  # rewards of 7 a step, and a generator that knows nothing yet
