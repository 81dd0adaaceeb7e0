"""The ``ganq-irl`` command. Heavy packages are imported only when a command runs."""

from __future__ import annotations

import click

from ganq_irl import __version__
from ganq_irl_cli.groups import RootGroup

COMMANDS = {
    "quickstart": "Imitate an expert and recover its reward, in three minutes.",
    "demos": "List, record, convert, inspect and check demonstrations.",
    "advise": "Say which algorithm to run on your demonstrations, and why.",
    "train": "Train a policy by imitation or reinforcement learning.",
    "reward": "Show, compare and export recovered rewards, and train on them.",
    "feedback": "Compare clips in a page on this machine, and check the answers.",
    "presets": "List and show tuned settings.",
    "resume": "Continue an interrupted run, or extend a finished one.",
    "evaluate": "Measure the true return of a run's policy.",
    "compare": "Compare methods across environments, demonstrations and seeds.",
    "report": "Write an HTML page about a comparison.",
    "sweep": "Search for hyperparameters with Optuna.",
}


@click.group(
    cls=RootGroup,
    package="ganq_irl_cli.commands",
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(__version__, "--version", help="Show the version and exit.")
@click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Import a module of yours, with environments or teachers."
)
@click.option(
    "--read-limit",
    metavar="SIZE",
    envvar="GANQ_IRL_READ_LIMIT",
    help="Memory that the data in files may take, such as 32G.  [default: 100 times the size of the files, at least 256M "
    "and at most 4G]",
)
@click.option("--debug", is_flag=True, help="Show the full Python traceback of a failure.")
@click.pass_context
def main(context: click.Context, modules: tuple[str, ...], read_limit: str | None, debug: bool) -> None:
    """Imitation learning and inverse reinforcement learning.

    Start with `ganq-irl quickstart`. Exit codes: 0 success, 1 failure while running, 2 wrong request, 130 interrupted.
    """
    from ganq_irl import budget

    context.with_resource(budget.read_limit(read_limit))
    if modules:
        from ganq_irl.environments.own import import_environments

        import_environments(modules)
