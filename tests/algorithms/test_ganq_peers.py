"""What the public implementation of GAN Q-learning does wrong: each fails here when it is put back.

Its author reports that it never learned CartPole. Read closely it computes targets from s instead of s', compares them with
the best action's sample instead of the action's that was taken, has no target network, no exploration and no bound on the
critic's slope, and its penalty, where it has one, wants the slope itself to be 1 instead of its size.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.discriminator import (
    STATE_ACTION_RETURN,
    Discriminator,
    DiscriminatorLearner,
    InputEncoder,
    ReturnDiscriminator,
    build_stabilizer,
)
from ganq_irl.types import Batch
from tests.algorithms.ganq_examples import MODES, collected, small, spaces_env, step_taken

STATE = spaces.Box(-1, 1, (2,), np.float32)
BOTH = pytest.mark.parametrize("mode", MODES)


def filled(mode, **options):
    """States unlike each other at every step, so that s and s' cannot be confused; the networks unlike each other, too."""
    model = collected(small(spaces_env(STATE), mode=mode, **options), 100)
    with torch.no_grad():
        for parameter in model.q_net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


@BOTH
def test_targets_come_from_the_next_state(mode):
    model = filled(mode)
    (batch, rewards, discounts), noise, targets, _ = step_taken(model)
    with torch.no_grad():
        expected, defect = (
            rewards + discounts * model.q_net_target.greedy_samples(states, noise)
            for states in (batch.next_observations, batch.observations)
        )
    torch.testing.assert_close(targets, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(targets, defect, atol=1e-2)


@BOTH
def test_the_fake_is_the_sample_of_the_action_taken(mode):
    model = filled(mode)
    sampled = model._sample(16)
    batch, noise = sampled[0], torch.randn(model.n_samples, generator=torch.Generator().manual_seed(0))
    model.learner.rng.manual_seed(0)
    with torch.no_grad():
        every = model.q_net.distribution(batch.observations, noise)  # (batch, n_actions, n_samples)
    _, _, _, fakes = step_taken(model, sampled)
    torch.testing.assert_close(fakes, every[torch.arange(16), batch.actions], atol=1e-4, rtol=1e-4)
    defect = every[torch.arange(16), every.mean(dim=2).argmax(dim=1)]
    assert not torch.allclose(fakes, defect, atol=1e-2)


@BOTH
def test_targets_come_from_a_network_that_stands_still(mode):
    model = filled(mode)
    sampled = model._sample(16)
    before = step_taken(model, sampled)
    with torch.no_grad():
        for parameter in model.q_net.parameters():
            parameter.mul_(1.5)
    after = step_taken(model, sampled)
    with torch.no_grad():  # the same noise as the second step's, seen through the network of the first
        expected = sampled[1] + sampled[2] * model.q_net_target.greedy_samples(sampled[0].next_observations, after[1])
        defect = sampled[1] + sampled[2] * model.q_net.greedy_samples(sampled[0].next_observations, after[1])
    torch.testing.assert_close(after[2], expected, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(after[2], defect, atol=1e-2)
    assert before[2].shape == after[2].shape


@BOTH
def test_it_explores(mode):
    """A greedy agent whose network prefers one action everywhere never tries another."""
    model = small(spaces_env(STATE), mode=mode, learning_starts=0, train_freq=60, exploration_fraction=1.0)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.zero_()  # all actions are equal, so that a greedy agent takes the same one always
    (greedy,) = set(model.predict(np.random.default_rng(0).normal(size=(60, 2)), deterministic=True)[0])
    taken = []
    model.learn(60, lambda variables, _: taken.append(int(variables["actions"][0])) or True)
    assert set(taken) == {0, 1, 2}
    assert taken.count(greedy) < 50


def points(n=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(n, 2, generator=generator)
    return Batch(states, torch.zeros(n, dtype=torch.long), states, torch.zeros(n), returns=torch.zeros(n, 1))


@pytest.mark.parametrize(
    ("mode", "critic"), [("default", ReturnDiscriminator), ("paper", Discriminator)], ids=["default", "paper"]
)
def test_the_critics_slope_is_bounded(mode, critic):
    """Real and fake are two points, as returns that are certain are: without a bound the slope between them has no end."""
    bound = small(mode=mode).stabilizers
    assert any("penalty" in spec["name"] for spec in bound)
    sizes = {}
    for name, stabilizers in (("bounded", bound), ("unbounded", [])):
        torch.manual_seed(0)
        encoder = InputEncoder(STATE, spaces.Discrete(2), STATE_ACTION_RETURN, standardizes=False)
        learner = DiscriminatorLearner(
            critic(encoder, (16,)), loss="wasserstein", stabilizers=stabilizers, learning_rate=1e-2, betas=(0.0, 0.999)
        )
        states = points()
        real, fake = (replace(states, returns=torch.full((64, 1), x)) for x in (1.0, -1.0))
        for _ in range(150):
            learner.update(real, fake)
        scores = [learner.scorer.score(learner.scorer.encode(side)).mean().item() for side in (real, fake)]
        sizes[name] = (scores[0] - scores[1]) / 2
    assert 0.3 < sizes["bounded"] < 4 < sizes["unbounded"]


def linear_critic(slope):
    """D = slope · x for every (s, a), through the general network: its ReLUs cancel."""
    encoder = InputEncoder(STATE, spaces.Discrete(2), STATE_ACTION_RETURN, standardizes=False)
    critic = ReturnDiscriminator(encoder, (4,))
    with torch.no_grad():
        last = critic.network.layers[-1]
        last.weight.zero_()
        last.bias.zero_()
        last.bias.view(2, -1)[:, 0] = slope  # w_0 of either action
    return critic


@pytest.mark.parametrize("slope", [1.0, -1.0, 3.0, -3.0])
def test_the_penalty_holds_the_size_of_the_slope(slope):
    """(|D'| - 1)²: a critic that falls with slope -1 is as good as one that rises; (D' - 1)² would fine it by 4."""
    learner = DiscriminatorLearner(linear_critic(slope), stabilizers=[build_stabilizer("gradient-penalty")])
    real, fake = replace(points(), returns=torch.randn(64, 1)), replace(points(), returns=torch.randn(64, 1))
    penalty = learner.update(real, fake)["penalty/gradient-penalty"].item()
    assert penalty == pytest.approx(10 * (abs(slope) - 1) ** 2, abs=1e-4)
    defect = 10 * (slope - 1) ** 2
    assert (penalty == pytest.approx(defect, abs=1e-4)) == (slope > 0)


def test_the_papers_mode_has_that_penalty_and_ours_is_centered_at_no_slope():
    assert small(mode="paper").stabilizers[0]["name"] == "gradient-penalty"
    (spec,) = small().stabilizers
    learner = DiscriminatorLearner(linear_critic(-2.0), stabilizers=[spec])
    real, fake = replace(points(), returns=torch.randn(64, 1)), replace(points(), returns=torch.randn(64, 1))
    penalty = learner.update(real, fake)[f"penalty/{spec['name']}"].item()
    assert penalty == pytest.approx(spec["weight"] * 4, rel=1e-5)
