import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize, VecTransposeImage

from ganq_irl.discriminator import STATE_ACTION, Discriminator, InputEncoder
from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.rewards import ORIGINAL_REWARD, FunctionReward, RewardModel, RewardWrapper, VecRewardWrapper
from tests.scripted import BOX, DISCRETE, CountingEnv, WalkEnv, generator, vec_env
from tests.toys import toy_discriminator

TRACED = FunctionReward(
    CountingEnv().observation_space,
    BOX,
    # number, episode and step before; step after; action; done: all of it can be read back from one number
    lambda s, a, t, d: 1000 * s[:, 1] + 100 * s[:, 2] + 10 * t[:, 2] + a[:, 0] + 0.5 * d,
)
SCRIPT = ((3, True), (4, False))


def expected(episode, step, action):
    length, terminated = SCRIPT[episode % 2]
    ended = step + 1 == length
    return 1000 * episode + 100 * step + 10 * (step + 1) + action + 0.5 * (ended and terminated)


def test_an_env_pays_what_happened():
    env = RewardWrapper(CountingEnv(script=SCRIPT), TRACED)
    for episode in range(4):
        env.reset()
        for step in range(SCRIPT[episode % 2][0]):
            action = np.array([0.25 * step], np.float32)
            _, reward, terminated, truncated, info = env.step(action)
            assert reward == expected(episode, step, action[0])
            assert info[ORIGINAL_REWARD] == 7.0
        assert (terminated, truncated) == (SCRIPT[episode % 2][1], not SCRIPT[episode % 2][1])


def test_vectorized_envs_pay_the_same_and_the_terminal_observation_is_the_next_one():
    """SB3's environments reset by themselves: what they return at an episode's end is the next one's beginning."""
    venv = VecRewardWrapper(vec_env(CountingEnv, 2, script=SCRIPT), TRACED)
    observations = venv.reset()
    for t in range(20):
        episode, step = (observations[0, 1:]).astype(int)
        action = 0.125 * t - 1
        observations, rewards, _, infos = venv.step(np.full((2, 1), action, np.float32))
        assert rewards.tolist() == [expected(episode, step, action)] * 2
        assert rewards.dtype == np.float32
        assert [info[ORIGINAL_REWARD] for info in infos] == [7.0, 7.0]


class ReusingEnv(CountingEnv):
    """Gives the same array again and again, changed in place."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.buffer = np.zeros(3, np.float32)

    def _observation(self):
        self.buffer[:] = super()._observation()
        return self.buffer


def test_reused_buffers_are_copied():
    env = RewardWrapper(ReusingEnv(script=SCRIPT), TRACED)
    env.reset()
    rewards = [env.step(np.zeros(1, np.float32))[1] for _ in range(3)]
    assert rewards == [expected(0, step, 0) for step in range(3)]


def test_monitor_reports_the_side_that_it_is_on():
    zero = FunctionReward(CountingEnv().observation_space, BOX, lambda s, a, t, d: np.zeros(len(d)))
    for make, total in ((lambda e: RewardWrapper(Monitor(e), zero), 21), (lambda e: Monitor(RewardWrapper(e, zero)), 0)):
        env = make(CountingEnv(script=((3, True),)))
        env.reset()
        for _ in range(3):
            info = env.step(np.zeros(1, np.float32))[-1]
        assert info["episode"]["r"] == total


def reward_for(env):
    return RewardModel(Discriminator(InputEncoder(env.observation_space, env.action_space, STATE_ACTION), (8,)), "logit")


def test_sb3_finds_nothing_to_complain_about():
    env = WalkEnv()
    check_env(RewardWrapper(env, reward_for(env)), skip_render_check=True)


@pytest.mark.parametrize("name", ["ppo", "sac", "dqn", "gan-q", "gan-q-continuous"])
def test_any_algorithm_learns_on_it(name):
    env = WalkEnv(spaces.Discrete(3) if name in DISCRETE else BOX)
    venv = VecRewardWrapper(vec_env(WalkEnv, 2, action_space=env.action_space), reward_for(env))
    model = generator(name, VecNormalize(venv, norm_reward=False))
    model.learn(96)
    assert model.num_timesteps >= 96
    assert np.isfinite(model.predict(np.zeros((1, 2), np.float32))[0]).all()


def test_what_the_generator_stores_is_the_recovered_reward():
    env = WalkEnv(spaces.Discrete(3))
    reward = reward_for(env)
    model = generator("dqn", VecRewardWrapper(vec_env(WalkEnv, 1, action_space=env.action_space), reward))
    model.learn(50)
    buffer = model.replay_buffer
    rows = slice(0, buffer.size())
    dones = (buffer.dones * (1 - buffer.timeouts))[rows, 0]
    priced = reward.reward(
        buffer.observations[rows, 0], buffer.actions[rows, 0, 0], buffer.next_observations[rows, 0], dones
    )
    np.testing.assert_allclose(buffer.rewards[rows, 0], priced, rtol=1e-5, atol=1e-6)


class PixelEnv(gym.Env):
    observation_space = spaces.Dict(
        pixels=spaces.Box(0, 255, (8, 6, 3), np.uint8), speed=spaces.Box(-1, 1, (2,), np.float32)
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observe(), {}

    def observe(self):
        pixels = self.np_random.integers(256, size=(8, 6, 3), dtype=np.uint8)
        return {"pixels": pixels, "speed": self.np_random.random(2).astype(np.float32)}

    def step(self, action):
        return self.observe(), 0.0, False, self.np_random.random() < 0.2, {}


def test_images_and_dicts_with_channels_last_or_first_are_paid_alike():
    """A reward learned by SB3's policies has its channels first, environments have them last."""
    transposed = VecTransposeImage(DummyVecEnv([PixelEnv]))
    reward = reward_for(transposed)
    assert reward.observation_space["pixels"].shape == (3, 8, 6)
    inside, outside = VecRewardWrapper(DummyVecEnv([PixelEnv]), reward), VecRewardWrapper(transposed, reward)
    for venv in (inside, outside):
        venv.seed(0)
        venv.reset()
    for t in range(20):
        rewards = [venv.step([t % 2])[1].item() for venv in (inside, outside)]
        assert rewards[0] == rewards[1]
    env = RewardWrapper(PixelEnv(), reward)
    env.reset(seed=0)
    assert np.isfinite(env.step(1)[1])


def test_other_spaces_are_refused():
    reward = RewardModel(toy_discriminator(), "logit")  # 3 numbers, 2 actions
    with pytest.raises(IncompatibleSpaces, match="observations of the environment"):
        RewardWrapper(WalkEnv(spaces.Discrete(2)), reward)
    with pytest.raises(IncompatibleSpaces, match="actions of the environment"):
        VecRewardWrapper(vec_env(CountingEnv), reward)


def test_normalized_observations_are_refused():
    with pytest.raises(ConfigurationError, match=r"VecNormalize\(VecRewardWrapper"):
        VecRewardWrapper(VecNormalize(vec_env(WalkEnv)), reward_for(WalkEnv()))
    VecRewardWrapper(VecNormalize(vec_env(WalkEnv), norm_obs=False), reward_for(WalkEnv()))
