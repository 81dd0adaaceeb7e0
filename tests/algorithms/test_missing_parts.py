"""Demonstrations that tell only a part: states alone, or states and actions in no known order."""

import numpy as np
import pytest

from ganq_irl.algorithms import AIRL, BC, DAC, GAIL, SQIL, GAIfO
from ganq_irl.errors import InvalidDemonstrations
from ganq_irl_demos import Demonstrations, Trajectory
from tests.scripted import demonstrations, generator

ENOUGH = {"n_steps": 128}  # for a batch of the default size


def without(*missing):
    """Demonstrations that lack ``missing``, as the readers of files leave them."""
    whole = demonstrations()
    trajectories = [
        Trajectory(
            observations=trajectory.observations,
            actions=np.zeros((len(trajectory), 0), np.float32) if "actions" in missing else trajectory.actions,
            terminated=trajectory.terminated,
        )
        for trajectory in whole
    ]
    return Demonstrations(tuple(trajectories), whole.observation_space, whole.action_space, missing=missing)


@pytest.mark.parametrize(
    "learns_from_states", [GAIfO, lambda *given, **options: GAIL(*given, inputs=["observations"], **options)]
)
def test_states_alone_are_enough_for_what_sees_no_actions(learns_from_states):
    learner = learns_from_states(generator("ppo"), without("actions"), batch_size=8).learn(128)
    assert learner.learner.n_updates > 0


def test_dac_learns_from_states_alone():
    learner = DAC(generator("sac"), without("actions"), inputs=["observations", "next_observations"], batch_size=8).learn(64)
    assert learner.learner.n_updates > 0


def test_replayed_demonstrations_need_actions_and_the_refusal_says_what_to_do():
    options = {"inputs": ["observations", "next_observations"], "expert_share": 0.5, "batch_size": 8}
    with pytest.raises(
        InvalidDemonstrations, match=r"expert_share=0.5 replays complete transitions; use expert_share=0 \(.*no actions"
    ):
        DAC(generator("sac"), without("actions"), **options)
    with pytest.warns(UserWarning, match="expert_share=0.5 replays the demonstrated ones"):
        DAC(generator("sac"), demonstrations(), **options)


@pytest.mark.parametrize(
    ("algorithm", "name", "missing"),
    [
        (GAIL, "ppo", "actions"),
        (AIRL, "ppo", "actions"),
        (AIRL, "ppo", "next_observations"),
        (GAIfO, "ppo", "next_observations"),
        (SQIL, "sac", "actions"),
        (SQIL, "sac", "next_observations"),
    ],
)
def test_what_the_learner_reads_has_to_be_there(algorithm, name, missing):
    with pytest.raises(InvalidDemonstrations, match=missing.replace("_", " ")):
        algorithm(generator(name, **(ENOUGH if name == "ppo" else {})), without(missing))


def test_airl_reads_actions_for_log_pi_even_where_its_reward_is_of_the_state():
    with pytest.raises(InvalidDemonstrations, match="actions"):
        AIRL(generator("ppo", **ENOUGH), without("actions"), reward_inputs=["observations"])


def test_cloning_needs_no_next_observations_and_does_need_actions():
    given = without("next_observations")
    BC(given.observation_space, given.action_space, given, batch_size=8).train(2)
    with pytest.raises(InvalidDemonstrations, match="actions"):
        BC(given.observation_space, given.action_space, without("actions"))
