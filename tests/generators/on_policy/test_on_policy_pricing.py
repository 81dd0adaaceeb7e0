"""The rollout buffer after repricing, against SB3's own on an environment that pays these very rewards."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.generators.callbacks import substituting
from ganq_irl.generators.on_policy.popart import ValueNormalizer
from ganq_irl.generators.on_policy.pricing import OnPolicyCallback
from ganq_irl.generators.on_policy.recorder import TransitionRecorder
from tests.scripted import ON_POLICY, FakeAdversary, PaidEnv, flat, generator, walk


def known_reward(observations, actions, next_observations, dones):
    """Any function of the transition will do, as long as it sees all of it."""
    return (
        torch.sin(observations).sum(1)
        + 0.3 * actions.reshape(len(actions), -1).sum(1).float()
        + next_observations[:, 0]
        - 2 * dones.float()
    )


class Capture(BaseCallback):
    """Copies of the rollout buffer as the algorithm is about to learn from it."""

    def __init__(self):
        super().__init__()
        self.rollouts = []

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        names = ("rewards", "values", "advantages", "returns", "actions", "log_probs")
        self.rollouts.append({name: np.copy(getattr(buffer, name)) for name in names})


def learn(model, n_steps, adversary, normalizer, others=()):
    """Learn from what the adversary pays."""
    recorder = TransitionRecorder(model.get_env(), observed=lambda: model._last_obs)
    with substituting(
        [OnPolicyCallback(adversary.train_and_price, recorder, normalizer), *others], env=recorder
    ) as callback:
        model.learn(n_steps, callback=callback)


def run_bare(name, n_steps, **options):
    model = generator(name, PaidEnv(walk(name), known_reward), **options)
    capture = Capture()
    model.learn(n_steps, callback=capture)
    return model, capture.rollouts


def run_repriced(name, n_steps, adversary=None, values=False, **options):
    model = generator(name, walk(name, bonus=1e6), **options)
    capture = Capture()
    normalizer = ValueNormalizer(model.policy) if values else None
    adversary = adversary or FakeAdversary(known_reward)
    learn(model, n_steps, adversary, normalizer, [capture])
    return model, capture.rollouts, normalizer


@pytest.mark.parametrize("gamma", [0.95, 0.0])
@pytest.mark.parametrize("name", ON_POLICY)
def test_rollouts_are_those_of_sb3_on_an_environment_that_pays_these_rewards(name, gamma):
    """Episodes that terminate, that hit the time limit (bootstrapped) and that are cut by the rollout's end."""
    bare, expected = run_bare(name, 128, gamma=gamma)
    model, rollouts, _ = run_repriced(name, 128, gamma=gamma)
    assert len(rollouts) == len(expected) == 2
    for given, wanted in zip(rollouts, expected, strict=True):
        for field, array in wanted.items():
            np.testing.assert_allclose(given[field], array, atol=1e-5, err_msg=field)
    torch.testing.assert_close(flat(model.policy), flat(bare.policy), atol=1e-5, rtol=1e-5)


def test_the_time_limit_bootstrap_is_in_the_rewards():
    """Without it the comparison above would hold for a wrong reason."""
    _, (rollout,), _ = run_repriced("ppo", 64, FakeAdversary(lambda *fields: torch.zeros(len(fields[-1]))))
    assert (rollout["rewards"] != 0).any()
    _, (without,), _ = run_repriced("ppo", 64, FakeAdversary(lambda *fields: torch.zeros(len(fields[-1]))), gamma=0.0)
    assert not without["rewards"].any()


@pytest.mark.parametrize("name", ON_POLICY)
@pytest.mark.parametrize("gamma", [0.95, 0.0])
def test_with_popart_everything_is_the_same_in_reward_units(name, gamma):
    """A policy that does not move, so that only the statistics do: values, returns and advantages of SB3 itself."""
    still = {"learning_rate": 0.0, "gamma": gamma}
    if name == "trpo":
        still |= {"target_kl": 1e-12, "cg_damping": 1e6}  # its step has a size of its own
    _, expected = run_bare(name, 192, **still)

    in_reward_units = []

    class ToReturns(BaseCallback):
        """What the rollout buffer says in reward units, by the statistics of that moment."""

        def _on_step(self):
            return True

        def _on_rollout_end(self):
            buffer = self.model.rollout_buffer
            in_reward_units.append({key: normalizer.to_returns(getattr(buffer, key)) for key in ("values", "returns")})

    capture, model = Capture(), generator(name, walk(name), **still)
    normalizer = ValueNormalizer(model.policy)
    learn(model, 192, FakeAdversary(known_reward), normalizer, [ToReturns(), capture])
    assert normalizer.std != 1.0
    for given, units, wanted in zip(capture.rollouts, in_reward_units, expected, strict=True):
        for field in ("rewards", "advantages"):
            np.testing.assert_allclose(given[field], wanted[field], atol=2e-5, err_msg=field)
        for field in ("values", "returns"):
            np.testing.assert_allclose(units[field], wanted[field], atol=2e-5, err_msg=field)


def test_with_popart_the_algorithm_sees_standard_returns():
    shifted = FakeAdversary(lambda *fields: 100 + 10 * known_reward(*fields))
    _, rollouts, normalizer = run_repriced("ppo", 128, shifted, values=True)
    assert abs(rollouts[0]["returns"].mean()) < 1e-3
    assert rollouts[0]["returns"].std() == pytest.approx(1, abs=1e-3)
    assert normalizer.mean > 100


def test_the_adversary_gets_every_transition_once_and_the_progress_of_the_run():
    adversary = FakeAdversary(known_reward)
    run_repriced("ppo", 192, adversary)
    assert adversary.progress == pytest.approx([2 / 3, 1 / 3, 0])
    for rollout in adversary.priced:
        rows = torch.cat([rollout.observations, rollout.actions, rollout.next_observations], 1)
        assert len(rows.unique(dim=0)) == len(rows) == 64


def test_actions_are_priced_as_executed():
    """The rollout buffer holds unclipped ones."""
    adversary = FakeAdversary(known_reward)
    _, rollouts, _ = run_repriced("ppo", 64, adversary, policy_kwargs={"net_arch": [8], "log_std_init": 2.0})
    unclipped = torch.as_tensor(rollouts[0]["actions"]).reshape(-1, 1)
    assert unclipped.abs().max() > 2
    torch.testing.assert_close(adversary.priced[0].actions, unclipped.clamp(-2, 2))


def test_a_second_run_begins_with_full_progress():
    """SB3's own value is still that of the first run's end."""
    adversary = FakeAdversary(known_reward)
    model = generator("ppo")
    for _ in range(2):
        learn(model, 128, adversary, None)
    assert adversary.progress == pytest.approx([0.5, 0, 0.5, 0])


def test_progress_never_falls_below_zero():
    adversary = FakeAdversary(known_reward)
    run_repriced("ppo", 100, adversary)  # rollouts of 64: the second one overshoots
    assert adversary.progress == pytest.approx([0.36, 0])
