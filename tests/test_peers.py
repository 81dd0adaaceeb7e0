"""What was seen to fail in comparable libraries, and the tests that show that it does not fail here."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from ganq_irl.algorithms import BC
from ganq_irl.errors import InvalidDemonstrations
from ganq_irl.generators.policies.store import save_policy
from ganq_irl_demos import Demonstrations, Trajectory
from tests.scripted import BOX, SpacesEnv, WalkEnv, demonstrations, generator, imitator, vec_env

TESTS = Path(__file__).parent

SEEN: dict[str, list[str]] = {
    "a linear learning-rate schedule is 0 in every round, since each round is a learn() of its own": [
        "algorithms/test_learn.py::test_learning_rate_and_clip_schedules_run_over_the_whole_run",
        "algorithms/test_learn.py::test_the_discriminators_learning_rate_follows_its_schedule",
    ],
    "a DQN generator's ε is at its final value by the third step": [
        "algorithms/test_learn.py::test_exploration_follows_its_schedule",
    ],
    "off-policy, the discriminator gets one unique transition in a batch of 16, silently": [
        "generators/off_policy/test_off_policy_pricing.py::test_fakes_are_distinct_transitions_that_happened",
        "generators/on_policy/test_on_policy_pricing.py::test_the_adversary_gets_every_transition_once_and_the_progress_of_the_run",
        "generators/test_generator_checks.py::test_too_few_transitions_for_a_batch_of_distinct_ones",
    ],
    "off-policy rewards in the replay buffer go stale": [
        "generators/off_policy/test_off_policy_pricing.py::test_sampled_rewards_are_todays_and_stored_ones_the_environments",
        "generators/off_policy/test_off_policy_pricing.py::test_a_discriminator_that_learned_more_pays_differently",
    ],
    "loading a reward or a BC policy fails on current torch": [
        "test_peers.py::test_a_reward_and_a_bc_policy_load_in_a_fresh_process_without_unpickling",
        "contracts/test_algorithms.py::test_the_recovered_reward_is_saved_and_loaded_bit_by_bit",
    ],
    "GAIL with Dict observations: an empty AssertionError; AIRL with DQN: a TypeError": [
        "algorithms/test_observation_kinds.py::test_observations_on_policy",
        "algorithms/test_observation_kinds.py::test_observations_off_policy",
    ],
    "NaN, wrong widths and impossible actions give errors of torch and numpy; outliers are accepted": [
        "test_peers.py::test_faults_of_demonstrations_are_named_before_training",
    ],
    "whole-module saves and pickles: a file can run code": [
        "contracts/test_algorithms.py::test_a_pickle_in_place_of_a_file_is_not_executed",
    ],
    "callbacks of the generator cannot be used": [
        "algorithms/test_learn.py::test_the_users_evaluation_and_best_model_work_inside",
        "algorithms/test_learn.py::test_evaluation_under_vec_normalize_gets_the_training_statistics",
        "algorithms/test_learn.py::test_functions_and_lists_are_callbacks_too",
        "algorithms/test_learn.py::test_a_callback_can_stop_training",
    ],
    "a time limit's done zeroes the shaping potential": [
        "test_peers.py::test_truncation_does_not_zero_the_shaping_potential",
        "generators/on_policy/test_recorder.py::test_rows_are_what_the_environments_did",
        "generators/off_policy/test_off_policy_pricing.py::test_a_time_limit_is_not_a_termination",
    ],
}


@pytest.mark.parametrize("place", itertools.chain(*SEEN.values()))
def test_the_test_named_exists(place):
    file, name = place.split("::")
    assert f"def {name}(" in (TESTS / file).read_text()


def test_a_reward_and_a_bc_policy_load_in_a_fresh_process_without_unpickling(tmp_path):
    """Loading a reward or a BC policy fails on current torch: here each loads on a clean machine, without unpickling."""
    imitator("airl", generator("ppo")).learn(64).recovered_reward().save(tmp_path / "reward")
    env = WalkEnv()
    bc = BC(env.observation_space, env.action_space, demonstrations(), device="cpu").train(1)
    save_policy(bc.policy, tmp_path / "policy")
    save_policy(generator("gan-q"), tmp_path / "gan-q")
    program = f"""
import pickle, sys
import numpy as np
def refuse(*args, **kwargs):
    raise AssertionError("unpickled")
