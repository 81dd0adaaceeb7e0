"""The command ``ganq-irl``. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import click

from ganq_irl import __version__
from ganq_irl_cli.groups import RootGroup

COMMANDS = {
    "quickstart": "See it work: imitate an expert, recover its reward.",
    "demos": "List, record, inspect and check demonstrations.",
    "train": "Train a policy by imitation, or by reinforcement learning.",
    "reward": "Look at a recovered reward, compare, export it, retrain on it.",
    "presets": "List and show settings that are known to work.",
    "resume": "Go on with a run that was interrupted, or beyond its end.",
    "evaluate": "Measure the true return of a run's policy.",
    "compare": "Compare methods over environments, demonstrations and seeds.",
    "report": "One page about a comparison, to open in a browser.",
    "sweep": "Search hyperparameters with Optuna.",
}


@click.group(
    cls=RootGroup, package="ganq_irl_cli.commands", table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, "--version", help="Show the version and exit.")
@click.option(
    "--import", "modules", multiple=True, metavar="MODULE", help="Import a module that registers environments of yours."
)
@click.option(
    "--read-limit",
    metavar="SIZE",
    envvar="GANQ_IRL_READ_LIMIT",
    help="Memory that files may unpack to, such as 32G, for data that is really that large.  [default: 100 times their "
    "size, 256M at least, 4G at most]",
)
@click.option("--debug", is_flag=True, help="Show the whole Python traceback of a failure.")
@click.pass_context
def main(context: click.Context, modules: tuple[str, ...], read_limit: str | None, debug: bool) -> None:
    """Imitation learning and inverse reinforcement learning.

    Start with `ganq-irl quickstart`. Exit codes: 0 done, 1 failed while running, 2 the request was wrong, 130 interrupted.
    """
    from ganq_irl import budget

    context.with_resource(budget.read_limit(read_limit))
    if modules:
        from ganq_irl.environments.own import import_environments

        import_environments(modules)
