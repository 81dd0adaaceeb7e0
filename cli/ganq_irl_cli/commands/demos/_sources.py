"""Where the commands on demonstrations get a set and its environment from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gymnasium as gym

    from ganq_irl_demos import Demonstrations


def load(source: str, env: str | None, columns: tuple[str, ...] = ()) -> Demonstrations:
    """A set of any format, whatever it lacks.

    An environment lends its spaces to formats that have none; whether they agree is for the checks to say.
    """
    from ganq_irl_cli.commands.demos._converting import column_mapping, environment
    from ganq_irl_demos.loading import open_demonstrations
    from ganq_irl_demos.streams import Request

    return open_demonstrations(source, Request(**environment(env), columns=column_mapping(columns))).collect()


def make(
    env: str | None, *, required: bool, render_mode: str | None = None, max_episode_steps: int | None = None
) -> gym.Env | None:
    """The environment of a set; None where it is unknown here and not ``required``."""
    import gymnasium as gym

    import ganq_irl.environments  # noqa: F401
    from ganq_irl.runs.envs import probe_env
    from ganq_irl_cli.options import with_limit

    if env is None or (not required and env not in gym.registry):
        return None
    return probe_env(env, ({} if render_mode is None else {"render_mode": render_mode}) | with_limit(max_episode_steps))
