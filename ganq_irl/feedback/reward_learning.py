"""Learn a reward from comparisons of segments with the one update of all discriminators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from ganq_irl.discriminator import DiscriminatorLearner, EnsembleDiscriminator, InputEncoder, SegmentDiscriminator
from ganq_irl.discriminator.inputs import Encoded
from ganq_irl.discriminator.losses import BradleyTerry
from ganq_irl.feedback.comparisons import Comparison
from ganq_irl.spaces import in_layout_of
from ganq_irl.types import Batch
from ganq_irl_demos import Demonstrations, Trajectory


@dataclass(frozen=True)
class SegmentRows:
    """Segments as one batch of steps on a device.

    Attributes:
        steps: ``(n * length)`` rows; the last step of a shorter segment is repeated.
        padding: ``(n, length)``, 1 where it is.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> segments = cut_segments(demos, 4, 10, np.random.default_rng(0))
        >>> rows = SegmentRows.of(segments, env.observation_space, env.action_space)
        >>> rows.encoded(encoder, torch.tensor([0, 3])).features.shape
        torch.Size([2, 10, 6])
    """

    steps: Batch
    padding: Tensor

    @staticmethod
    def of(
        segments: Sequence[Trajectory],
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "cpu",
    ) -> SegmentRows:
        """Convert segments of the same or different lengths."""
        batch = Demonstrations(segments, observation_space, action_space).to_batch(device)
        here, following = (in_layout_of(observation_space, side) for side in (batch.observations, batch.next_observations))
        lengths = np.array([len(segment) for segment in segments])
        within = np.arange(lengths.max())
        first = np.cumsum(lengths) - lengths
        places = first[:, None] + np.minimum(within, lengths[:, None] - 1)  # (n, length)
        padding = torch.as_tensor(within >= lengths[:, None], device=batch.device).float()
        steps = replace(batch, observations=here, next_observations=following)
        return SegmentRows(steps[torch.as_tensor(places.ravel(), device=batch.device)], padding)

    def encoded(self, encoder: InputEncoder, index: Tensor) -> Encoded:
        """Return the chosen segments, one in each row, for a ``SegmentDiscriminator``."""
        length = self.padding.shape[1]
        rows = (index.unsqueeze(1) * length + torch.arange(length, device=index.device)).flatten()
        padding = self.padding[index]
        return Encoded(encoder(self.steps[rows]).features.view(*padding.shape, -1), padding, torch.zeros_like(padding[:, 0]))

    def encoder_of(self, encoder: InputEncoder) -> Callable[[Tensor], Encoded]:
        """Return ``encoded`` for many draws: segments are encoded once, unless they hold images, which take more room."""
        if encoder.has_images:
            return partial(self.encoded, encoder)
        return self.encoded(encoder, torch.arange(len(self.padding), device=self.padding.device)).__getitem__

    @property
    def real_steps(self) -> Batch:
        """The steps without the repeated ones."""
        return self.steps[self.padding.flatten() == 0]


@dataclass(frozen=True, kw_only=True)
class RewardLearner:
    """How to learn a reward from comparisons: an ensemble, trained from scratch on all of them.

    Attributes:
        inputs: inputs of the reward, names of transition fields.
        hidden_sizes: widths of the networks' hidden layers.
        activation: activation between them, a name in ``ACTIVATIONS``.
        n_members: number of networks, each of which learns from comparisons that are drawn with replacement.
        n_updates: updates of each network.
        batch_size: comparisons per update.
        learning_rate: learning rate of Adam.
        mistake_rate: assumed share of answers that are a coin flip.
        seed: seed of the networks and of the draws.

    Example:
        >>> from ganq_irl.feedback import cut_segments
        >>> left, right = cut_segments(demos, 2, 10, np.random.default_rng(0))
        >>> learner = RewardLearner(inputs=STATE_ACTION, n_updates=20)
        >>> ensemble = learner.learn([Comparison(left, right, "left")], env.observation_space, env.action_space)
        >>> chances = preferences_of(ensemble, [left], [right], env.observation_space, env.action_space)
        >>> chances.shape, bool((chances > 0.5).all())  # of each network, that left is better
        (torch.Size([3, 1]), True)
    """

    inputs: Sequence[str]
    hidden_sizes: Sequence[int] = (64, 64)
    activation: str = "tanh"
    n_members: int = 3
    n_updates: int = 200
    batch_size: int = 32
    learning_rate: float = 1e-3
    mistake_rate: float = 0.1
    seed: int = 0

    def untrained(
        self, observation_space: spaces.Space, action_space: spaces.Space, device: torch.device | str = "cpu"
    ) -> EnsembleDiscriminator:
        """Return an ensemble with random weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            encoder = InputEncoder(observation_space, action_space, self.inputs)
            return EnsembleDiscriminator(encoder, self.hidden_sizes, self.activation, self.n_members).to(device)

    def learn(
        self,
        comparisons: Sequence[Comparison],
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "cpu",
    ) -> EnsembleDiscriminator:
        """Return an ensemble that is trained on comparisons; skipped ones are left out.

        The scores are standardized over the compared steps. Where a segment ended early, their level is kept, since it says
        what the steps were worth that are missing.
        """
        ensemble = self.untrained(observation_space, action_space, device)
        answered = [comparison for comparison in comparisons if comparison.answer != "skipped"]
        if not answered:
            return ensemble
        segments = [segment for comparison in answered for segment in (comparison.left, comparison.right)]
        rows = SegmentRows.of(segments, observation_space, action_space, device)
        ensemble.encoder.fit(rows.real_steps)
        left = 2 * torch.arange(len(answered), device=device)
        is_right = torch.tensor([comparison.answer == "right" for comparison in answered], device=device)
        is_equal = torch.tensor([comparison.answer == "equal" for comparison in answered], device=device)
        preferred, other = left + is_right.long(), left + (~is_right).long()
        for number in range(self.n_members):
            self._train(ensemble, number, rows, torch.stack([preferred, other]), is_equal)
        ensemble.eval().requires_grad_(False)
        ensemble.standardize(ensemble.encode(rows.real_steps), keeps_level=bool(rows.padding.any()))
        return ensemble

    def _train(
        self, ensemble: EnsembleDiscriminator, number: int, rows: SegmentRows, pairs: Tensor, is_equal: Tensor
    ) -> None:
        """Train one network on comparisons drawn with replacement; equal ones are shown in both orders equally often."""
        member = SegmentDiscriminator(ensemble.encoder, ensemble.members[number])  # type: ignore[arg-type]
        learner = DiscriminatorLearner(member, loss=BradleyTerry(self.mistake_rate), learning_rate=self.learning_rate)
        rng = torch.Generator(pairs.device).manual_seed(self.n_members * self.seed + number)
        n_pairs, size = pairs.shape[1], min(self.batch_size, pairs.shape[1])
        known = torch.randint(n_pairs, (n_pairs,), generator=rng, device=pairs.device)
        encode = rows.encoder_of(ensemble.encoder)
        for update in range(self.n_updates):
            learner.set_learning_rate(self.learning_rate * (1 - update / self.n_updates))
            chosen = known[torch.randint(n_pairs, (size,), generator=rng, device=pairs.device)]
            flips = is_equal[chosen] & (torch.rand(size, generator=rng, device=pairs.device) < 0.5)
            preferred, other = torch.where(flips, pairs[:, chosen].flip(0), pairs[:, chosen])
            learner.update(encode(preferred), encode(other), measures=False)


