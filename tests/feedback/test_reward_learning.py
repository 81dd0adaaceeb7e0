"""A known reward is recovered from answers, whatever the lengths of segments and some mistakes."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from ganq_irl.discriminator import STATE_ACTION
from ganq_irl.feedback import Comparison, RewardLearner, SegmentRows, TrueReward, preferences_of
from tests.feedback.examples import ACTIONS, OBSERVATIONS, random_pairs, random_segment
from tests.scripted import flat

SPACES = OBSERVATIONS, ACTIONS
QUICK = {"n_updates": 60, "hidden_sizes": (32,), "learning_rate": 1e-2}


def answered(pairs, **teacher):
    answers = TrueReward(**teacher).answer(pairs, range(len(pairs)))
    return [Comparison(left, right, answer) for (left, right), answer in zip(pairs, answers, strict=True)]


def learned(comparisons, **settings):
    return RewardLearner(inputs=STATE_ACTION, **(QUICK | settings)).learn(comparisons, *SPACES)


def fidelity(ensemble):
    """Rank correlation of learned and true reward of steps that were not compared."""
    segments = [random_segment(np.random.default_rng(1000 + number)) for number in range(60)]
    rows = SegmentRows.of(segments, *SPACES)
    return spearmanr(ensemble(rows.real_steps), np.concatenate([segment.rewards for segment in segments])).statistic


def test_a_linear_reward_is_recovered_from_200_answers():
    assert fidelity(learned(answered(random_pairs(200)))) > 0.95


def test_a_tenth_of_wrong_answers_does_little_harm():
    comparisons = answered(random_pairs(200), mistakes=0.1)
    wrong = sum(each.answer != right.answer for each, right in zip(comparisons, answered(random_pairs(200)), strict=True))
    assert 10 <= wrong <= 30
    assert fidelity(learned(comparisons)) > 0.9


def test_answers_that_are_reversed_give_the_reversed_reward():
    assert fidelity(learned(answered(random_pairs(100), mistakes=1.0))) < -0.9


def test_the_scores_of_compared_steps_are_standardized():
    comparisons = answered(random_pairs(50))
    ensemble = learned(comparisons)
    rows = SegmentRows.of([side for each in comparisons for side in (each.left, each.right)], *SPACES).real_steps
    scores = ensemble.scores_of_members(ensemble.encode(rows))
    standardized = (scores - ensemble.center[:, None]) / ensemble.scale[:, None]
    assert standardized.mean(dim=1).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert standardized.std(dim=1, correction=0).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_a_shorter_segment_lacks_the_reward_of_the_steps_that_are_missing():
    """Every step is worth 1, and longer is better: the level of the reward is learned, and above 0."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, size=(100, 2))
    pairs = [[random_segment(rng, int(length), terminated=length < 8) for length in both] for both in lengths]
    comparisons = [
        Comparison(*pair, "equal" if a == b else "left" if a > b else "right")
        for pair, (a, b) in zip(pairs, lengths, strict=True)
    ]
    ensemble = learned(comparisons)
    assert ensemble.center.tolist() == [0, 0, 0]
    rows = SegmentRows.of([random_segment(rng) for _ in range(20)], *SPACES).real_steps
    assert ensemble(rows).mean() > 0.5


def test_answers_of_equal_teach_that_there_is_no_difference():
    pairs = random_pairs(60)
    chances = preferences_of(learned([Comparison(*pair, "equal") for pair in pairs]), *zip(*pairs, strict=True), *SPACES)
    told = preferences_of(learned(answered(pairs)), *zip(*pairs, strict=True), *SPACES)
    assert (chances - 0.5).abs().mean() < 0.5 * (told - 0.5).abs().mean()


def test_networks_agree_more_the_more_they_were_told():
    left, right = zip(*random_pairs(40, seed=9), strict=True)
    few, many = (
        preferences_of(learned(answered(random_pairs(n))), left, right, *SPACES).var(dim=0).mean() for n in (8, 200)
    )
    assert many < few


def test_learning_depends_on_its_seed_alone():
    comparisons = answered(random_pairs(20))
    before = torch.get_rng_state()
    first, second, other = (learned(comparisons, seed=seed, n_updates=5) for seed in (0, 0, 1))
    assert torch.equal(flat(first), flat(second))
    assert not torch.equal(flat(first), flat(other))
    assert torch.equal(torch.get_rng_state(), before)


def test_pairs_without_an_answer_are_left_out():
    pairs = random_pairs(20)
    given = answered(pairs)
    silent = [Comparison(*pair, "skipped") for pair in random_pairs(2, seed=5)]
    assert torch.equal(flat(learned([*given, *silent], n_updates=5)), flat(learned(given, n_updates=5)))
