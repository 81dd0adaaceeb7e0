"""``ganq-irl feedback inspect``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganq_irl_cli import options, session
from ganq_irl_cli.questions import counted, questions_of

if TYPE_CHECKING:
    from ganq_irl.feedback import Questions


@click.command("inspect")
@options.run_folder
@options.as_json
def command(run: Path, as_json: bool) -> None:
    """Summarize the questions of RUN: environment, number, answers, who gave them and when, and corrections."""
    with session.working(torch_threads=False):
        content = _content(questions_of(run))
    shown = content | {"answers": counted(content["answers"]) or None}
    session.show(content, session.table([(name, _cell(value)) for name, value in shown.items()]), as_json)


def _content(questions: Questions) -> dict[str, Any]:
    names, history, standing = questions.names(), questions.history(), questions.answers().values()
    first = questions.load(names[0]) if names else None
    return {
        "folder": str(questions.folder),
        "environment": None if first is None else first.env_id,
        "questions": len(names),
        "steps of the first segment": None if first is None else len(first[0]),
        "answered": len(standing),
        "answers": dict(Counter(str(given.answer) for given in standing)),
        "people": dict(Counter(given.who for given in standing)),
        "changed or withdrawn": len(history) - len(standing),
        "first answer": history[0].when if history else None,
        "last answer": history[-1].when if history else None,
    }


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items()) or "-"
    return "-" if value is None else str(value)
