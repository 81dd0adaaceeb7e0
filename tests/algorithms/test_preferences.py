"""Preferences: when questions are asked, about what, and what becomes of the answers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.algorithms import Preferences
from ganq_irl.algorithms.preferences import queries_due
from ganq_irl.errors import ConfigurationError, StorageError
from ganq_irl.feedback import Human, Questions
from tests.scripted import CountingEnv, demonstrations_for, flat, generator, vec_env

SMALL = {"segment_length": 4, "n_updates": 5, "hidden_sizes": (8,), "n_queries": 10, "n_sessions": 3}


def taught(name="ppo", n_steps=130, **settings):
    return Preferences(generator(name), **(SMALL | settings)).learn(n_steps)


@given(
    n_queries=st.integers(1, 300),
    first_share=st.floats(0.0, 1.0),
    n_sessions=st.integers(1, 30),
    n_rounds=st.integers(10, 200),
)
def test_all_questions_are_asked_once_and_in_groups_before_the_end(n_queries, first_share, n_sessions, n_rounds):
    asked, groups = 0, []
    for number in range(n_rounds + 1):
        due = queries_due(n_queries, first_share, n_sessions, asked, number / n_rounds)
        assert due >= 0
        asked += due
        groups += [(number, due)] if due else []
    assert asked == n_queries
    assert groups[0] == (0, min(n_queries, max(1, round(first_share * n_queries))))
    assert len(groups) <= 1 + n_sessions
    assert groups[-1][0] <= 0.8 * n_rounds + 1


def test_questions_are_asked_ever_more_rarely():
    asked, times = 0, []
    for progress in np.linspace(0, 1, 1001):
        due = queries_due(100, 0.25, 12, asked, progress)
        asked += due
        times += [progress] if due else []
    gaps = np.diff(times)
    assert (np.diff(gaps) > -0.002).all()
    assert gaps[-1] > 2 * gaps[0]


def test_the_true_reward_answers_by_what_the_environment_paid():
    run = taught(n_queries=20)
    sums = [[-np.abs(side.observations[1:, 0]).sum() for side in (each.left, each.right)] for each in run.comparisons]
    assert [each.answer for each in run.comparisons] == ["left" if left > right else "right" for left, right in sums]
    assert run.sees_reward
    assert run.recovered_reward().provenance["sees_reward"] is True
    assert all(each.left.rewards is None for each in run.comparisons)


def test_a_function_is_a_teacher_and_what_it_skips_teaches_nothing():
    start = Preferences(generator("ppo"), **SMALL)
    run = taught(teacher=lambda left, right: "skipped")
    assert [each.answer for each in run.comparisons] == ["skipped"] * 10
    assert torch.equal(flat(run.ensemble), flat(start.ensemble))
    assert run.price(demonstrations_for("ppo").to_batch()).abs().sum() == 0
    assert not run.sees_reward


def rate(segment):
    """Return a higher rating the nearer a segment is to 0."""
    return 5 - min(4, int(np.abs(segment.observations[:, 0]).mean()))


def test_ratings_are_compared_with_each_other(tmp_path):
    run = taught(ask="ratings", teacher=rate, n_queries=20, questions=str(tmp_path / "feedback"))
    assert [answer for _, answer in run.answered] == [str(rate(segment)) for (segment,), _ in run.answered]
    assert len(run.answered) == 20
    assert 1 < len(Questions(tmp_path / "feedback")) <= 20  # the same segment is not asked again
    for each in run.comparisons:
        assert each.answer == ("left" if rate(each.left) > rate(each.right) else "right")
    assert len(run.comparisons) == 20 * 20
    assert run.is_learned
    assert run.recovered_reward().provenance["ratings"] == 20


def test_ratings_are_saved_and_come_back(tmp_path):
    settings = SMALL | {"ask": "ratings", "teacher": rate}
    first = taught(**settings)
    first.save(tmp_path / "run")
    second = Preferences.load(tmp_path / "run", generator("ppo", seed=9), None, **settings)
    assert [answer for _, answer in second.answered] == [answer for _, answer in first.answered]
    for (one,), (other,) in zip((each for each, _ in first.answered), (each for each, _ in second.answered), strict=True):
        np.testing.assert_array_equal(one.observations, other.observations)
    rows = demonstrations_for("ppo").to_batch()
    assert torch.equal(first.price(rows), second.price(rows))
    with pytest.raises(StorageError):
        Preferences.load(tmp_path / "run", generator("ppo"), None, **SMALL, teacher=lambda left, right: "left")


def test_equal_ratings_teach_nothing():
    run = taught(ask="ratings", teacher=lambda segment: 3)
    assert len(run.answered) == 10
    assert not run.is_learned


def test_an_answer_to_another_kind_of_question_is_refused(tmp_path):
    """As after an answer was edited by hand."""
    taught(questions=str(tmp_path / "feedback"))
    path = tmp_path / "feedback" / "answers.jsonl"
    path.write_text(path.read_text().replace('"left"', '"4"').replace('"right"', '"4"'))
    with pytest.raises(StorageError, match="has the answer '4'; expected left or right"):
        taught(questions=str(tmp_path / "feedback"))


def test_later_questions_are_about_pairs_that_the_networks_disagree_about(monkeypatch):
    from ganq_irl.algorithms import preferences

    seen = []

    def disagree(ensemble, left, right, *spaces):
        seen.append(len(left))
        return torch.stack([torch.zeros(len(left)), torch.arange(len(left)) / len(left)])  # the last ones most

    drawn = []
    draw = preferences.draw_segments
    monkeypatch.setattr(preferences, "draw_segments", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    monkeypatch.setattr(preferences, "preferences_of", disagree)
    run = taught()
    assert len(drawn) > 1
    later, n_asked = drawn[1], len(drawn[0]) // 2
    chosen = run.comparisons[n_asked : n_asked + len(later) // 20]
    assert [each.left.observations.tolist() for each in chosen] == [
        segment.observations.tolist() for segment in later[::2][::-1][: len(chosen)]
    ]


def test_demonstrations_take_part_in_the_first_questions():
    demos = demonstrations_for("ppo")
    run = Preferences(generator("ppo"), demos, **SMALL).learn(64)
    shown = {row.tobytes() for trajectory in demos for row in trajectory.observations}
    first = run.comparisons[0]
    assert all(row.tobytes() in shown for row in first.left.observations)
    assert not any(row.tobytes() in shown for row in first.right.observations[1:])


def test_answers_are_kept_in_a_folder_and_not_asked_again(tmp_path):
    first = taught(questions=str(tmp_path / "feedback"))
    folder = Questions(tmp_path / "feedback")
    assert [given.answer for given in folder.answers().values()] == [each.answer for each in first.comparisons]
    assert {given.who for given in folder.history()} == {"true-reward"}

    def never(left, right):
        raise AssertionError("asked again")

    again = taught(questions=str(tmp_path / "feedback"), teacher=never)
    assert torch.equal(flat(again.policy), flat(first.policy))
    assert len(folder.history()) == len(first.comparisons)


def test_a_run_waits_for_a_person_who_may_be_late(tmp_path):
    told = []

    def wait():
        for pair in folder.unanswered():
            left, right = folder.load(pair)
            nearer = abs(left.observations[:, 0]).mean() < abs(right.observations[:, 0]).mean()
            folder.answer(pair, "left" if nearer else "right", who="anna")
            return  # one at a time

    folder = Questions(tmp_path / "feedback")
    run = Preferences(generator("ppo"), **SMALL, questions=str(folder.folder))
    run.teacher = Human(told=lambda folder, n: told.append(n), wait=wait)
    run.learn(130)
    assert sum(told) == len(run.comparisons) == 10
    assert {given.who for given in folder.history()} == {"anna"}
    assert not run.sees_reward


def test_a_person_needs_a_folder():
    with pytest.raises(ConfigurationError, match="set questions to one"):
        taught(teacher="human")


@pytest.mark.filterwarnings("default")
def test_a_run_that_could_compare_nothing_says_so():
    with pytest.warns(UserWarning, match="nothing was asked: no episode had 9 steps in a row"):
        Preferences(generator("sac", vec_env(CountingEnv, script=[(6, False)])), **(SMALL | {"segment_length": 9})).learn(60)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher": "humann"}, "unknown teacher 'humann'; did you mean 'human'"),
        ({"teacher": "os:system"}, r"os:system is code, which settings cannot run; .* --import os"),
        ({"ask": "rating"}, "ask: given 'rating'; did you mean 'ratings'"),
        ({"ask": "ratings"}, "true-reward only compares; for ratings use human"),
        ({"ask": "ratings", "teacher": lambda segment: 6}, "the teacher function returned 6; expected 1 or 2"),
        ({"n_queries": 0}, "n_queries: given 0; expected at least 1"),
        ({"teacher_mistakes": 1.5}, "teacher_mistakes: given 1.5; expected a number from 0 to 1"),
        ({"teacher": lambda left, right: "best"}, "the teacher function returned 'best'; expected left or right"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        taught(**settings)
