"""The update that is written out does what autograd's does, and only where it is exact."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from ganq_irl.algorithms import GANQ
from ganq_irl.errors import TrainingDiverged
from tests.algorithms.ganq_examples import VECTOR, collected, small, spaces_env, walk_env


class Autograd(GANQ):
    """The same algorithm by the other path."""

    def _step(self, sampled, measures):
        return super()._step(sampled, measures)


SETTINGS = {
    "default": {},
    "deep": {"net_arch": (12, 8, 5), "critic_hidden_sizes": (6, 9, 4)},
    "one layer, linear critic": {"net_arch": (7,), "critic_hidden_sizes": ()},
    "one sample": {"n_samples": 1},
    "one-step targets": {"n_steps": 1},
    "no average": {"average_rate": 1.0},
    "double": {"double_q": True, "average_rate": 0.5},
    "hybrid": {"td_weight": 0.5},
    "finer units": {"critic_n_basis": 24},
    "stratified noise": {"noise": "stratified"},
    "clipped": {"max_grad_norm": 1e-2},
    "never clipped": {"max_grad_norm": None},
    "another penalty": {"stabilizers": [{"name": "zero-centered-gradient-penalty", "weight": 7}]},
    "two moments": {"policy_kwargs": {"optimizer_kwargs": {"betas": (0.9, 0.99), "eps": 1e-5}}},
    "weight decay": {"policy_kwargs": {"optimizer_kwargs": {"weight_decay": 0.1}}},
    "tanh": {"policy_kwargs": {"activation_fn": nn.Tanh}},
    "leaky ReLU": {"policy_kwargs": {"activation_fn": nn.LeakyReLU}},
    "risk": {"policy_kwargs": {"risk": {"name": "cvar", "level": 0.5}}},
}


def both(logs, *, env=walk_env, updates=3, rows=8, eps=1e-3, **settings):
    """One model of each path after the same updates on the same data, and what they logged.

    Adam's ``eps`` is large, or else it would blow up the rounding of a gradient near 0 to a part of a whole step.
    """
    models = []
    for path in (GANQ, Autograd):
        model = collected(small(env(), **settings))
        model.__class__ = path
        for optimizer in (model.policy.optimizer, model.learner.optimizer):
            optimizer.param_groups[0]["eps"] = eps
        model.logger.record = lambda key, value, path=path, **_: logs.setdefault(path, {}).update({key: value})
        np.random.seed(5)  # noqa: NPY002  # SB3's buffers draw from it
        model._current_progress_remaining = 1.0
        model.train(updates, rows)
        models.append(model)
    return models


def hold_equal(one, other, tolerance):
    """Parameters, averages, optimizers, residuals, counters: nested values of the same kinds."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            hold_equal(one[key], other[key], tolerance)
    elif isinstance(one, list | tuple):
        for ours, theirs in zip(one, other, strict=True):
            hold_equal(ours, theirs, tolerance)
    elif isinstance(one, torch.Tensor):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    else:
        assert one == other


def whole_state(model):
    return {"parameters": model.get_parameters(), "learner": model.learner.state_dict()}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_draws_give_the_same_parameters_optimizers_and_log(name):
    logs = {}
    fast, slow = both(logs, **SETTINGS[name])
    assert fast.slow_reason is None
    assert "overrides" in slow.slow_reason
    assert not torch.equal(fast.q_net.shape, fast.q_net_target.shape)  # as they were before the updates
    hold_equal(fast.policy.state_dict(), slow.policy.state_dict(), 1e-6)
    hold_equal(dict(fast.learner.discriminator.state_dict()), dict(slow.learner.discriminator.state_dict()), 1e-6)
    hold_equal(whole_state(fast), whole_state(slow), 1e-5)
    assert list(logs[GANQ]) == list(logs[Autograd])
    assert logs[GANQ] == pytest.approx(logs[Autograd], rel=1e-4, abs=1e-5)


def test_twenty_updates_of_the_default_widths():
    fast, slow = both({}, updates=20, rows=64, net_arch=(64, 64), critic_hidden_sizes=(64, 64))
    hold_equal(fast.policy.state_dict(), slow.policy.state_dict(), 1e-6)
    hold_equal(dict(fast.learner.discriminator.state_dict()), dict(slow.learner.discriminator.state_dict()), 1e-5)


@pytest.mark.parametrize("shape", [(1,), (2, 3)])
def test_boxes_of_every_shape_and_dtype(shape):
    for dtype in (np.float32, np.float64, np.uint8):
        space = spaces.Box(0, 200, shape, dtype)
        fast, slow = both({}, env=lambda space=space: spaces_env(space))
        assert fast.slow_reason is None
        hold_equal(fast.policy.state_dict(), slow.policy.state_dict(), 1e-5)


