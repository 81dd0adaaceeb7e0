"""The page for answers: nobody else reaches it, and no answer is lost or given twice."""

import http.client
import multiprocessing
import os
import re
import signal
import threading
import time

import gymnasium as gym
import numpy as np
import pytest

from ganq_irl.errors import ConfigurationError, MissingDependency
from ganq_irl.feedback import Questions, cut_segments
from ganq_irl.feedback.page.desk import Answering, only_page
from ganq_irl.runs import ExperimentConfig
from ganq_irl_demos import load_demonstrations
from tests.command_line import call, forked
from tests.feedback.examples import ACTIONS, OBSERVATIONS, random_pairs

flask = pytest.importorskip("flask")

from ganq_irl.feedback.page.app import HEADERS, NOTES, make_app, make_server  # noqa: E402

TOKEN, PORT = "a-token", 5000
HOSTILE = "<img src=x onerror=alert(1)>\"'&Walk-v0"


class Pictures:
    """Draws nothing, quickly."""

    images, stills, media_type = (b"one", b"two"), (b"still one", b"still two"), "image/gif"
    texts, note = (HOSTILE, HOSTILE), HOSTILE

    def __init__(self, store):
        self.store = store

    def of(self, pair):
        self.store.load(pair)
        return self

    def prepare(self, pair):
        pass


@pytest.fixture
def store(tmp_path):
    questions = Questions(tmp_path / "feedback")
    for pair in random_pairs(4):
        questions.add(pair, OBSERVATIONS, ACTIONS, HOSTILE)
    return questions


@pytest.fixture
def app(store):
    return make_app(Answering(store, HOSTILE), Pictures(store), lambda: HOSTILE, TOKEN, PORT)


def window(app):
    """A browser's window that has opened the printed address."""
    client = app.test_client()
    opened = client.get(f"/?token={TOKEN}", base_url=f"http://127.0.0.1:{PORT}")
    assert (opened.status_code, opened.location) == (303, "/")
    return client


def look(client, path="/", **options):
    return client.get(path, base_url=f"http://127.0.0.1:{PORT}", **options)


def post(client, path, token=TOKEN, **form):
    """Send a form and return the page that follows."""
    form |= {} if token is None else {"token": token}
    return client.post(path, data=form, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=True)


def test_every_answer_is_kept_with_who_and_the_next_pair_follows(app, store):
    client = window(app)
    for pair, answer in zip(store.names(), ["left", "right", "equal", "skipped"], strict=True):
        assert f'value="{pair}"' in look(client).text
        assert post(client, "/answer", question=pair, answer=answer).status_code == 200
        assert store.history()[-1].answer == answer
        assert store.history()[-1].who == HOSTILE
    assert "No question waits for an answer" in look(client).text
    assert 'http-equiv="refresh"' in look(client).text
    assert store.unanswered() == []


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/static/page.css", "/clips/x/0", "/nowhere"])
def test_without_the_token_nothing_is_shown(app, path):
    stranger = app.test_client()
    for address in (path, f"{path}?token=guess", f"{path}?token=%C3%A5"):
        refused = look(stranger, address)
        assert refused.status_code == 403
        assert "Walk-v0" not in refused.text
        assert refused.mimetype == "text/plain"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:5000", "127.0.0.1", "127.0.0.1:5001", "127.0.0.1:5000.evil.example"]
)
def test_another_host_is_refused_even_with_the_token(app, store, host):
    client = window(app)
    refused = client.get(f"/?token={TOKEN}", headers={"Host": host})
    assert refused.status_code == 403
    client.post("/answer", data={"token": TOKEN, "pair": store.names()[0], "answer": "left"}, headers={"Host": host})
    assert store.history() == []


def test_a_form_needs_the_cookie_and_the_token(app, store):
    """A page of another port shares the cookies of this machine, but does not know the token."""
    form = {"question": store.names()[0], "answer": "left"}
    assert post(window(app), "/answer", token=None, **form).status_code == 403
    assert post(window(app), "/answer", token="guess", **form).status_code == 403
    assert post(app.test_client(), "/answer", **form).status_code == 403
    assert store.history() == []


