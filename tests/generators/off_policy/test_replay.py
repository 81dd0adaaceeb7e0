"""A replay buffer's rows gathered on the device: the same draws and the same numbers as from the host's arrays."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.off_policy.n_step import NStepDictReplayBuffer, NStepReplayBuffer
from ganq_irl.generators.off_policy.pricing import relabeled
from ganq_irl.generators.off_policy.replay import keep_on_device
from ganq_irl.runs.checkpoints.replay import load_replay_state, replay_state
from tests.scripted import SpacesEnv, flat, generator, imitator, vec_env

BOX = spaces.Box(-1.0, 1.0, (3,), np.float64)
DICT = spaces.Dict(a=BOX, image=spaces.Box(0, 255, (2, 4, 4), np.uint8))
KINDS = {
    ReplayBuffer: BOX,
    DictReplayBuffer: DICT,
    NStepReplayBuffer: BOX,
    NStepDictReplayBuffer: DICT,
}
NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def price(batch):
    observations = batch.observations["a"] if isinstance(batch.observations, dict) else batch.observations
    return observations[:, 0].float() + batch.actions[:, 0] - batch.dones


def empty(kind, n_envs=2, rows=7, device="cpu"):
    settings = {"n_steps": 3, "gamma": 0.5} if issubclass(kind, NStepReplayBuffer) else {}
    return kind(rows * n_envs, KINDS[kind], spaces.Box(-2.0, 4.0, (2,), np.float32), device, n_envs=n_envs, **settings)


def add(buffers, n, rng):
    """The same ``n`` random steps to each buffer."""
    space, n_envs = buffers[0].observation_space, buffers[0].n_envs

    def observations():
        if isinstance(space, spaces.Dict):
            return {key: np.stack([one(each) for _ in range(n_envs)]) for key, each in space.items()}
        return np.stack([one(space) for _ in range(n_envs)])

    def one(box):
        return (rng.random(box.shape) * 200).astype(box.dtype)

    for _ in range(n):
        row = observations(), observations(), rng.uniform(-1, 1, (n_envs, 2)), np.ones(n_envs), rng.random(n_envs) < 0.3
        infos = [{"TimeLimit.truncated": bool(cut)} for cut in rng.random(n_envs) < 0.5]
        for buffer in buffers:
            buffer.add(*row, infos)


def drawn(buffer, seed, env=None):
    np.random.seed(seed)  # noqa: NPY002  # SB3's buffers draw from it
    return buffer.sample(16, env=env)


def assert_same(first, second):
    for name, one in first._asdict().items():
        other = getattr(second, name)
        pairs = [(one[key], other[key]) for key in one] if isinstance(one, dict) else [(one, other)]
        for left, right in pairs:
            if left is None or right is None:  # discounts that no buffer gave
                assert left is right
            else:
                assert left.dtype == right.dtype
                assert torch.equal(left.cpu(), right.cpu()), name


@given(additions=st.lists(st.integers(0, 17), min_size=1, max_size=5), seed=st.integers(0, 99), n_envs=st.integers(1, 3))
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_the_same_from_the_device_however_the_ring_was_filled(kind, additions, seed, n_envs):
    rng = np.random.default_rng(seed)
    host, device = (relabeled(empty(kind, n_envs), price) for _ in range(2))
    add([host, device], 1, rng)
    keep_on_device(device)
    for n in additions:
        add([host, device], n, rng)
        assert_same(drawn(host, seed), drawn(device, seed))


@pytest.mark.parametrize("kind", [ReplayBuffer, DictReplayBuffer])
def test_all_but_the_rewards_is_what_stable_baselines_samples(kind):
    plain, ours = empty(kind), relabeled(empty(kind), price)
    add([plain, ours], 11, np.random.default_rng(0))
    theirs, samples = drawn(plain, 5), drawn(ours, 5)
    assert type(samples) is type(theirs)
    assert_same(theirs._replace(rewards=samples.rewards), samples)


@pytest.mark.parametrize("kind", KINDS)
def test_observations_are_normalized_with_todays_statistics(kind):
    space = KINDS[kind]
    env = VecNormalize(vec_env(SpacesEnv, observation_space=space, action_space=spaces.Discrete(2)), norm_obs_keys=None)
    host, device = (relabeled(empty(kind), price) for _ in range(2))
    keep_on_device(device)
    add([host, device], 5, np.random.default_rng(0))
    for _ in range(2):
        env.reset()
        env.step(np.zeros(env.num_envs, dtype=int))
        assert_same(drawn(host, 1, env), drawn(device, 1, env))


def test_each_row_is_copied_once(monkeypatch):
    copied = []
    monkeypatch.setattr(torch, "from_numpy", lambda rows, original=torch.from_numpy: copied.append(rows) or original(rows))
    buffer, rng = relabeled(empty(ReplayBuffer), price), np.random.default_rng(0)
    keep_on_device(buffer)
    copied.clear()

    def rows_copied_after(n):
        add([buffer], n, rng)
        copied.clear()
        drawn(buffer, 0)
        return [len(rows) for rows in copied[::3]]  # observations, actions, next observations

    assert rows_copied_after(3) == [3]
    assert rows_copied_after(0) == []
    assert rows_copied_after(6) == [2, 4]  # beyond the end of the ring of 7
    assert rows_copied_after(30) == [4, 3]  # all of it, once


def test_what_a_checkpoint_restores_is_copied_anew():
    rng = np.random.default_rng(0)
    saved, resumed = (relabeled(empty(ReplayBuffer), price) for _ in range(2))
    add([saved], 4, rng)
    add([resumed], 4, rng)
    keep_on_device(resumed)
    drawn(resumed, 0)
    load_replay_state(resumed, replay_state(saved))
    assert_same(drawn(resumed, 0), drawn(saved, 0))


def test_a_device_without_room_is_a_project_error(monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    buffer = relabeled(empty(ReplayBuffer), price)
    monkeypatch.setattr(torch, "zeros_like", full)
    with pytest.raises(
        ConfigurationError, match=r"replay_on_device: a replay of 14 transitions needs .* GiB, which cpu does not have"
    ):
        keep_on_device(buffer)


@pytest.mark.parametrize("name", ["sac", "td3", "dqn", "gan-q", "gan-q-continuous"])
def test_dac_learns_the_same_parameters(name):
    runs = [imitator("dac", generator(name), replay_on_device=chosen).learn(72) for chosen in (False, True)]
    with runs[1]._installed():
        assert runs[1].generator.replay_buffer.device_copy is not None
    assert torch.equal(*(flat(run.policy) for run in runs))
    assert torch.equal(*(flat(run.learner.discriminator) for run in runs))


def test_with_demonstrations_in_replay_and_in_a_second_run_as_well():
    options = {"expert_share": 0.5, "learns_absorbing": True}
    host, device = (
        imitator("dac", generator("sac"), **options, replay_on_device=chosen).learn(60).learn(60) for chosen in (False, True)
    )
    assert device.expert.buffer.device_copy is not None
    assert torch.equal(flat(host.policy), flat(device.policy))


def test_rows_are_read_from_the_device_alone():
    """Were a batch gathered on the host after all, these rows would be in it."""
    run = imitator("dac", generator("sac"), replay_on_device=True).learn(60)
    with run._installed():
        buffer = run.generator.replay_buffer
        buffer.sample(4)
        buffer.observations[:] = np.nan
        assert torch.isfinite(buffer.sample(64).observations).all()


@pytest.mark.cuda
@NEEDS_CUDA
@pytest.mark.parametrize("kind", KINDS)
def test_on_cuda_a_batch_is_the_hosts_and_lies_there(kind):
    host, device = relabeled(empty(kind), price), relabeled(empty(kind, device="cuda"), price)
    keep_on_device(device)
    rng = np.random.default_rng(0)
    for n in (3, 9, 2):
        add([host, device], n, rng)
        samples = drawn(device, n)
        assert samples.actions.device.type == "cuda"
        assert_same(drawn(host, n), samples)


@pytest.mark.cuda
@NEEDS_CUDA
@pytest.mark.parametrize("name", ["sac", "td3", "dqn", "gan-q"])
def test_on_cuda_dac_learns_with_and_without_it(name):
    for chosen in (False, True):
        run = imitator("dac", generator(name, device="cuda"), replay_on_device=chosen).learn(120)
        assert run.generator.replay_buffer.sample(4).rewards.device.type == "cuda"
        assert torch.isfinite(flat(run.policy)).all()
