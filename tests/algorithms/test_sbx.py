"""Generators of sbx, Stable-Baselines3 in JAX: DAC and SQIL train them as they are, from Python."""

import numpy as np
import pytest

from ganq_irl.algorithms import AIRL, DAC, SQIL
from ganq_irl.errors import UnsupportedGenerator
from tests.scripted import demonstrations, walk

sbx = pytest.importorskip("sbx", reason="sbx is not installed")
NAMES = ("SAC", "TQC", "CrossQ", "TD3")


def jax_generator(name):
    options = {"policy_kwargs": {"net_arch": [8]}, "learning_starts": 30, "buffer_size": 400, "batch_size": 16, "seed": 0}
    return getattr(sbx, name)("MlpPolicy", walk("sac", n_envs=1), **options)


@pytest.mark.parametrize("options", [{}, {"expert_share": 0.5}], ids=["plain", "with demonstrations"])
@pytest.mark.parametrize("name", NAMES)
def test_dac_trains_it_on_the_learned_reward(name, options):
    model = jax_generator(name)
    dac = DAC(model, demonstrations(), batch_size=16, hidden_sizes=(8,), **options)
    sampled = []
    price = dac.price
    dac.price = lambda batch: sampled.append(len(batch)) or price(batch)
    dac.learn(60)
    assert model._n_updates >= 25
    assert len(sampled) >= 25
    assert dac.learner.n_updates >= 25
    assert model.predict(np.zeros((1, 2), np.float32))[0].shape == (1, 1)
    assert np.isfinite(dac.recovered_reward().reward(np.zeros((3, 2)), np.zeros((3, 1)), np.zeros((3, 2)))).all()
    assert type(model.replay_buffer).__module__.startswith("stable_baselines3")


def test_sqil_trains_it():
    assert SQIL(jax_generator("SAC"), demonstrations()).learn(60).generator._n_updates >= 25


def test_what_needs_torch_is_refused_in_a_sentence():
    with pytest.raises(UnsupportedGenerator, match="sbx's SAC has no such torch networks"):
        DAC(jax_generator("SAC"), demonstrations(), learns_absorbing=True, batch_size=16)
    with pytest.raises(UnsupportedGenerator, match="log π"):
        AIRL(jax_generator("SAC"), demonstrations(), batch_size=16)
