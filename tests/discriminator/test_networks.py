import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from ganq_irl.discriminator import (
    ACTIVATIONS,
    STABILIZERS,
    STATE,
    STATE_ACTION,
    STATE_ACTION_STATE,
    STATE_TRANSITION,
    Discriminator,
    InputEncoder,
    ScalarNetwork,
    SegmentDiscriminator,
    ShapedDiscriminator,
    build_discriminator,
)
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Batch
from tests.toys import ACTIONS, KINDS, OBSERVATIONS, toy_batch, toy_discriminator, toy_learner, toy_updates

ARCHITECTURE = [name for name, kind in STABILIZERS.items() if kind.changes_architecture]


def test_a_segment_scores_the_sum_of_its_steps():
    encoder = InputEncoder(OBSERVATIONS, ACTIONS, STATE_ACTION)
    segments = SegmentDiscriminator(encoder, ScalarNetwork(encoder.parts, (4,), "tanh"))
    rows = segments.encode(toy_batch(6))
    padding = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    sums = segments.score(Encoded(rows.features.view(2, 3, -1), padding, torch.zeros(2)))
    steps = segments.network(rows.features)
    torch.testing.assert_close(sums, torch.stack([steps[:3].sum(), steps[3]]))


def mlp(network, x):
    """A ScalarNetwork's (Linear, tanh, ..., Linear) in numpy."""
    *hidden, last = [module for module in network.layers if isinstance(module, nn.Linear)]
    for layer in hidden:
        x = np.tanh(x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())
    return (x @ last.weight.detach().numpy().T + last.bias.detach().numpy())[:, 0]


def encoded_by_hand(discriminator, batch):
    encoder = discriminator.encoder
    mean, std = (encoder.mean[:3].numpy(), encoder.std[:3].numpy())
    state, next_state = ((x.numpy() - mean) / std for x in (batch.observations, batch.next_observations))
    return state, np.eye(2)[batch.actions.numpy()], next_state


def test_plain_score_by_hand():
    discriminator, batch = toy_discriminator("plain"), toy_batch()
    discriminator.encoder.fit(toy_batch(seed=9, shift=2.0))
    state, action, _ = encoded_by_hand(discriminator, batch)
    expected = mlp(discriminator.network, np.hstack([state, action]))
    assert discriminator(batch).shape == (32,)
    assert discriminator(batch).detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_shaped_score_by_hand():
    """f - log π = g(s, a) + γ (1 - d) h(s') - h(s) - log π."""
    discriminator, batch = toy_discriminator("shaped"), toy_batch()
    discriminator.encoder.fit(toy_batch(seed=9, shift=2.0))
    state, action, next_state = encoded_by_hand(discriminator, batch)
    g = mlp(discriminator.reward_network, np.hstack([state, action]))
    h, next_h = mlp(discriminator.potential_network, state), mlp(discriminator.potential_network, next_state)
    f = g + 0.9 * (1 - batch.dones.numpy()) * next_h - h
    encoded = discriminator.encode(batch)
    assert 0 < batch.dones.sum() < 32
    assert discriminator.reward(encoded).detach().numpy() == pytest.approx(g, abs=1e-5)
    assert discriminator.shaped_reward(encoded).detach().numpy() == pytest.approx(f, abs=1e-5)
    assert discriminator(batch).detach().numpy() == pytest.approx(f - batch.log_probs.numpy(), abs=1e-5)


def test_truncation_keeps_the_potential_and_termination_removes_it():
    """A time limit says nothing about the state's worth; imitation's `done` zeroes the potential there."""
    discriminator, batch = toy_discriminator("shaped"), toy_batch()
    truncated, terminated = replace(batch, dones=torch.zeros(32)), replace(batch, dones=torch.ones(32))
    next_h = discriminator.potential_network(discriminator.encode(batch).features[:, -3:])
    assert torch.allclose(discriminator(truncated) - discriminator(terminated), 0.9 * next_h, atol=1e-6)
    assert next_h.abs().min() > 0


def test_a_terminal_next_state_does_not_matter_and_another_one_does():
    discriminator, batch = toy_discriminator("shaped"), toy_batch()
    moved = replace(batch, next_observations=batch.next_observations + 1)
    changed = (discriminator(batch) != discriminator(moved)).tolist()
    assert changed == (batch.dones == 0).tolist()


