"""GAN-Q's critic: D(x | s, a) with a slope in x that is known in closed form."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import (
    LOSSES,
    STABILIZERS,
    STATE_ACTION,
    STATE_ACTION_RETURN,
    DiscriminatorLearner,
    InputEncoder,
    ReturnDiscriminator,
)
from ganq_irl.discriminator.penalties import gradient_norms
from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Batch
from tests.toys import parameters_of

N_RETURNS = 4
VECTOR = spaces.Box(-np.inf, np.inf, (3,))
ACTIONS = {"discrete": spaces.Discrete(3), "box": spaces.Box(-1, 1, (2,), np.float32)}
OBSERVATIONS = {
    "vector": VECTOR,
    "dict": spaces.Dict(place=VECTOR, goal=spaces.Discrete(2)),
    "image": spaces.Box(0, 255, (36, 36, 1), np.uint8),
}
every_action = pytest.mark.parametrize("kind", ACTIONS)


def critic(kind="discrete", observations="vector", hidden=(8, 8), n_basis=5, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = InputEncoder(
            OBSERVATIONS[observations], ACTIONS[kind], STATE_ACTION_RETURN, n_returns=N_RETURNS, standardizes=False
        )
        built = ReturnDiscriminator(encoder, hidden, n_basis=n_basis)
        with torch.no_grad():  # as after some training: no weight is special
            for parameter in built.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape))
        return built


def batch(kind="discrete", observations="vector", n=6, seed=0):
    generator = np.random.default_rng(seed)
    space = OBSERVATIONS[observations]
    if isinstance(space, spaces.Dict):
        states = {"place": generator.normal(size=(n, 3)).astype(np.float32), "goal": generator.integers(2, size=n)}
        states = {key: torch.as_tensor(value) for key, value in states.items()}
    elif observations == "image":
        states = torch.as_tensor(generator.integers(256, size=(n, 36, 36, 1), dtype=np.uint8))
    else:
        states = torch.as_tensor(generator.normal(size=(n, 3)).astype(np.float32))
    discrete = torch.as_tensor(generator.integers(3, size=n))
    actions = discrete if kind == "discrete" else torch.as_tensor(generator.uniform(-1, 1, (n, 2)).astype(np.float32))
    returns = torch.as_tensor(generator.normal(size=(n, N_RETURNS)).astype(np.float32))
    return Batch(states, actions, states, torch.zeros(n), returns=returns)


@every_action
@pytest.mark.parametrize("observations", OBSERVATIONS)
def test_one_score_for_each_sample(kind, observations):
    scores = critic(kind, observations)(batch(kind, observations))
    assert scores.shape == (6, N_RETURNS)
    assert torch.isfinite(scores).all()
    assert len(scores.unique()) == scores.numel()


@every_action
def test_the_score_by_hand(kind):
    """D = w_0 x + Σ_k w_k tanh(α_k x + β_k), the weights a network's output at (s, a)."""
    discriminator, rows = critic(kind), batch(kind)
    with torch.no_grad():
        scores = discriminator(rows).numpy()
        states, actions = rows.observations, rows.actions
        if kind == "discrete":  # a head for each action on one network of s
            weights = discriminator.network(states).view(6, 3, -1)[torch.arange(6), actions].numpy()
        else:
            weights = discriminator.network(torch.cat([states, actions], dim=1)).numpy()
    alpha, beta = discriminator.frequencies.detach().numpy(), discriminator.phases.detach().numpy()
    for i, j in np.ndindex(6, N_RETURNS):
        x = rows.returns[i, j].item()
        expected = weights[i, 0] * x + np.sum(weights[i, 1:] * np.tanh(alpha * x + beta))
        assert scores[i, j] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@every_action
