"""What repeats SB3's code runs only beside the code that it was written after; beside any other, SB3's own runs."""

import functools

import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from ganq_irl.accelerated.ppo import FastPPO
from ganq_irl.generators.acceleration import copied, source_digest, why_changed
from tests.scripted import flat, walk

TRAIN, COLLECT, ADD, ENTROPY = (
    PPO.train,
    OnPolicyAlgorithm.collect_rollouts,
    RolloutBuffer.add,
    DiagGaussianDistribution.entropy,
)


def train(self):
    """A release that takes half of the entropy's weight."""
    weight, self.ent_coef = self.ent_coef, self.ent_coef / 2
    TRAIN(self)
    self.ent_coef = weight


def collect_rollouts(self, env, callback, rollout_buffer, n_rollout_steps):
    """A release that draws a number before each rollout."""
    torch.rand(1)
    return COLLECT(self, env, callback, rollout_buffer, n_rollout_steps)


def add(self, obs, action, reward, *others):
    """A release that stores half of each reward."""
    ADD(self, obs, action, reward / 2, *others)


def entropy(self):
    """A release that counts entropy twice."""
    return 2 * ENTROPY(self)


def build(cls):
    return cls("MlpPolicy", walk("ppo"), n_steps=32, batch_size=32, n_epochs=2, ent_coef=0.1, seed=0, device="cpu")


@pytest.mark.parametrize(
    ("owner", "changed"),
    [(PPO, train), (OnPolicyAlgorithm, collect_rollouts), (RolloutBuffer, add), (DiagGaussianDistribution, entropy)],
)
def test_where_sb3_has_changed_its_own_code_runs_and_the_log_says_why(owner, changed, monkeypatch, caplog):
    before = build(PPO).learn(128)
    monkeypatch.setattr(owner, changed.__name__, changed)
    theirs, ours = build(PPO).learn(128), build(FastPPO).learn(128)
    assert f"{owner.__name__}.{changed.__name__} of Stable-Baselines3" in ours.slow_reason
    assert source_digest(changed) in ours.slow_reason
    assert [record.message for record in caplog.records] == [
        f"FastPPO runs Stable-Baselines3's own code here: {ours.slow_reason}"
    ]
    assert torch.equal(flat(theirs.policy), flat(ours.policy))
    assert not torch.equal(flat(before.policy), flat(ours.policy))


def test_a_change_between_two_calls_of_learn_is_noticed(monkeypatch):
    model = build(FastPPO).learn(64)
    assert model.slow_reason is None
    monkeypatch.setattr(PPO, "train", train)
    model.learn(64)
    assert "PPO.train" in model.slow_reason


def test_a_method_that_others_have_wrapped_counts_as_changed(monkeypatch):
    known = [copied(PPO, "train", source_digest(PPO.train))]
    assert why_changed(known) is None
    monkeypatch.setattr(PPO, "train", functools.wraps(TRAIN)(lambda self: TRAIN(self)))
    assert "PPO.train" in why_changed(known)
    monkeypatch.setattr(PPO, "train", TRAIN)
    assert why_changed(known) is None


def test_without_source_nothing_is_known():
    assert source_digest(len) is None
    assert source_digest(eval("lambda: 0")) is None


def test_the_layout_of_a_source_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "one.py").write_text("def f(x):\n    return [x,  1]\n")
    (tmp_path / "two.py").write_text("def f(x):\n\n    return [\n        x, 1]\n")
    (tmp_path / "three.py").write_text("def f(x):\n    return [x, 2]\n")
    monkeypatch.syspath_prepend(tmp_path)
    one, two, three = (source_digest(__import__(name).f) for name in ("one", "two", "three"))
    assert one == two != three
