import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from examples.blind_actor import BlindActorEnv, main
from ganq_irl.discriminator import LOSSES, STATE, Discriminator, DiscriminatorLearner, Encoded, InputEncoder, build_loss
from ganq_irl.errors import ConfigurationError
from ganq_irl.types import Batch

BRIDGE = Path(__file__).parents[2] / "docs" / "concepts" / "actor_critic.md"


def play(env, actions):
    """One step for each action, ``(n, d)`` float64: what was shown, its reward, both as the environment gave them."""
    shown, rewards = [], []
    for seed, action in enumerate(actions.detach().numpy()):
        env.reset(seed=0 if seed == 0 else None)
        sample, reward, terminated, truncated, info = env.step(action)
        assert terminated
        assert not truncated
        assert info["shown_real"] == (reward == 1.0)
        shown.append(sample)
        rewards.append(reward)
    return torch.as_tensor(np.stack(shown)), torch.tensor(rewards)


class Game:
    """A blind actor's steps in the environment, and the shared discriminator as its critic, in float64."""

    def __init__(self, show_real=0.5, n_steps=200):
        rng = torch.Generator().manual_seed(1)
        env = BlindActorEnv(show_real=show_real)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.actor = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2)).double()
            encoder = InputEncoder(env.observation_space, env.action_space, STATE)
            self.critic = Discriminator(encoder, hidden_sizes=(16, 16)).double()
        self.actions = self.actor(torch.randn(n_steps, 2, dtype=torch.float64, generator=rng))
        shown, self.rewards = play(env, self.actions)
        self.was_real = self.rewards == 1.0
        self.shown = torch.where(self.was_real[:, None], shown.double(), self.actions)
        assert torch.allclose(self.shown.float(), shown)
        self.fake_scores, self.scores = self.score(self.actions[~self.was_real]), self.score(self.shown)
        self.share = len(self.fake_scores) / n_steps

    def score(self, samples):
        unused = torch.zeros(len(samples))
        return self.critic.score(Encoded(samples, unused, unused))

    def gradient(self, loss, of=None):
        parameters = (of or self.actor).parameters()
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(parameters), retain_graph=True)])


def minimax(scores):
    return nn.functional.logsigmoid(-scores)  # log(1 - D)


ROWS = {  # critic's reward prediction, generator's loss, weight of a sample: the table of docs/concepts/actor_critic.md
    "least squares": (lambda s: s, build_loss("least-squares").generator, lambda s: 1 / (1 - s)),
    "minimax": (torch.sigmoid, minimax, lambda s: 1 - torch.sigmoid(s)),
    "non-saturating": (torch.sigmoid, build_loss("bce").generator, torch.sigmoid),
}


@pytest.mark.parametrize("show_real", [0.25, 0.5])
@pytest.mark.parametrize("row", ROWS)
def test_the_actors_gradient_is_the_generators_up_to_the_derived_scaling(row, show_real):
    prediction, generator_loss, weight = ROWS[row]
    game = Game(show_real)
    actor = game.gradient(-prediction(game.scores).mean())
    generator = game.gradient((weight(game.fake_scores).detach() * generator_loss(game.fake_scores)).mean())
    assert actor.abs().max() > 1e-4
    assert torch.allclose(actor, game.share * generator, rtol=1e-12, atol=1e-15)
    plain = game.gradient(generator_loss(game.fake_scores).mean())
    assert not torch.allclose(actor, game.share * plain, rtol=1e-2)  # the weights are needed


@pytest.mark.parametrize("name", LOSSES)
def test_an_actor_that_ascends_the_generators_own_utility_differs_by_the_share_alone(name):
    game, loss = Game(), build_loss(name)
    actor = game.gradient(loss.generator(game.scores).mean())
    generator = game.gradient(loss.generator(game.fake_scores).mean())
    assert torch.allclose(actor, game.share * generator, rtol=1e-12, atol=1e-15)


