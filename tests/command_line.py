"""Commands run in this process."""

from click.testing import CliRunner, Result

from ganq_irl_cli import main


def call(*args: object) -> Result:
    """The result of a command, however it ends."""
    return CliRunner().invoke(main, list(map(str, args)))