@pytest.mark.parametrize("path", ["/answer", "/undo"])
def test_nothing_is_written_by_get(app, store, path):
    refused = look(window(app), f"{path}?question={store.names()[0]}&answer=left&token={TOKEN}")
    assert refused.status_code == 405
    assert store.history() == []


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/nowhere", "/clips/../../etc/passwd/0"])
def test_every_response_forbids_foreign_scripts(app, path):
    found = look(window(app), path)
    assert {name: found.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert "<script>" not in found.text
    assert "onclick" not in found.text


def test_hostile_names_are_shown_as_text(app):
    text = look(window(app)).text
    assert "<img src=x" not in text
    assert (
        text.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;Walk-v0") == 7
    )  # two texts, twice each, how they were drawn, who, and the reward


def test_a_note_in_the_address_is_one_of_ours(app):
    client = window(app)
    assert NOTES["answered"] in look(client, "/?note=answered").text
    assert "evil" not in look(client, "/?note=evil").text


def test_undo_appends_and_goes_back_pair_by_pair(app, store):
    client, (first, second, *_) = window(app), store.names()
    assert "disabled" in look(client).text
    post(client, "/answer", question=first, answer="left")
    post(client, "/answer", question=second, answer="right")
    assert NOTES["back"] in post(client, "/undo", question=second).text
    assert NOTES["undone"] in post(client, "/undo", question=second).text  # from another window, or pressed twice
    assert f'name="question" value="{first}"' in look(client).text
    post(client, "/undo", question=first)
    assert [given.answer for given in store.history()] == ["left", "right", None, None]
    assert store.unanswered() == store.names()


def test_nobody_undoes_the_answers_of_others(store):
    first, *_ = store.names()
    store.answer(first, "left", who="true-reward")
    anna = Answering(store, "anna")
    assert anna.desk().undoable is None
    assert not anna.undo(first)


def test_two_windows_never_answer_the_same_pair(app, store):
    one, two = window(app), window(app)
    first, second, *_ = store.names()
    post(one, "/answer", question=first, answer="left")
    late = post(two, "/answer", question=first, answer="right")
    assert NOTES["answered"] in late.text
    assert f'value="{second}"' in late.text
    assert [given.answer for given in store.history()] == ["left"]


def test_many_windows_at_once_answer_once(store):
    answering, first, start = Answering(store, "anna"), store.names()[0], threading.Barrier(8)
    kept = []

    def press():
        start.wait()
        kept.append(answering.answer(first, "left"))

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept) == [False] * 7 + [True]
    assert len(store.history()) == 1


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"question": "nothing.npz", "answer": "left"}, "has no question"),
        ({"answer": "best"}, "unknown answer"),
        ({}, "has no question"),
    ],
)
def test_wrong_answers_are_told_as_text(app, store, form, message):
    form = {"question": store.names()[0]} | form if form else {}
    told = post(window(app), "/answer", **form)
    assert (told.status_code, told.mimetype) == (400, "text/plain")
    assert message in told.text
    assert store.history() == []


def test_large_forms_are_refused(app, store):
    assert post(window(app), "/answer", question=store.names()[0], answer="l" * 10_000).status_code == 413


def test_damaged_pairs_are_told_as_text(app, store):
    (store.folder / store.names()[0]).write_bytes(b"<script>alert(1)</script>")
    told = look(window(app))
    assert (told.status_code, told.mimetype) == (500, "text/plain")


def test_clips_are_images_of_known_pairs_only(app, store):
    client = window(app)
    found = look(client, f"/clips/{store.names()[0]}/0")
    assert (found.mimetype, found.data) == ("image/gif", b"one")
    assert look(client, f"/clips/{store.names()[0]}/1").data == b"two"
    still = look(client, f"/clips/{store.names()[0]}/1?still")
    assert (still.mimetype, still.data) == ("image/png", b"still two")
    assert look(client, "/clips/000009-0123456789abcdef.npz/0").status_code == 404
    assert look(client, f"/clips/{store.names()[0]}/2").status_code == 404


def test_one_clip_is_rated(app, store):
    class One(Pictures):
        images, stills, texts = (b"one",), (b"still one",), (HOSTILE,)

    (segment, _), *_ = random_pairs(1, seed=9)
    for pair in store.names():
        store.answer(pair, "equal", who="anna")
    question = store.add([segment], OBSERVATIONS, ACTIONS, HOSTILE)
    client = window(make_app(Answering(store, "anna"), One(store), str, TOKEN, PORT))
    text = look(client).text
    assert "How good is this clip?" in text
    assert [f'value="{rating}"' in text for rating in "012345"] == [False] + 5 * [True]
    assert 'value="left"' not in text
    assert look(client, f"/clips/{question}/0").data == b"one"
    assert look(client, f"/clips/{question}/1").status_code == 404
    assert post(client, "/answer", question=question, answer="left").status_code == 400
    assert post(client, "/answer", question=question, answer="4").status_code == 200
    assert store.answers()[question].answer == "4"


def test_only_one_page_is_open_for_a_folder(store):
    with only_page(store), pytest.raises(ConfigurationError, match="another page is open"), only_page(store):
        pass
    with only_page(store):
        pass


def _serve(folder, pipe):
    store = Questions(folder)
    server, address = make_server(Answering(store, "anna"), Pictures(store), str)
    pipe.send(address)
    server.serve_forever()


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_killed_server_keeps_the_answers_that_it_took(store):
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(store.folder, theirs))
    process.start()
    port, token = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", ours.recv()).groups()
    headers = {"Cookie": f"ganq-irl-feedback-{port}={token}", "Content-Type": "application/x-www-form-urlencoded"}
    for pair in store.names()[:3]:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
        connection.request("POST", "/answer", f"token={token}&question={pair}&answer=right", headers)
        assert connection.getresponse().status == 303
        connection.close()
    process.kill()
    process.join()
    assert [given.answer for given in store.history()] == ["right"] * 3
    with only_page(store):  # a lock ends with its process
        assert Answering(store, "anna").desk().question == store.names()[3]


