"""Rewards that were saved on either stack: ``saved/pinned`` by the oldest supported one, ``saved/current`` by the newest."""

import json
from pathlib import Path

import numpy as np
import pytest

from ganq_irl.rewards import RewardModel
from tests.toys import ACTIONS, OBSERVATIONS, toy_batch

SAVED = Path(__file__).parent / "saved"


@pytest.mark.parametrize("stack", ["pinned", "current"])
def test_a_reward_saved_on_either_stack_loads_on_this_one(stack):
    model = RewardModel.load(SAVED / stack)
    expected = json.loads((SAVED / stack / "expected.json").read_text())
    np.testing.assert_allclose(model.price(toy_batch(9, seed=5)).numpy(), expected, atol=1e-6)
    assert model.provenance == {"why": "a test"}
    assert (model.observation_space, model.action_space) == (OBSERVATIONS, ACTIONS)
    assert model.form.name == "g"