def test_the_share_is_the_coins_and_a_real_sample_gives_no_gradient():
    assert Game(show_real=0.25, n_steps=2000).share == pytest.approx(0.75, abs=0.04)
    game = Game()
    (through,) = torch.autograd.grad(game.scores.sum(), game.actions)
    assert not through[game.was_real].any()
    assert through[~game.was_real].any(dim=1).all()


@pytest.mark.parametrize(
    ("name", "critic_loss"),
    [("bce", binary_cross_entropy_with_logits), ("least-squares", lambda s, r: 0.5 * mse_loss(s, r))],
)
def test_the_critics_gradient_is_the_discriminators(name, critic_loss):
    game, loss = Game(show_real=0.3), build_loss(name)
    critic = game.gradient(critic_loss(game.scores, game.rewards.double()), of=game.critic)
    real, fake = loss.real(game.scores[game.was_real]).mean(), loss.fake(game.fake_scores).mean()
    discriminator = game.gradient((1 - game.share) * real + game.share * fake, of=game.critic)
    assert torch.allclose(critic, discriminator, rtol=1e-12, atol=1e-15)


def test_the_shared_learner_takes_twice_the_critics_gradient_when_both_are_shown_equally_often():
    game = Game()
    n = min(int(game.was_real.sum()), len(game.fake_scores))
    shown = game.shown.detach().float()
    sides = [as_batch(shown[rows][:n]) for rows in (game.was_real, ~game.was_real)]
    learner = DiscriminatorLearner(game.critic.float(), sides[0], max_grad_norm=None)
    scores, rewards = learner.discriminator(Batch.cat(sides)), torch.cat([torch.ones(n), torch.zeros(n)])
    critic = game.gradient(binary_cross_entropy_with_logits(scores, rewards), of=learner.discriminator)
    learner.update(*sides)
    taken = torch.cat([parameter.grad.flatten() for parameter in learner.discriminator.parameters()])
    assert torch.allclose(taken, 2 * critic, rtol=1e-4, atol=1e-6)


def as_batch(samples):
    unused = torch.zeros(len(samples))
    return Batch(samples, unused, samples, unused)


def test_the_example_prints_what_the_page_says(capsys):
    with torch.random.fork_rng():
        main()
    share, gap = re.search(r"^(\S+) of the steps .* (\S+)$", capsys.readouterr().out).groups()
    assert float(share) == pytest.approx(0.5, abs=0.05)
    assert float(gap) < 1e-15
    assert f"{share} of the steps" in BRIDGE.read_text(encoding="utf-8")


# The environment


def test_gymnasium_finds_nothing_to_complain_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*symmetric and normalized")  # actions are in the units of the data
        check_env(BlindActorEnv(), skip_render_check=True)


def test_the_actor_is_blind_and_cannot_change_the_reward():
    env, other = BlindActorEnv(), BlindActorEnv()
    first, second = play(env, torch.zeros(50, 2)), play(other, torch.ones(50, 2))
    assert torch.equal(first[1], second[1])  # whatever it does
    assert torch.equal(first[0][first[1] == 1], second[0][first[1] == 1])
    assert not env.reset()[0].any()  # whatever will be shown


def test_it_shows_rows_of_the_data_and_the_action_as_it_is():
    real = np.arange(6.0).reshape(3, 2)
    shown, rewards = play(BlindActorEnv(real), torch.full((60, 2), -50.0))
    for sample, reward in zip(shown.numpy(), rewards, strict=True):
        assert (sample == (real if reward else -50.0)).all(axis=-1).any()
    assert 0 < rewards.sum() < 60


@pytest.mark.parametrize(("show_real", "reward"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_coin_can_be_certain(show_real, reward):
    _, rewards = play(BlindActorEnv(show_real=show_real), torch.zeros(20, 2))
    assert (rewards == reward).all()


@pytest.mark.parametrize(
    "settings", [{"real": [1.0, 2.0]}, {"real": [[np.nan]]}, {"real": np.zeros((0, 2))}, {"show_real": 1.5}]
)
def test_what_cannot_be_shown_is_refused(settings):
    with pytest.raises(ConfigurationError, match="real"):
        BlindActorEnv(**settings)