def preferences_of(
    ensemble: EnsembleDiscriminator,
    left: Sequence[Trajectory],
    right: Sequence[Trajectory],
    observation_space: spaces.Space,
    action_space: spaces.Space,
) -> Tensor:
    """Return each network's probability that the left segment of a pair is better, ``(n_members, n_pairs)``.

    Example:
        >>> untrained = RewardLearner(inputs=STATE_ACTION).untrained(env.observation_space, env.action_space)
        >>> preferences_of(untrained, [demos[0]], [demos[0]], env.observation_space, env.action_space)  # equal
        tensor([[0.5000],
                [0.5000],
                [0.5000]])
    """
    sums = sums_of(ensemble, [*left, *right], observation_space, action_space)
    return torch.sigmoid(sums[:, : len(left)] - sums[:, len(left) :])


@torch.no_grad()
def sums_of(
    ensemble: EnsembleDiscriminator,
    segments: Sequence[Trajectory],
    observation_space: spaces.Space,
    action_space: spaces.Space,
) -> Tensor:
    """Return each network's reward of each segment, summed over its steps, ``(n_members, n)``.

    Example:
        >>> untrained = RewardLearner(inputs=STATE_ACTION).untrained(env.observation_space, env.action_space)
        >>> sums_of(untrained, [demos[0], demos[1]], env.observation_space, env.action_space).shape
        torch.Size([3, 2])
    """
    rows = SegmentRows.of(segments, observation_space, action_space, ensemble.encoder.mean.device)
    everything = rows.encoder_of(ensemble.encoder)(torch.arange(len(rows.padding), device=rows.padding.device))
    return torch.stack([SegmentDiscriminator(ensemble.encoder, member).score(everything) for member in ensemble.members])  # type: ignore[arg-type]
