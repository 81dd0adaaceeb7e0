"""Click groups that import commands lazily and turn every failure into a message and an exit code."""

from __future__ import annotations

import errno
import importlib
import traceback
from collections.abc import Mapping
from typing import Any

import click

from ganq_irl.errors import CheckpointFailed, EnvironmentFailed, GanqIrlError, TrainingDiverged, printable
from ganq_irl_cli.session import say

FAILED, WRONG_REQUEST, INTERRUPTED = 1, 2, 130
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


class LazyGroup(click.Group):
    """A group whose commands are modules of a package, each with a click command named ``command``.

    Args:
        package: package of the modules; the command ``list`` is in the module ``<package>.list``.
        table: command -> its line in the group's help, which therefore imports nothing.
    """

    def __init__(self, *args: Any, package: str, table: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package, self.table = package, table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command of the table."""
        if cmd_name not in self.table:
            return None
        return importlib.import_module(f"{self.package}.{cmd_name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command as Click does, and suggest the nearest name for an unknown one."""
        from ganq_irl.errors import nearest

        if args and not args[0].startswith("-") and args[0] not in self.table:
            raise click.UsageError(f"no command {args[0]!r}; {nearest(args[0], self.table)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))


class RootGroup(LazyGroup):
    """The top-level group, which handles the failures of all commands."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn a failure into one or two lines on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort) as error:
            say(str(error) or "interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except click.exceptions.Exit:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:  # Click handles a closed pipe
                raise
            if ctx.params["debug"] and not isinstance(error, click.ClickException):
                say(traceback.format_exc(), err=True)
                raise click.exceptions.Exit(FAILED) from error
            raise _shown(error) from error


class _WrongRequest(click.ClickException):
    exit_code = WRONG_REQUEST


def _shown(error: Exception) -> click.ClickException:
    """Return the error that Click shows, with control characters escaped in its message."""
    if isinstance(error, click.UsageError):
        return click.UsageError(printable(error.format_message()), error.ctx)
    has_failed = isinstance(error, TrainingDiverged | CheckpointFailed | EnvironmentFailed)
    kind = _WrongRequest if isinstance(error, GanqIrlError) and not has_failed else click.ClickException
    return kind(printable(_message(error)))


def _message(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, GanqIrlError):
        return f"{error}\nSee docs/{error.page}.md." if error.page else str(error)
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        return f"cannot write {error.filename or 'a file'}: {error.strerror}; free some space, or choose another folder"
    if isinstance(error, MemoryError):
        return f"out of memory ({error}); reduce the request, or free some memory"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}\nRun `ganq-irl --debug ...` for the full traceback."
