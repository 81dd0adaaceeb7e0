"""``ganq-irl feedback check``."""

from __future__ import annotations

from pathlib import Path

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.questions import counted, questions_of


@click.command("check")
@options.run_folder
@options.as_json
def command(run: Path, as_json: bool) -> None:
    """Read all questions and answers of RUN, and name the first that is damaged, missing or of another environment."""
    with session.working(torch_threads=False):
        questions = questions_of(run)
        counts = questions.check()
    text = f"{questions.folder}: {len(questions)} questions ({counted(counts)}), nothing wrong"
    session.show({"folder": str(questions.folder), **counts}, text, as_json)
