"""The folder of questions: what is written stays, whoever is killed, and what is damaged is told."""

import itertools
import json
import multiprocessing
import os
import time

import numpy as np
import pytest

from ganq_irl.errors import ConfigurationError, GanqIrlError, StorageError
from ganq_irl.feedback import COMPARED, RATED, Questions
from ganq_irl.feedback.questions import ANSWERS_FILE
from ganq_irl_demos import load_demonstrations
from tests.feedback.examples import ACTIONS, OBSERVATIONS, random_pairs


@pytest.fixture
def store(tmp_path):
    """Three pairs without answers."""
    questions = Questions(tmp_path / "feedback")
    for pair in random_pairs(3):
        questions.add(pair, OBSERVATIONS, ACTIONS, "Walk-v0")
    return questions


def test_pairs_are_demonstrations_without_their_rewards(store):
    (left, right), *_ = random_pairs(3)
    loaded = load_demonstrations(store.folder / store.names()[0])
    assert loaded.env_id == "Walk-v0"
    for found, given in zip(loaded, (left, right), strict=True):
        np.testing.assert_array_equal(found.observations, given.observations)
        np.testing.assert_array_equal(found.actions, given.actions)
        assert found.rewards is None


def test_pairs_keep_their_order_and_are_written_once(store):
    names = store.names()
    assert [name[:6] for name in names] == ["000001", "000002", "000003"]
    again = [store.add(pair, OBSERVATIONS, ACTIONS, "Walk-v0") for pair in random_pairs(3)]
    assert again == names == store.names() == store.unanswered()


def test_the_last_answer_counts_and_can_be_withdrawn(store):
    first, second, third = store.names()
    for pair, answer in [(first, "left"), (second, "equal"), (first, "right"), (third, "skipped"), (second, None)]:
        store.answer(pair, answer, who="anna")
    assert {pair: given.answer for pair, given in store.answers().items()} == {first: "right", third: "skipped"}
    assert store.unanswered() == [second]
    assert [given.answer for given in store.history()] == ["left", "equal", "right", "skipped", None]
    assert store.answers()[first].who == "anna"
    assert store.answers()[first].when.endswith("+00:00")
    assert store.check() == {"left": 0, "right": 1, "equal": 0, "skipped": 1, "unanswered": 1}


@pytest.mark.parametrize("answer", COMPARED)
def test_every_answer_comes_back(store, answer):
    store.answer(store.names()[0], answer, who="å person")
    assert Questions(store.folder).answers()[store.names()[0]].answer == answer
    assert store.history()[0].who == "å person"


@pytest.mark.parametrize("n_bytes", [1, 20, 80])
def test_a_line_that_a_kill_cut_off_is_ignored_and_replaced(store, n_bytes):
    first, second, _ = store.names()
    store.answer(first, "left", who="anna")
    store.answer(second, "right", who="anna")
    path = store.folder / ANSWERS_FILE
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(whole[0] + whole[1][:n_bytes])
    assert [given.question for given in store.history()] == [first]
    assert second in store.unanswered()
    store.answer(second, "equal", who="anna")
    assert [given.answer for given in store.history()] == ["left", "equal"]
    assert path.read_bytes().startswith(whole[0])


def answer_forever(folder, told):
    store = Questions(folder)
    for number in itertools.count():
        store.answer(store.names()[number % 3], "left", who=str(number))
        told.value = number


@pytest.mark.skipif(os.name != "posix", reason="kills a fork")
def test_answers_that_were_given_survive_a_kill(store):
    context = multiprocessing.get_context("fork")
    told = context.Value("i", -1)
    process = context.Process(target=answer_forever, args=(store.folder, told))
    process.start()
    while told.value < 5:
        time.sleep(0.005)
    process.kill()
    process.join()
    given = [int(answer.who) for answer in store.history()]
    assert given == list(range(len(given)))
    assert len(given) > told.value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "line 1 is not JSON"),
        ('{"question": 3}', "line 1 is not an answer"),
        ('{"question": "x", "answer": "best", "who": "a", "when": "b"}', "line 1 is not an answer"),
        ('{"question": "x", "answer": "left", "who": "a", "when": "b", "more": 1}', "line 1 is not an answer"),
        ('{"question": "x", "answer": "left", "who": "a", "when": "b"}', "lacks x, to which there is an answer"),
        ("[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_a_damaged_line_is_told_with_its_number(store, line, message):
    (store.folder / ANSWERS_FILE).write_text(line + "\n")
    with pytest.raises(StorageError, match=message):
        store.answers()


def test_pairs_that_were_exchanged_or_damaged_are_refused(store):
    first, second, _ = (store.folder / pair for pair in store.names())
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(StorageError, match="does not hold the question of that name"):
        store.check()
    first.write_bytes(content[:-30])
    with pytest.raises(GanqIrlError, match="truncated or altered"):
        store.check()


def test_links_are_not_followed(store, tmp_path):
    (tmp_path / "elsewhere").write_text("")
    (store.folder / ANSWERS_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="a symbolic link"):
        store.answer(store.folder.name, "left", who="anna")
    assert (tmp_path / "elsewhere").read_text() == ""


@pytest.mark.parametrize(
    ("pair", "answer", "who", "message"),
    [
        ("000009-0123456789abcdef.npz", "left", "anna", "has no question"),
        (None, "best", "anna", "unknown answer 'best'.*Known: equal, left, right, skipped"),
        (None, "left", " ", "who: given ' '; expected a name"),
    ],
)
def test_wrong_answers_are_refused(store, pair, answer, who, message):
    with pytest.raises(ConfigurationError, match=message):
        store.answer(pair or store.names()[0], answer, who=who)
    assert store.history() == []


def test_a_folder_without_pairs_has_no_answers_and_fails_its_check(tmp_path):
    empty = Questions(tmp_path / "none")
    assert len(empty) == 0
    assert empty.answers() == {}
    with pytest.raises(StorageError, match="holds no questions"):
        empty.check()
    assert not empty.folder.exists()


def test_lines_are_plain_json(store):
    store.answer(store.names()[0], "left", who="anna")
    (line,) = (store.folder / ANSWERS_FILE).read_text().splitlines()
    assert json.loads(line).keys() == {"question", "answer", "who", "when"}


@pytest.mark.parametrize("answer", RATED)
def test_one_segment_is_rated(store, answer):
    (segment, _), *_ = random_pairs(1, seed=9)
    question = store.add([segment], OBSERVATIONS, ACTIONS, "Walk-v0")
    assert len(store.load(question)) == 1
    store.answer(question, answer, who="anna")
    assert store.answers()[question].answer == answer
    assert store.check()[answer] == 1


def test_an_answer_belongs_to_its_kind_of_question(store):
    (segment, _), *_ = random_pairs(1, seed=9)
    rating, pair = store.add([segment], OBSERVATIONS, ACTIONS, "Walk-v0"), store.names()[0]
    for question, answer in [(rating, "left"), (pair, "5")]:
        with pytest.raises(ConfigurationError, match="unknown answer"):
            store.answer(question, answer, who="anna")
    line = {"question": rating, "answer": "left", "who": "anna", "when": "2026-01-31T12:00:00+00:00"}
    (store.folder / ANSWERS_FILE).write_text(json.dumps(line) + "\n")
    with pytest.raises(StorageError, match="has the answer 'left'; expected 1 or 2"):
        store.check()