@pytest.mark.parametrize("observations", ["vector", "dict"])
def test_the_slope_in_closed_form_is_autograds(kind, observations):
    discriminator = critic(kind, observations)
    encoded = discriminator.encode(batch(kind, observations, n=40))
    ours, reference = discriminator.gradient_norms(encoded), gradient_norms(discriminator.score, encoded)
    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-5)
    # And it is differentiable alike in every parameter, as a penalty needs it.
    for one, other in zip(*(_gradients(discriminator, norms) for norms in (ours, reference)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def _gradients(discriminator, norms):
    return torch.autograd.grad((norms**2).mean(), list(discriminator.parameters()), retain_graph=True)


def test_discrete_actions_share_the_network_of_the_state_and_have_weights_of_their_own():
    discriminator = critic()
    rows = batch()
    assert discriminator.network.in_features == 3  # the state's, not the action's
    scores = {action: discriminator(replace(rows, actions=torch.full((6,), action))) for action in range(3)}
    with torch.no_grad():
        discriminator.network.layers[-1].weight.view(3, -1, 8)[1] = 0
        discriminator.network.layers[-1].bias.view(3, -1)[1] = 0
    for action in range(3):
        after = discriminator(replace(rows, actions=torch.full((6,), action)))
        if action == 1:
            assert not after.any()
        else:
            torch.testing.assert_close(after, scores[action])


def test_it_starts_nearly_flat():
    encoder = InputEncoder(VECTOR, ACTIONS["discrete"], STATE_ACTION_RETURN, n_returns=N_RETURNS)
    torch.manual_seed(0)
    scores = ReturnDiscriminator(encoder)(batch(n=200))
    assert scores.std() < 0.2


class Calls:
    def __init__(self, module):
        self.count = 0
        module.register_forward_hook(self)

    def __call__(self, *_):
        self.count += 1


@pytest.mark.parametrize("n_basis", [8, 16, 32])
def test_the_units_cover_standardized_samples_and_overlap(n_basis):
    encoder = InputEncoder(VECTOR, ACTIONS["discrete"], STATE_ACTION_RETURN, standardizes=False)
    fresh = ReturnDiscriminator(encoder, n_basis=n_basis)
    centers = (-fresh.phases / fresh.frequencies).detach().sort().values
    torch.testing.assert_close(centers, torch.linspace(-2.5, 2.5, n_basis))
    two_gaps = 2 * (centers[1] - centers[0])
    torch.testing.assert_close(1 / fresh.frequencies, two_gaps.expand(n_basis), rtol=0.1, atol=0)


@every_action
def test_reading_once_gives_the_same_scores_by_one_call(kind):
    discriminator, rows = critic(kind), batch(kind)
    encoded = discriminator.encode(rows)
    others = [encoded.with_samples(torch.randn(6, N_RETURNS, generator=torch.Generator().manual_seed(i))) for i in range(3)]
    separate = [discriminator.score(points) for points in (encoded, *others)]
    slopes = discriminator.gradient_norms(encoded)
    calls = Calls(discriminator.network)
    with discriminator.reading_once():
        together = [discriminator.score(points) for points in (encoded, *others)]
        torch.testing.assert_close(discriminator.gradient_norms(encoded), slopes, rtol=0, atol=0)
    assert calls.count == 1
    assert all(map(torch.equal, separate, together))
    discriminator.score(encoded)
    assert calls.count == 2  # outside it reads again: parameters may have changed


def test_reading_once_keeps_other_features_apart():
    discriminator = critic()
    one, other = (discriminator.encode(batch(seed=seed)) for seed in (0, 1))
    expected = discriminator.score(one), discriminator.score(other)
    with discriminator.reading_once():
        given = discriminator.score(one), discriminator.score(other)
        assert torch.equal(discriminator.score(one), expected[0])
    assert all(map(torch.equal, expected, given))


def test_an_update_reads_the_state_once_for_both_sides_and_the_penalty():
    learner = DiscriminatorLearner(critic(), loss="wasserstein", stabilizers=["zero-centered-gradient-penalty"])
    rows = batch()
    calls = Calls(learner.discriminator.network)
    learner.update(rows, replace(rows, returns=rows.returns + 1))
    assert calls.count == 1


@every_action
def test_a_generators_gradient_goes_through_the_samples_alone(kind):
    discriminator, rows = critic(kind), batch(kind)
    learner = DiscriminatorLearner(discriminator, loss="wasserstein")
    samples = rows.returns.clone().requires_grad_(True)
    loss = learner.generator_loss(replace(rows, returns=samples))
    (gradient,) = torch.autograd.grad(loss, samples)
    slopes = torch.autograd.grad(discriminator(replace(rows, returns=samples)).sum(), samples)[0]
    torch.testing.assert_close(gradient, -slopes / slopes.numel())
    assert all(parameter.grad is None for parameter in discriminator.parameters())


@every_action
@pytest.mark.parametrize("name", STABILIZERS)
def test_learns_with_every_stabilizer_and_continues_bit_by_bit(kind, name):
    def learner(seed):
        loss = "bce" if STABILIZERS[name].needs_log_ratio else "wasserstein"
        built = DiscriminatorLearner(critic(kind, seed=seed), loss=loss, stabilizers=[name], seed=seed)
        built.fit_reference(batch(kind, n=64, seed=seed))
        return built

    def step(one, seed):
        rows = batch(kind, n=32, seed=seed)
        return one.update(rows, replace(rows, returns=rows.returns + 1))

    first = learner(0)
    before = parameters_of(first.discriminator)
    for seed in range(3):
        assert all(torch.isfinite(value) for value in step(first, seed).values())
    assert torch.equal(parameters_of(first.discriminator), before) == STABILIZERS[name].freezes
    second = learner(1)
    second.load_state_dict(first.state_dict())
    for one in (first, second):
        step(one, 9)
    assert torch.equal(*(parameters_of(one.discriminator) for one in (first, second)))


@pytest.mark.parametrize("loss", LOSSES)
def test_it_learns_which_returns_are_real_where(loss):
    """Real returns are high in one half of the states and low in the other."""
    torch.manual_seed(0)
    encoder = InputEncoder(VECTOR, ACTIONS["discrete"], STATE_ACTION_RETURN, n_returns=N_RETURNS)
    learner = DiscriminatorLearner(
        ReturnDiscriminator(encoder, (16,)), loss=loss, stabilizers=["spectral-norm"], learning_rate=1e-2
    )
    for seed in range(100):
        rows = batch(n=64, seed=seed)
        side = rows.observations[:, :1].sign()
        metrics = learner.update(
            replace(rows, returns=side + 0.1 * rows.returns), replace(rows, returns=-side + 0.1 * rows.returns)
        )
    assert metrics["score_gap"] > 0.05


def test_config_is_json_and_other_inputs_are_refused():
    config = critic().config()
    assert json.loads(json.dumps(config)) == config
    assert (config["kind"], config["n_basis"], config["inputs"]) == ("returns", 5, list(STATE_ACTION_RETURN))
    for fields in (STATE_ACTION, ("observations", "returns")):
        with pytest.raises(ConfigurationError, match="observations, actions and returns"):
            ReturnDiscriminator(InputEncoder(VECTOR, ACTIONS["discrete"], fields))
