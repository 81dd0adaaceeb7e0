"""A discriminator's written-out update learns what autograd learns, to rounding, and steps aside where it would not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import nn

from ganq_irl.accelerated.discriminator import FastLearner
from ganq_irl.algorithms import DAC, GAIL
from ganq_irl.algorithms.absorbing import with_absorbing
from ganq_irl.discriminator import Discriminator, DiscriminatorLearner, InputEncoder
from ganq_irl.generators.off_policy.n_step import NStepReplayBuffer
from ganq_irl.types import Batch
from tests.scripted import demonstrations, flat, generator, imitator, walk

OBSERVATIONS, ACTIONS = spaces.Box(-10, 10, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32)
R1, PENALTY = {"name": "r1", "weight": 10.0}, {"name": "gradient-penalty", "weight": 10.0}
PENALTIES = [(), (R1,), ("r2",), (PENALTY,), ("zero-centered-gradient-penalty",)]
INPUTS = ("observations", "actions", "absorbing")


def rows(seed, n=16):
    """Transitions, of which some end, and each end's step into the absorbing state."""
    rng = torch.Generator().manual_seed(seed)
    observations, following = torch.randn(2, n, 3, generator=rng)
    actions = torch.rand(n, 2, generator=rng) * 2 - 1
    return with_absorbing(Batch(observations + seed % 2, actions, following, (torch.rand(n, generator=rng) < 0.2).float()))


def learner(stabilizers=(R1,), hidden_sizes=(16, 16), activation="relu", discriminator=None, **options):
    torch.manual_seed(0)
    encoder = InputEncoder(OBSERVATIONS, ACTIONS, INPUTS)
    discriminator = discriminator or Discriminator(encoder, hidden_sizes, activation)
    return DiscriminatorLearner(discriminator, rows(1), stabilizers=stabilizers, **options)


def trained(updates, is_fast, **options):
    """A learner after updates on rows of alternating lengths, and the metrics of the last."""
    model = learner(**options)
    taught = FastLearner(model) if is_fast else model
    sides = [(rows(2 * number + 1), rows(2 * number)) for number in range(20)]
    for number in range(updates):
        metrics = taught.update(*sides[number % len(sides)])
    return model, metrics


def assert_same_training(updates, tolerance, **options):
    (ours, our_metrics), (theirs, their_metrics) = (trained(updates, is_fast, **options) for is_fast in (True, False))
    assert FastLearner.why_slow(ours) is None
    assert float((flat(ours.discriminator) - flat(learner(**options).discriminator)).abs().max()) > 1e-3  # it learned
    assert float((flat(ours.discriminator) - flat(theirs.discriminator)).abs().max()) < tolerance
    assert list(our_metrics) == list(their_metrics)
    for name, value in their_metrics.items():
        torch.testing.assert_close(our_metrics[name], value, rtol=1e-3, atol=1e-5)
    assert ours.n_updates == theirs.n_updates == updates
    assert torch.equal(ours.rng.get_state(), theirs.rng.get_state())


@pytest.mark.parametrize("stabilizers", PENALTIES)
def test_parameters_are_autograds_within_1e_5_after_20_updates_in_float32(stabilizers):
    assert_same_training(20, 1e-5, stabilizers=stabilizers)


@pytest.mark.parametrize("stabilizers", [(R1,), (PENALTY,)])
def test_parameters_are_autograds_within_1e_8_after_1000_updates_in_float64(stabilizers, in_double):
    assert_same_training(1000, 1e-8, stabilizers=stabilizers, hidden_sizes=(8,))


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "leaky-relu"},
        {"hidden_sizes": ()},
        {"hidden_sizes": (8,), "max_grad_norm": 0.05},
        {"hidden_sizes": (8, 4, 8), "max_grad_norm": None, "learning_rate": 1e-2},
    ],
)
@pytest.mark.parametrize("stabilizers", [(R1,), (PENALTY,)])
def test_other_networks_and_settings_train_as_by_autograd(options, stabilizers):
    assert_same_training(20, 1e-5, stabilizers=stabilizers, **options)


RUNS = {
    "dac": ("fast-sac", {}),
    "dac with absorbing states": ("fast-sac", {"learns_absorbing": True}),
    "dac with demonstrations in the replay": ("fast-td3", {"expert_share": 0.5}),
    "dac with n steps": ("dqn", {}),
    "dac with Discrete actions": ("dqn", {"stabilizers": (PENALTY,)}),
    "dac with another reward": ("fast-sac", {"reward": "gail", "n_updates": 0.5}),
    "gail": ("fast-ppo", {"stabilizers": ("r1",)}),
}


