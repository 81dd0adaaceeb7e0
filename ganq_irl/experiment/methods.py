"""What a grid compares: a name such as ``gail+gan-q`` or ``gail:frozen``, and the protocol that it belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ganq_irl.errors import ConfigurationError
from ganq_irl.experiment.checks import IMITATION, known_algorithm
from ganq_irl.generators.factory import generator_class

REWARD_KNOWN, DEMONSTRATIONS_ONLY = "reward known", "demonstrations only"
PROTOCOLS = (REWARD_KNOWN, DEMONSTRATIONS_ONLY)
"""What a method is shown. Scores of different protocols answer different questions and stand in different tables."""

_PATTERN = re.compile(r"(?P<algo>[^+:]+)(\+(?P<generator>[^+:]+))?(:(?P<control>[^+:]+))?")


@dataclass(frozen=True)
class Method:
    """An algorithm as a grid names it.

    Attributes:
        algo: algorithm, as on the command line.
        generator: the generator inside it, where the name says one.
        control: "frozen" for the control whose discriminator never learns, else None.
    """

    algo: str
    generator: str | None = None
    control: str | None = None

    @property
    def name(self) -> str:
        """``ALGO[+GENERATOR][:CONTROL]``."""
        generator = f"+{self.generator}" if self.generator else ""
        return f"{self.algo}{generator}{f':{self.control}' if self.control else ''}"

    @property
    def imitates(self) -> bool:
        """Whether it learns from demonstrations, rather than from the environment's reward."""
        return self.algo in IMITATION

    @property
    def protocol(self) -> str:
        """The one of ``PROTOCOLS`` that it belongs to."""
        return DEMONSTRATIONS_ONLY if self.imitates else REWARD_KNOWN

    @property
    def counts_steps(self) -> bool:
        """Whether it acts in the environment as it learns; behavioural cloning does not."""
        return self.algo != "bc"

    def settings(self) -> dict[str, Any]:
        """Its part of a run's settings."""
        chosen = {"algo": self.algo, "generator": self.generator, "control": self.control}
        return {key: value for key, value in chosen.items() if value is not None}


def parse_method(text: str) -> Method:
    """Read ``ALGO[+GENERATOR][:CONTROL]``.

    >>> parse_method("gail+gan-q:frozen")
    Method(algo='gail', generator='gan-q', control='frozen')

    Raises:
        ConfigurationError: it is not of that form, or names an algorithm or a generator that is unknown.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"method {text!r}: expected ALGO, ALGO+GENERATOR or ALGO:frozen, such as gail, gail+gan-q or gail:frozen"
        )
    method = Method(**match.groupdict())
    known_algorithm(method.algo)
    if method.generator is not None:
        generator_class(method.generator)
    return method