def test_one_potential_reads_both_states():
    """With γ = 1, s' = s and d = 0 the shaping cancels."""
    encoder = InputEncoder(OBSERVATIONS, ACTIONS, STATE_ACTION_STATE)
    discriminator = ShapedDiscriminator(encoder, discount=1.0)
    batch = toy_batch()
    batch = replace(batch, next_observations=batch.observations, dones=torch.zeros(32))
    discriminator.encoder.fit(toy_batch(seed=5))
    encoded = discriminator.encode(batch)
    assert torch.allclose(discriminator.shaped_reward(encoded), discriminator.reward(encoded), atol=1e-6)


@pytest.mark.parametrize("fields", [STATE_TRANSITION, STATE_ACTION_STATE])
def test_a_state_only_reward_does_not_depend_on_actions(fields):
    discriminator = ShapedDiscriminator(InputEncoder(OBSERVATIONS, ACTIONS, fields), STATE)
    batch = toy_batch()
    other = replace(batch, actions=1 - batch.actions, next_observations=batch.next_observations + 1)
    assert torch.equal(*(discriminator.reward(discriminator.encode(x)) for x in (batch, other)))
    assert not torch.equal(discriminator(batch), discriminator(other))


def test_a_reward_may_see_the_next_state_in_any_order_of_columns():
    encoder = InputEncoder(OBSERVATIONS, ACTIONS, ("next_observations", "actions", "observations"))
    discriminator = ShapedDiscriminator(encoder, ("actions", "next_observations"), hidden_sizes=(8,), activation="tanh")
    batch = toy_batch()
    state, action, next_state = encoded_by_hand(discriminator, batch)
    encoded = discriminator.encode(batch)
    g = mlp(discriminator.reward_network, np.hstack([action, next_state]))
    shaping = discriminator.discount * (1 - batch.dones.numpy()) * mlp(discriminator.potential_network, next_state)
    shaping -= mlp(discriminator.potential_network, state)
    assert discriminator.reward(encoded).detach().numpy() == pytest.approx(g, abs=1e-5)
    assert discriminator.shaped_reward(encoded).detach().numpy() == pytest.approx(g + shaping, abs=1e-5)


def test_a_plain_score_ignores_log_probabilities():
    discriminator, batch = toy_discriminator("plain"), toy_batch()
    assert torch.equal(discriminator(batch), discriminator(replace(batch, log_probs=None)))
    assert not discriminator.outputs_log_ratio


