"""``ganq-irl feedback serve``."""

from __future__ import annotations

import getpass
import webbrowser
from pathlib import Path

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.questions import is_run, questions_of


@click.command("serve")
@options.run_folder
@click.option("--name", metavar="NAME", help="Your name in the file of answers.  [default: your login name]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="PORT", help="Port; 0 is a free one.")
@click.option("--no-browser", is_flag=True, help="Only print the address, and open no browser.")
def command(run: Path, name: str | None, port: int, no_browser: bool) -> None:
    """Open a page on which you compare two clips, or rate one. Stop it with Ctrl+C.

    The page is reachable from this machine only, at an address with a secret token. Each answer is on disk before the next
    question appears. `train preferences --teacher human` waits for these answers, so run it in a second terminal.
    """
    with session.working(torch_threads=False):
        from ganq_irl.feedback.page.app import make_server
        from ganq_irl.feedback.page.desk import Answering, only_page
        from ganq_irl.runs.clips import QuestionClips
        from ganq_irl.runs.directory import load_run

        questions = questions_of(run)
        answering = Answering(questions, who=getpass.getuser() if name is None else name)
        clips = QuestionClips(questions, load_run(run).config.env_kwargs if is_run(run) else None)
        with only_page(questions):
            server, address = make_server(answering, clips, lambda: _learned(run), port)
            session.say(f"open {address}\nanswers go to {questions.folder}; stop with Ctrl+C", err=True)
            if not no_browser:
                webbrowser.open(address)  # False where there is none; the address is printed
            server.serve_forever()  # until Ctrl+C
            desk = answering.desk()
    session.say(f"{desk.n_answered} questions are answered, {desk.n_waiting} wait: {questions.folder}")


def _learned(run: Path) -> str:
    """Return how many of the answers the reward agrees with, as the run logged it last."""
    from ganq_irl.errors import RunDirectoryError
    from ganq_irl.evaluation.pictures import read_progress

    path = run / "progress.csv"
    if not is_run(run) or not path.is_file():
        return "Nothing yet: no run has learned from these answers."
    try:
        logged = read_progress(path).get("preferences/accuracy", ())
    except RunDirectoryError:  # the run is writing the file
        return "The run is writing its progress."
    known = [share for share in logged if share == share]
    if not known:
        return "Nothing yet: the run has not learned a reward from answers."
    return f"The reward agrees with {known[-1]:.0%} of the answers that say left or right, among those the run has read."