import ganq_irl.rewards, ganq_irl.generators.policies.store as store
import torch
pickle.load = pickle.loads = torch.load = refuse
reward = ganq_irl.rewards.RewardModel.load({str(tmp_path / "reward")!r})
policy = store.load_policy({str(tmp_path / "policy")!r}, device="cpu")
assert "ganq_irl.algorithms" not in sys.modules
store.load_policy({str(tmp_path / "gan-q")!r}, device="cpu")  # its class is imported from there
assert "ganq_irl.algorithms" in sys.modules
observations = np.array([[0.5, -0.5]], np.float32)
actions, _ = policy.predict(observations, deterministic=True)
print(*actions.ravel(), *reward.reward(observations, actions, observations, np.zeros(1)))
"""
    paths = [str(TESTS.parent), str(TESTS.parent / "demos"), str(TESTS.parent / "cli")]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{program}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    action, reward = map(float, result.stdout.split())
    assert action == pytest.approx(bc.predict(np.array([0.5, -0.5], np.float32), deterministic=True)[0].item())
    assert np.isfinite(reward)


def broken(action_space, **changes):
    observations, actions = np.zeros((4, 2), np.float32), np.zeros((3, *action_space.shape), action_space.dtype)
    good = Trajectory(observations + np.arange(4, dtype=np.float32)[:, None], actions, terminated=True)
    fields = {key: change(np.array(getattr(good, key))) for key, change in changes.items()}
    return Demonstrations((good, replace(good, **fields)), WalkEnv().observation_space, action_space)


def set_at(index, value):
    def change(array):
        array[index] = value
        return array

    return change


DISCRETE = spaces.Discrete(2)
FAULTS = [
    (BOX, {"observations": set_at((2, 1), np.nan)}, "trajectory 1, step 2.*observations"),
    (BOX, {"actions": set_at((1, 0), np.inf)}, "trajectory 1, step 1.*actions"),
    (BOX, {"observations": set_at((1, 0), 1e30)}, "trajectory 1, step 1.*observations"),
    (BOX, {"observations": lambda array: np.zeros((4, 3), np.float32)}, "trajectory 1.*observations"),
    (BOX, {"observations": lambda array: array[:3]}, "trajectory 1.*observations"),
    (DISCRETE, {"actions": set_at(2, 7)}, "trajectory 1, step 2.*actions"),
]


@pytest.mark.parametrize(
    ("action_space", "changes", "where"), FAULTS, ids=["nan", "inf", "outlier", "width", "length", "action"]
)
@pytest.mark.parametrize("algorithm", ["gail", "airl", "bc"])
def test_faults_of_demonstrations_are_named_before_training(algorithm, action_space, changes, where):
    """NaN: a torch distribution error; wrong width: a numpy error; action 7 of two: a torch error; 1e30: accepted."""
    observation_space = WalkEnv().observation_space
    model = generator("ppo", vec_env(SpacesEnv, observation_space=observation_space, action_space=action_space))
    learners = {
        "bc": lambda demos: BC(observation_space, action_space, demos),
        "gail": lambda demos: imitator("gail", model, demos),
        "airl": lambda demos: imitator("airl", model, demos),
    }
    with pytest.raises(InvalidDemonstrations, match=where):
        learners[algorithm](broken(action_space, **changes))


def test_truncation_does_not_zero_the_shaping_potential():
    """A time limit's ``done`` zeroes h(s'): here f = g + γ h(s') - h(s) at a limit, and g - h(s) at a termination."""
    run = imitator("airl", generator("ppo", gamma=0.9))
    rows = run._demonstrations
    at_limit = (rows.dones == 0) & _last_rows(run)
    assert at_limit.any()
    discriminator = run.learner.scorer
    encoded = discriminator.encode(rows)
    columns = discriminator.encoder.columns
    with torch.no_grad():
        g = discriminator.reward(encoded)
        h, following = (
            discriminator.potential_network(encoded.features[:, columns(field)])
            for field in ("observations", "next_observations")
        )
    f = run.price(rows)
    torch.testing.assert_close(f[at_limit], (g + 0.9 * following - h)[at_limit])
    terminated = rows.dones == 1
    assert terminated.any()
    torch.testing.assert_close(f[terminated], (g - h)[terminated])


def _last_rows(run):
    lengths = [len(trajectory) for trajectory in demonstrations(WalkEnv(run.generator.action_space))]
    last = torch.zeros(sum(lengths), dtype=torch.bool)
    last[torch.tensor(lengths).cumsum(0) - 1] = True
    return last
