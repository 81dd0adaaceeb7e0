"""What SB3's loop runs with is not what callbacks see, and whatever ends a run, the model is the user's again."""

import contextlib

import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.algorithms import SQIL, IQLearn
from ganq_irl.generators.callbacks import substituting
from tests.scripted import CONTINUOUS, OFF_POLICY, ON_POLICY, demonstrations_for, generator, imitator, walk


class Look(BaseCallback):
    """What the model holds at every moment at which a callback runs."""

    def __init__(self, look):
        super().__init__()
        self.look, self.seen = look, set()

    def _note(self):
        self.seen.add(self.look(self.model))

    _on_training_start = _on_rollout_start = _on_rollout_end = _on_training_end = _note

    def _on_step(self):
        self._note()
        return True


class Stop(BaseCallback):
    """An error in the middle of a run."""

    def _on_step(self):
        if self.n_calls == 20:
            raise RuntimeError("stopped")
        return True


LEARNERS = [("gail", name) for name in ON_POLICY] + [
    ("gail", "sac"),
    ("iq-learn", "sac"),
    ("iq-learn", "dqn"),
    ("sqil", "dqn"),
]


def learner(algorithm, name):
    kinds = {"iq-learn": IQLearn, "sqil": SQIL}
    if algorithm not in kinds:
        return imitator(algorithm, generator(name))
    options = {"ent_coef": 0.1} if name == "sac" else {}
    return kinds[algorithm](generator(name, **options), demonstrations_for(name))


@pytest.mark.parametrize(("algorithm", "name"), LEARNERS)
@pytest.mark.parametrize("others", [(), (Stop,)])
def test_the_model_is_the_users_to_callbacks_and_afterwards(algorithm, name, others):
    run = learner(algorithm, name)
    model = run.generator
    kind, env = type(model), model.get_env()
    buffer = getattr(model, "replay_buffer", None)
    look = Look(lambda model: (type(model), model.get_env() is env, "train" in vars(model), "predict" in vars(model)))
    with contextlib.suppress(RuntimeError):
        run.learn(64, callback=[look, *(other() for other in others)])
    assert look.seen == {(kind, True, False, False)}
    assert type(model) is kind
    assert not {"train", "predict"} & vars(model).keys()
    assert model.get_env() is model.env is env
    assert getattr(model, "replay_buffer", None) is buffer


def test_attributes_are_others_while_no_callback_runs():
    model, seen = generator("dqn"), []
    train = model.train
    with substituting([], train=lambda **arguments: seen.append(arguments) or train(**arguments)) as callback:
        model.learn(60, callback=callback)
    assert len(seen) > 2
    model.learn(60)
    assert "train" not in vars(model)


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_stable_baselines_own_callbacks_work_under_vec_normalize(name, tmp_path):
    """``EvalCallback`` compares the two environments layer by layer; ``CheckpointCallback`` saves in the middle of a run."""
    model = generator(name, VecNormalize(walk(name), norm_reward=False))
    evaluation = VecNormalize(walk(name), norm_reward=False, training=False)
    callbacks = [
        EvalCallback(evaluation, n_eval_episodes=1, eval_freq=20, warn=False, verbose=0),
        CheckpointCallback(20, str(tmp_path), save_replay_buffer=name in CONTINUOUS),
    ]
    imitator("gail", model).learn(64, callback=callbacks)
    np.testing.assert_allclose(evaluation.obs_rms.mean, model.get_vec_normalize_env().obs_rms.mean, atol=0.5)
    assert evaluation.obs_rms.count > 10
    restored = type(model).load(next(tmp_path.glob("*_steps.zip")), env=model.get_env(), device="cpu")
    restored.learn(16)


@pytest.mark.parametrize("name", [name for name in OFF_POLICY if name != "gan-q"])
def test_replay_is_sb3s_again_after_imitation_and_holds_the_environments_rewards(name):
    """So that ``model.learn`` goes on with the environment's reward, from all that was seen."""
    env = walk(name, bonus=100.0)
    model = generator(name, env)
    imitator("gail", model).learn(60)
    assert model.replay_buffer.sample(32).rewards.min() > 50
    model.learn(20, reset_num_timesteps=False)
