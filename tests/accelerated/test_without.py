"""Deleting ``ganq_irl.accelerated`` changes nothing but speed."""

import sys

import pytest
import torch
from stable_baselines3 import PPO, SAC

from ganq_irl.algorithms.ganq.ganq import FAST_UPDATE
from ganq_irl.generators.acceleration import is_installed
from ganq_irl.generators.factory import EXACT_TWINS, GENERATORS, generator_class
from tests.algorithms.ganq_examples import small
from tests.scripted import flat, generator, imitator

ROOM = "ganq_irl.accelerated"


@pytest.fixture
def deleted(monkeypatch):
    """Call it to make the room one that cannot be imported."""

    def delete():
        for name in [name for name in sys.modules if name.startswith(f"{ROOM}.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, ROOM, None)

    return delete


def trained_gail():
    return imitator("gail", generator("fast-ppo")).learn(128)


def trained_dac():
    return imitator("dac", generator("fast-sac", ent_coef=0.1)).learn(100)


def trained_gan_q():
    model = small()
    for optimizer in (model.policy.optimizer, model.learner.optimizer):
        optimizer.param_groups[0]["eps"] = 1e-3  # or Adam would blow up the rounding of a gradient near 0
    return model.learn(120)


def assert_same(ours, theirs):
    torch.testing.assert_close(flat(ours), flat(theirs), rtol=1e-5, atol=1e-5)


def test_gail_and_its_ppo_learn_the_same(deleted):
    before = trained_gail()
    deleted()
    after = trained_gail()
    assert type(before.generator).__name__ == "FastPPO"
    assert type(after.generator) is PPO
    assert_same(after.generator.policy, before.generator.policy)
    assert_same(after.learner.discriminator, before.learner.discriminator)


def test_dac_and_its_sac_learn_the_same(deleted):
    before = trained_dac()
    assert before.slow_reason is None
    deleted()
    after = trained_dac()
    assert "not installed" in after.slow_reason
    assert type(after.generator) is SAC
    assert_same(after.generator.policy, before.generator.policy)
    assert_same(after.learner.discriminator, before.learner.discriminator)


def test_gan_q_learns_the_same(deleted):
    before = trained_gan_q()
    assert before.slow_reason is None
    deleted()
    after = trained_gan_q()
    assert "not installed" in after.slow_reason
    assert_same(after.policy, before.policy)
    assert_same(after.learner.discriminator, before.learner.discriminator)


def test_every_accelerated_generator_has_one_that_stands_in(deleted):
    fast = {name for name, path in GENERATORS.items() if path.startswith(ROOM)}
    assert fast == set(EXACT_TWINS)
    assert is_installed(FAST_UPDATE)
    deleted()
    assert not is_installed(FAST_UPDATE)
    for name in fast:
        assert generator_class(name) is generator_class(EXACT_TWINS[name])
