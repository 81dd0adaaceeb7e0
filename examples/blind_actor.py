r"""Stateless decision process in which an actor-critic method is a GAN (Pfau & Vinyals, 2016).

The environment tosses a coin and shows either a real sample x or the actor's action G(z). The reward is 1 if the shown
sample is real, otherwise 0. The actor is blind: it sees neither the coin nor x, and cannot change the reward. The critic
predicts the reward from the shown sample, so it is a discriminator. The actor follows the critic's gradient through its
action, so it is a generator.

The relations below are what the tests check. Let p be the probability of showing a real sample, s the score of the
shared discriminator, Q(s) the reward that it predicts, N the steps, and F those that showed a generated sample.

**Critic.** Cross-entropy against the reward, with Q = sigmoid(s), is

    1/N Σ_i [-r_i log Q_i - (1 - r_i) log(1 - Q_i)] = (1 - |F|/N) mean_real[-log Q] + |F|/N mean_fake[-log(1 - Q)],

the GAN's discriminator loss, or half of it if both sides are shown equally often. With Q = s the mean squared Bellman
residual (1/2 (s - r)², no next state) is the least-squares GAN's in the same way.

**Actor.** It ascends J = 1/N Σ_i Q(shown_i). Real samples do not depend on its parameters θ:

    ∇J = |F|/N · mean_F[Q'(s) ∇s] -> (1 - p) E_z[Q'(s) ∇s],    s the score of G(z).

The gradients of actor and generator therefore differ by the factor |F|/N (on average 1 - p, which is 1/2 for a fair coin),
and by a weight for each sample if the generator minimizes another function of the same score. -∇J is |F|/N times the mean
over F of

| generator's loss l | | times its gradient ∇l |
|---|---|---|
| least squares, Q = s | 1/2 (s - 1)² | 1 / (1 - s) |
| BCE, minimax | log(1 - D), D = sigmoid(s) = Q | 1 - D |
| BCE, non-saturating | -log D | D |

since Q' = D (1 - D), d/ds log(1 - D) = -D and d/ds (-log D) = -(1 - D). An actor that ascends -l of the score instead of
the reward has exactly the generator's gradient times |F|/N. The weights are positive, so all losses move a sample in the
same direction. The actor's own gradient, D (1 - D), vanishes where the critic is certain either way, that of the minimax
loss where the critic is certain that a sample is fake, and that of the non-saturating loss only where it is certain that
the sample is real.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from examples.ring import sample_ring
from ganq_irl.discriminator import STATE, Discriminator, Encoded, InputEncoder, build_loss
from ganq_irl.errors import ConfigurationError


class BlindActorEnv(gym.Env[np.ndarray, np.ndarray]):
    """Show a real sample or the action; the reward is 1 for a real sample.

    An episode has one step. ``reset`` always returns zeros, because the actor is blind. The observation after the step is
    the shown sample, for the critic. ``info["shown_real"]`` is the reward as a bool.

    Args:
        real: ``(n, d)`` real samples; by default 2000 fixed samples from a ring of eight Gaussians.
        show_real: probability of showing a real sample.

    Raises:
        ConfigurationError: the samples are not a finite matrix, or the probability is outside [0, 1].
    """

    def __init__(self, real: ArrayLike | None = None, show_real: float = 0.5) -> None:
        samples = sample_ring(2000, np.random.default_rng(0)) if real is None else np.asarray(real, np.float32)
        if samples.ndim != 2 or not samples.size or not np.isfinite(samples).all():
            raise ConfigurationError(
                f"real: given an array of shape {samples.shape}, expected finite numbers of shape (n, d)"
            )
        if not 0 <= show_real <= 1:
            raise ConfigurationError(f"show_real: given {show_real}, expected a probability in [0, 1]")
        self.real, self.show_real = samples, show_real
        bound = float(2 * max(np.abs(samples).max(), 1e-6))
        self.observation_space = self.action_space = gym.spaces.Box(-bound, bound, samples.shape[1:], np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Return zeros: the actor sees nothing."""
        super().reset(seed=seed)
        return np.zeros(self.real.shape[1:], np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Toss the coin and show a sample. The action is not clipped, because clipping would stop its gradient."""
        # Make both draws in any case, so that the real samples do not depend on earlier tosses.
        toss, row = self.np_random.random(), self.np_random.integers(len(self.real))
        shown_real = bool(toss < self.show_real)
        shown = self.real[row].copy() if shown_real else np.asarray(action, np.float32)
        return shown, float(shown_real), True, False, {"shown_real": shown_real}


def main(n_steps: int = 500) -> None:
    """Compare the gradient that the actor gets through the critic with that of a GAN's generator."""
    torch.manual_seed(0)
    env = BlindActorEnv()
    actor = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 2)).double()  # sees noise, and nothing else
    critic = Discriminator(InputEncoder(env.observation_space, env.action_space, STATE)).double()

    def score(x: Tensor) -> Tensor:
        unused = torch.zeros(len(x))
        return critic.score(Encoded(x, dones=unused, offset=unused))

    actions = actor(torch.randn(n_steps, 2, dtype=torch.float64))
    env.reset(seed=0)
    shown, rewards = [], []
    for action in actions.detach().numpy():
        env.reset()
        sample, reward, *_ = env.step(action)
        shown.append(torch.as_tensor(sample))
        rewards.append(reward)
    was_real = torch.tensor(rewards) == 1.0
    # The actor's own samples keep their gradient.
    mixed = torch.where(was_real[:, None], torch.stack(shown).double(), actions)

    fakes = score(actions[~was_real])
    share = len(fakes) / len(actions)  # of the steps that showed a generated sample: 1 - p, but for the coin
    weight = torch.sigmoid(fakes).detach()
    critic_path = torch.autograd.grad(-torch.sigmoid(score(mixed)).mean(), actor.parameters(), retain_graph=True)
    generator = torch.autograd.grad(share * (weight * build_loss("bce").generator(fakes)).mean(), actor.parameters())
    gap = max((a - b).abs().max().item() for a, b in zip(critic_path, generator, strict=True))
    print(f"{share:.3f} of the steps showed a generated sample; largest difference between the gradients {gap:.1e}")


if __name__ == "__main__":
    main()