def test_observations_that_are_normalized():
    fast, slow = both({}, env=lambda: VecNormalize(walk_env(2), norm_reward=False))
    assert fast.slow_reason is None
    hold_equal(fast.policy.state_dict(), slow.policy.state_dict(), 1e-6)


def test_updates_of_both_kinds_take_turns():
    """Torch's own networks and optimizers are up to date after every call of ``train``."""
    models = [collected(small()) for _ in range(2)]
    for turn in range(4):
        for number, model in enumerate(models):
            model.__class__ = Autograd if (turn + number) % 2 else GANQ
            np.random.seed(turn)  # noqa: NPY002
            model.train(2, 8)
    first, second = models
    assert first.learner.n_updates == second.learner.n_updates == first._n_updates == 8
    hold_equal(whole_state(first), whole_state(second), 1e-5)


def test_an_update_is_kept_and_follows_whatever_is_replaced():
    fast, slow = both({})
    kept = fast._fast_update
    for model in (fast, slow):
        np.random.seed(2)  # noqa: NPY002
        model.train(1, 8)
    assert fast._fast_update is kept
    for model in (fast, slow):
        weights = model.q_net_target.shape
        weights.data = weights.detach() * 2  # in other memory
        model.policy.optimizer = torch.optim.Adam(model.q_net.parameters(), lr=1e-2, eps=1e-3)
        model.td_weight = 0.5
        np.random.seed(3)  # noqa: NPY002
        model.train(3, 8)
    assert fast.slow_reason is None
    assert fast._fast_update is not kept
    hold_equal(whole_state(fast), whole_state(slow), 1e-5)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"loss": "hinge"}, "hinge"),
        ({"stabilizers": []}, "stabilizers"),
        ({"stabilizers": ["gradient-penalty"]}, "stabilizers"),
        ({"stabilizers": ["zero-centered-gradient-penalty", "averaged-discriminator"]}, "stabilizers"),
        ({"stabilizers": ["spectral-norm", "zero-centered-gradient-penalty"]}, "stabilizers"),
        ({"mode": "paper"}, "centered"),
        ({"policy_kwargs": {"return_model": "concatenated"}}, "ConcatenatedModel"),
        ({"policy_kwargs": {"action_network": "input"}}, "ActionInput"),
        ({"policy_kwargs": {"activation_fn": nn.GELU}}, "GELU"),
        ({"policy_kwargs": {"optimizer_class": torch.optim.SGD}}, "Adam"),
        ({"policy_kwargs": {"optimizer_kwargs": {"amsgrad": True}}}, "Adam"),
        ({"net_arch": ()}, "hidden layer"),
        ({"env": spaces_env(spaces.Discrete(4))}, "Discrete"),
        ({"env": spaces_env(spaces.Dict(a=VECTOR)), "policy": "MultiInputPolicy"}, "Dict"),
        ({"env": spaces_env(spaces.Box(0, 255, (36, 40, 3), np.uint8)), "policy": "CnnPolicy"}, "images"),
    ],
)
def test_everything_else_goes_through_autograd(settings, reason):
    model = small(**settings)
    assert reason in model.slow_reason
    assert model.learn(24).learner.n_updates > 0


def test_what_was_changed_by_hand_is_noticed():
    model = small()
    assert model.slow_reason is None
    handle = model.q_net.q_net[0].base[0].register_forward_hook(lambda *_: None)
    assert "hooks" in model.slow_reason
    handle.remove()
    model.learner.update = model.learner.update
    assert "overrides update" in model.slow_reason
    del model.learner.update
    model.q_net.shape.requires_grad_(False)
    assert "frozen" in model.slow_reason
    model.q_net.shape.requires_grad_(True)
    model.q_net.q_net[0].base[1] = nn.GELU()
    assert "GELU" in model.slow_reason


def test_where_sb3_reads_observations_in_another_way_autograd_runs(monkeypatch):
    model = small()
    assert model.slow_reason is None
    monkeypatch.setattr(FlattenExtractor, "forward", lambda self, observations: 2 * self.flatten(observations))
    assert "FlattenExtractor.forward of Stable-Baselines3" in model.slow_reason


@pytest.mark.parametrize("owner", ["q_net", "q_net_target", "learner"])
@pytest.mark.filterwarnings("error")
def test_divergence_is_an_error_here_too(owner):
    model = collected(small())
    network = model.learner.discriminator if owner == "learner" else getattr(model, owner)
    with torch.no_grad():
        next(network.parameters()).fill_(torch.inf)
    assert model.slow_reason is None
    with pytest.raises(TrainingDiverged, match="critic_learning_rate"):
        model.train(2, 8)