@pytest.mark.parametrize("name", RUNS)
def test_imitation_with_it_is_imitation_with_autograd(name, monkeypatch):
    kind, options = RUNS[name]
    more = {"ent_coef": 0.1} if kind == "fast-sac" else {}
    if "n steps" in name:
        if "discounts" not in ReplayBufferSamples._fields:
            pytest.skip("Stable-Baselines3 before 2.7 ignores the discounts of n-step samples")
        more |= {"replay_buffer_class": NStepReplayBuffer, "replay_buffer_kwargs": {"n_steps": 3, "gamma": 0.9}}

    def run():
        algorithm = imitator(name[:4].strip(), generator(kind, **more), **options)
        fast = algorithm.slow_reason is None
        algorithm.learn(80, log_interval=1000)
        return fast, algorithm.generator.logger.name_to_value, flat(algorithm.learner.discriminator), algorithm.generator

    fast, our_log, ours, our_generator = run()
    assert fast
    monkeypatch.setattr("ganq_irl.algorithms.adversarial.FAST_LEARNER", "ganq_irl.nowhere.discriminator:FastLearner")
    monkeypatch.setattr("ganq_irl.generators.acceleration.is_installed", lambda path: "nowhere" not in path)
    fast, their_log, theirs, their_generator = run()
    assert not fast
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(flat(our_generator.policy), flat(their_generator.policy), rtol=1e-3, atol=1e-4)
    learned = [key for key in their_log if key.startswith("discriminator/")]
    assert learned
    assert [key for key in our_log if key.startswith("discriminator/")] == learned
    for key in learned:
        assert our_log[key] == pytest.approx(their_log[key], rel=1e-3, abs=1e-5), key


class Doubled(Discriminator):
    """A discriminator that scores in a way of its own."""

    def score(self, encoded):
        return 2 * super().score(encoded)


def freeze(model):
    next(model.discriminator.parameters()).requires_grad_(False)


def hook(model):
    model.discriminator.network.register_forward_hook(lambda *_: None)


def replace_optimizer(model):
    model.optimizer = torch.optim.SGD(model.discriminator.parameters(), lr=0.1)


def update_otherwise(model):
    model.update = lambda real, fake, measures=True: {}


@pytest.mark.parametrize(
    ("reason", "options", "change"),
    [
        ("the loss 'hinge'", {"loss": "hinge"}, None),
        ("the stabilizer 'spectral-norm'", {"stabilizers": ("spectral-norm",)}, None),
        ("the stabilizer 'frozen'", {"stabilizers": ("frozen",)}, None),
        ("more than one penalty", {"stabilizers": ("r1", "r2")}, None),
        ("a Tanh layer", {"activation": "tanh"}, None),
        ("a discriminator of class Doubled", {"discriminator": Doubled(InputEncoder(OBSERVATIONS, ACTIONS, INPUTS))}, None),
        ("is frozen", {}, freeze),
        ("the networks have hooks", {}, hook),
        ("another optimizer", {}, replace_optimizer),
        ("overrides update", {}, update_otherwise),
    ],
)
def test_everything_else_is_left_to_autograd_with_a_reason(reason, options, change):
    model = learner(**options)
    if change is not None:
        change(model)
    assert reason in FastLearner.why_slow(model)


def test_images_and_other_discriminators_are_left_to_autograd():
    images = InputEncoder(spaces.Box(0, 255, (36, 36, 3), np.uint8), ACTIONS, ("observations",))
    assert "looks at images" in FastLearner.why_slow(DiscriminatorLearner(Discriminator(images)))
    assert "ShapedDiscriminator" in imitator("airl", generator("sac"), stabilizers=()).slow_reason


def test_autograd_goes_on_where_it_left_off_and_the_other_way_round():
    alone, mixed = learner(), learner()
    fast = FastLearner(mixed)
    for number in range(12):
        sides = rows(2 * number + 1), rows(2 * number)
        alone.update(*sides)
        (fast if number % 4 < 2 else mixed).update(*sides)
        if number == 5:
            mixed.load_state_dict(mixed.state_dict())
        if number == 8:  # as a move to another device would
            for parameter in mixed.discriminator.parameters():
                parameter.data = parameter.data.clone()
    torch.testing.assert_close(flat(mixed.discriminator), flat(alone.discriminator), rtol=1e-4, atol=1e-6)
    encoded = mixed.encode(rows(3))
    torch.testing.assert_close(fast.score(encoded), mixed.discriminator.score(encoded).detach())


def test_scores_stay_when_others_are_computed():
    fast = FastLearner(learner())
    first = fast.score(fast.encode(rows(3)))
    kept = first.clone()
    fast.score(fast.encode(rows(5)))
    assert torch.equal(first, kept)


def test_an_empty_side_is_refused_as_by_autograd():
    fast, empty = FastLearner(learner()), replace(rows(1), log_probs=None)[:0]
    with pytest.raises(Exception, match="the fake batch is empty"):
        fast.update(rows(1), empty)


def test_after_learning_and_after_a_failure_the_discriminator_is_torchs_alone():
    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    algorithm = DAC(generator("fast-sac"), demonstrations(), batch_size=16)
    with pytest.raises(Stop):
        algorithm.learn(80, callback=stop)
    assert algorithm._fast is None
    algorithm.learn(80)
    assert algorithm._fast is None
    other = GAIL(generator("fast-ppo", walk("ppo")), demonstrations(), batch_size=16, stabilizers=("r1",))
    other.learn(64)
    assert other._fast is None
    assert isinstance(other.learner.discriminator.network.layers[0], nn.Linear)
