"""Training 2N steps equals training N, being killed, and resuming N: bit for bit, whatever is trained."""

import pytest

from ganq_irl.algorithms import ALGORITHMS
from ganq_irl.errors import UnsupportedGenerator
from ganq_irl.generators.factory import GENERATORS
from ganq_irl.runs import resume_experiment, run_experiment
from ganq_irl.runs.checkpoints import read_checkpoint
from ganq_irl.space_matrix import REPLAYING
from tests.resume_examples import ON_POLICY, CopyAt, record_demos, rows, tiny_config, written

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]

KINDS = ("ppo", "fast-ppo", "a2c", "sac", "td3", "dqn", "qrdqn", "gan-q", "gan-q-continuous")
REFUSED = {("airl", "td3"), ("airl", "gan-q-continuous"), *(("dac", kind) for kind in ON_POLICY)}
"""A deterministic policy has no density for AIRL, and a policy of rollouts no replay for DAC."""
OF_EACH_FAMILY = ("ppo", "fast-ppo", "sac", "td3", "dqn", "gan-q-continuous")
PAIRS = [("gail", kind) for kind in KINDS] + [(algo, kind) for algo in ("airl", "dac") for kind in OF_EACH_FAMILY]
OTHERS = [(algo, None) for algo in ALGORITHMS if algo not in ("gail", "airl", "dac")]


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    return record_demos(tmp_path_factory.mktemp("demos"))


def hold(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_experiment(config, whole, progress_bar=False, callback=CopyAt(45, whole, killed))
    assert not (killed / "policy").exists()
    resume_experiment(killed, progress_bar=False)
    assert {"step-000000000032", "step-000000000064"} <= written(whole).keys()
    assert not read_checkpoint(whole / "checkpoints" / "step-000000000064").info["episode_boundary"]
    assert written(killed) == written(whole)
    assert rows(killed) == rows(whole)


@pytest.mark.parametrize(("algo", "generator"), [pair for pair in PAIRS if pair not in REFUSED])
def test_imitation_goes_on_exactly(algo, generator, demos, tmp_path):
    hold(tiny_config(algo, generator, demos), tmp_path)


@pytest.mark.parametrize("generator", GENERATORS)
def test_reinforcement_goes_on_exactly(generator, tmp_path):
    hold(tiny_config(generator), tmp_path)


@pytest.mark.parametrize(("algo", "generator"), OTHERS)
def test_every_other_algorithm_goes_on_exactly(algo, generator, demos, tmp_path):
    generator = "sac" if algo in REPLAYING else "fast-ppo"
    hold(tiny_config(algo, generator, demos), tmp_path)


@pytest.mark.parametrize("generator", ["sac", "dqn"])
def test_a_reward_that_is_learned_goes_on_exactly_off_policy(generator, demos, tmp_path):
    hold(tiny_config("preferences", generator, demos), tmp_path)


@pytest.mark.parametrize("generator", ["ppo", "fast-ppo", "sac"])
def test_a_policys_average_goes_on_exactly(generator, demos, tmp_path):
    hold(tiny_config("gail", generator, demos, average_rate=0.3), tmp_path)


@pytest.mark.parametrize(("algo", "generator"), sorted(REFUSED))
def test_what_is_left_out_is_what_cannot_be_trained(algo, generator, demos, tmp_path):
    with pytest.raises(UnsupportedGenerator):
        run_experiment(tiny_config(algo, generator, demos), tmp_path / "run", progress_bar=False)