def test_the_command_prints_the_address_and_ends_with_ctrl_c(store, tmp_path):
    with forked("feedback", "serve", store.folder, "--no-browser", "--name", "anna", errors=tmp_path / "errors") as process:
        while not (told := tmp_path / "errors").exists() or "Ctrl+C" not in told.read_text():
            time.sleep(0.02)
        port, token = re.search(r"open http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n", told.read_text()).groups()
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
        connection.request("GET", "/static/page.js", headers={"Cookie": f"ganq-irl-feedback-{port}={token}"})
        assert connection.getresponse().status == 200
        connection.close()
        os.kill(process.pid, signal.SIGINT)
        process.join(30)
        assert process.exitcode == 0
    assert token not in told.read_text().partition("Ctrl+C")[2]


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_sigterm_ends_the_command_after_it_has_drawn(tmp_path):
    """SDL would take the signal for a request to close its window."""
    questions, env = Questions(tmp_path / "feedback"), gym.make("Pendulum-v1")
    segments = cut_segments(load_demonstrations("pendulum"), 2, 5, np.random.default_rng(0))
    questions.add(segments, env.observation_space, env.action_space, "Pendulum-v1")
    with forked("feedback", "serve", questions.folder, "--no-browser", errors=tmp_path / "errors") as process:
        while not (told := tmp_path / "errors").exists() or "Ctrl+C" not in told.read_text():
            time.sleep(0.02)
        port, token = re.search(r"open http://127\.0\.0\.1:(\d+)/\?token=(\S+)\n", told.read_text()).groups()
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        connection.request(
            "GET", f"/clips/{questions.names()[0]}/0", headers={"Cookie": f"ganq-irl-feedback-{port}={token}"}
        )
        assert connection.getresponse().status == 200
        connection.close()
        os.kill(process.pid, signal.SIGTERM)
        process.join(30)
        assert process.exitcode == -signal.SIGTERM


def test_the_server_listens_on_this_machine_only_and_a_taken_port_is_told(store):
    answering = Answering(store, "anna")
    server, address = make_server(answering, Pictures(store), str)
    assert server.socket.getsockname() == ("127.0.0.1", server.port)
    assert address.startswith(f"http://127.0.0.1:{server.port}/?token=")
    with pytest.raises(ConfigurationError, match=rf"port {server.port} is not free.*give another --port"):
        make_server(answering, Pictures(store), str, server.port)
    server.server_close()


def test_without_flask_the_message_names_the_extra(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "flask", None)
    with pytest.raises(MissingDependency, match=r"pip install 'ganq-irl\[feedback\]'"):
        make_server(Answering(store, "anna"), Pictures(store), str)


def test_commands_summarize_and_check(store, tmp_path):
    first, second, *_ = store.names()
    for pair, answer in [(first, "left"), (second, "equal"), (second, None)]:
        store.answer(pair, answer, who="anna")
    told = call("feedback", "inspect", store.folder)
    assert told.exit_code == 0
    assert re.search(r"answers +1 left\npeople +1 anna\nchanged or withdrawn +2\n", told.stdout)
    told = call("feedback", "check", store.folder, "--json")
    assert '"left": 1' in told.stdout
    assert '"unanswered": 3' in told.stdout
    (store.folder / second).write_bytes(b"")
    assert call("feedback", "check", store.folder).exit_code == 2


@pytest.mark.parametrize("command", ["serve", "inspect", "check"])
def test_a_folder_that_is_no_run_is_told(command, tmp_path):
    told = call("feedback", command, tmp_path)
    assert told.exit_code == 2
    assert "is no run directory and holds no questions" in told.stderr


@pytest.mark.parametrize("command", ["serve", "inspect", "check"])
def test_a_run_that_asks_nobody_is_told(command, tmp_path):
    written(tmp_path, ExperimentConfig("ppo", "CartPole-v1"))
    told = call("feedback", command, tmp_path)
    assert told.exit_code == 2
    assert "is a run of ppo and holds no questions" in told.stderr


def test_a_run_names_its_questions(store, tmp_path):
    """The folder of the run, unless its settings name another; a run that has not asked yet has none."""
    written(tmp_path / "first", ExperimentConfig("preferences", "CartPole-v1"))
    assert '"questions": 0' in call("feedback", "inspect", tmp_path / "first", "--json").stdout
    elsewhere = ExperimentConfig("preferences", "CartPole-v1", imitation={"questions": str(store.folder)})
    written(tmp_path / "second", elsewhere)
    assert '"questions": 4' in call("feedback", "inspect", tmp_path / "second", "--json").stdout


def written(folder, config):
    """A run directory as it is when training begins."""
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(config.to_toml())
    (folder / "run.json").write_text("{}")
