"""Updates of behavioral cloning between rollouts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.algorithms import GAIL
from ganq_irl.errors import InvalidDemonstrations, UnsupportedGenerator
from ganq_irl.generators.policies.outputs import log_probs
from tests.scripted import BOX, WalkEnv, demonstrations, flat, generator, imitator, pushed_home, vec_env


@pytest.mark.parametrize("space", [BOX, spaces.Discrete(3)], ids=["box", "discrete"])
def test_cloning_makes_the_demonstrated_actions_likely(space):
    shown = demonstrations() if space is BOX else pushed_home(WalkEnv(action_space=space))
    likely = {}
    for bc_updates in (0, 200):
        model = generator("ppo", vec_env(WalkEnv, 2, action_space=space), learning_rate=0.0)
        run = imitator("gail", model, shown, bc_updates=bc_updates).learn(256)
        likely[bc_updates] = log_probs(run.generator, run._demonstrations).mean()
    assert likely[200] > likely[0] + 0.1


def test_updates_come_before_each_rollout_and_are_repeated(monkeypatch):
    runs = []
    for _ in range(2):
        run = imitator("gail", generator("ppo"), bc_updates=3)
        steps = []
        step = run._cloning._optimizer.step
        monkeypatch.setattr(run._cloning._optimizer, "step", lambda step=step, steps=steps: steps.append(1) or step())
        runs.append(run.learn(128))
        n_rollouts = run.generator.num_timesteps // (run.generator.n_steps * run.generator.n_envs)
        assert len(steps) == 3 * n_rollouts > 0
    assert torch.equal(flat(runs[0].policy), flat(runs[1].policy))


def test_a_saved_run_clones_on(tmp_path):
    run = imitator("gail", generator("ppo"), bc_updates=2).learn(64)
    run.save(tmp_path / "run")
    options = {"batch_size": 16, "hidden_sizes": (8,), "n_updates": 2}
    loaded = GAIL.load(tmp_path / "run", generator("ppo"), demonstrations(), bc_updates=2, **options)
    ours, theirs = run._cloning.state_dict(), loaded._cloning.state_dict()
    assert torch.equal(ours["rng"], theirs["rng"])
    assert np.array_equal(ours["sampler"]["left"], theirs["sampler"]["left"])
    assert ours["optimizer"]["state"].keys() == theirs["optimizer"]["state"].keys()


def test_what_cannot_clone_is_refused():
    with pytest.raises(UnsupportedGenerator, match="use ppo, a2c or trpo, or dac with expert_share"):
        imitator("gail", generator("sac"), bc_updates=5)
    shown = demonstrations()
    unseen = [replace(one, actions=np.zeros((len(one), 0), np.float32)) for one in shown]
    without = replace(shown, missing=("actions",), trajectories=unseen)
    with pytest.raises(InvalidDemonstrations, match="actions"):
        imitator("gail", generator("ppo"), without, inputs=("observations",), bc_updates=5)