@pytest.mark.parametrize("hidden", [(), (5,), (4, 3)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_sizes_and_activations(hidden, activation):
    network = toy_discriminator("plain", hidden, activation=activation).network
    linear = [module for module in network.layers if isinstance(module, nn.Linear)]
    assert [layer.out_features for layer in linear] == [*hidden, 1]
    assert sum(isinstance(module, type(ACTIVATIONS[activation]())) for module in network.layers) == len(hidden)


# Images.

IMAGES = {
    "channels last": spaces.Box(0, 255, (40, 36, 3), np.uint8),
    "channels first": spaces.Box(0, 255, (3, 40, 36), np.uint8),
    "tiny": spaces.Box(0, 255, (8, 8, 3), np.uint8),
}


def image_batch(space, n=4, seed=0):
    space.seed(seed)
    observations, next_observations = (torch.as_tensor(np.stack([space.sample() for _ in range(n)])) for _ in range(2))
    return Batch(observations, torch.arange(n) % 2, next_observations, torch.zeros(n), log_probs=torch.zeros(n))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", IMAGES)
def test_images_go_through_a_cnn_if_they_are_large_enough(name, kind):
    space = IMAGES[name]
    batch = image_batch(space)
    if kind == "plain":
        discriminator = Discriminator(InputEncoder(space, ACTIONS, STATE_ACTION))
    else:
        discriminator = ShapedDiscriminator(InputEncoder(space, ACTIONS, STATE_ACTION_STATE))
    for network in discriminator.networks():
        assert (network.extractor is None) == (name == "tiny")
    scores = discriminator(batch)
    assert scores.shape == (4,)
    assert scores.std() > 0
    scores.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in discriminator.parameters())


def test_both_channel_orders_show_the_cnn_the_same_picture():
    last, first = (
        ScalarNetwork(InputEncoder(IMAGES[name], ACTIONS, STATE).parts, (8,), "relu") for name in list(IMAGES)[:2]
    )
    first.load_state_dict(last.state_dict())
    picture = image_batch(IMAGES["channels last"]).observations.float() / 255
    assert torch.allclose(last(picture.flatten(1)), first(picture.permute(0, 3, 1, 2).flatten(1)), atol=1e-6)


def test_images_beside_vectors_in_a_dict():
    space = spaces.Dict({"camera": IMAGES["channels first"], "arm": OBSERVATIONS, "wrist": IMAGES["channels last"]})
    pictures = image_batch(IMAGES["channels first"]).observations, image_batch(IMAGES["channels last"]).observations
    observations = {"camera": pictures[0], "arm": torch.zeros(4, 3), "wrist": pictures[1]}
    batch = Batch(observations, torch.arange(4) % 2, observations, torch.zeros(4), log_probs=torch.zeros(4))
    discriminator = ShapedDiscriminator(InputEncoder(space, ACTIONS, STATE_ACTION_STATE))
    scores = discriminator(batch)
    assert len(discriminator.reward_network.extractor.cnns) == 2
    for key in observations:
        changed = {**observations, key: (observations[key] + 1)}
        assert not torch.equal(discriminator(replace(batch, observations=changed)), scores)


# Descriptions.


@pytest.mark.parametrize("stabilizers", [[], *[[name] for name in ARCHITECTURE], ["spectral-norm", "virtual-batch-norm"]])
@pytest.mark.parametrize("kind", KINDS)
def test_config_and_state_rebuild_identical_scores(kind, stabilizers):
    learner = toy_learner(kind, stabilizers=stabilizers)
    toy_updates(learner)
    config = json.loads(json.dumps(learner.discriminator.config()))
    rebuilt = build_discriminator(OBSERVATIONS, ACTIONS, config)
    rebuilt.load_state_dict(learner.discriminator.state_dict())
    batch = toy_batch(seed=50)
    assert torch.equal(rebuilt.eval()(batch), learner.scorer(batch))
    assert rebuilt.config() == config
    assert len(config["architecture"]) == len(stabilizers)


def test_config_keeps_every_setting():
    encoder = InputEncoder(OBSERVATIONS, ACTIONS, STATE_TRANSITION)
    shaped = ShapedDiscriminator(encoder, STATE, 0.5, (7, 6), "elu")
    rebuilt = build_discriminator(OBSERVATIONS, ACTIONS, shaped.config())
    assert isinstance(rebuilt, ShapedDiscriminator)
    assert (rebuilt.discount, rebuilt.reward_inputs, rebuilt.hidden_sizes, rebuilt.activation) == (0.5, STATE, (7, 6), "elu")
    assert rebuilt.encoder.fields == STATE_TRANSITION


def test_copies_score_alike_and_apart():
    discriminator, batch = toy_discriminator("shaped"), toy_batch()
    twin = copy.deepcopy(discriminator)
    assert torch.equal(twin(batch), discriminator(batch))
    with torch.no_grad():
        next(discriminator.parameters()).add_(1)
    assert not torch.equal(twin(batch), discriminator(batch))


def test_what_cannot_be_built_is_said():
    encoder = InputEncoder(OBSERVATIONS, ACTIONS, STATE_ACTION)
    with pytest.raises(ConfigurationError, match=r"unknown activation 'rellu': did you mean 'relu'"):
        Discriminator(encoder, activation="rellu")
    with pytest.raises(ConfigurationError, match=r"needs inputs \['actions', 'next_observations', 'observations'\], got"):
        ShapedDiscriminator(encoder)
    with pytest.raises(ConfigurationError, match="reward_inputs is empty"):
        ShapedDiscriminator(InputEncoder(OBSERVATIONS, ACTIONS, STATE_ACTION_STATE), ())
    with pytest.raises(ConfigurationError, match="unknown kind of discriminator 'round'; known: bottleneck, ensemble"):
        build_discriminator(OBSERVATIONS, ACTIONS, {**Discriminator(encoder).config(), "kind": "round"})
