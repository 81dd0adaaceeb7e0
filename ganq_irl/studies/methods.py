"""Methods of a grid: names such as ``gail+gan-q`` or ``gail:frozen``, and the protocol that each belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ganq_irl.errors import ConfigurationError, nearest
from ganq_irl.generators.factory import generator_class
from ganq_irl.runs.validation import known_algorithm
from ganq_irl.space_matrix import IMITATION, WITHOUT_DEMONSTRATIONS

REWARD_KNOWN, BOTH, DEMONSTRATIONS_ONLY = "reward known", "reward and demonstrations", "demonstrations only"
ANSWERS_BY_REWARD, ANSWERS, CORRECTIONS = "answers by the reward", "answers", "demonstrations and corrections"
PROTOCOLS = (REWARD_KNOWN, ANSWERS_BY_REWARD, BOTH, ANSWERS, CORRECTIONS, DEMONSTRATIONS_ONLY)
"""What a method sees. Scores of different protocols answer different questions and are in separate tables."""

FROZEN, TRUE_REWARD = "frozen", "true-reward"
CONTROLS = (FROZEN, TRUE_REWARD)
"""What imitation is compared with: a discriminator that never learns; its generator on the environment's reward."""

_PATTERN = re.compile(r"(?P<algo>[^+:@]+)(\+(?P<generator>[^+:@]+))?(:(?P<control>[^+:@]+))?(@(?P<source>[^:@]+))?")


@dataclass(frozen=True)
class Method:
    """An algorithm as a grid names it.

    Attributes:
        algo: algorithm, as on the command line.
        generator: the generator, if the name gives one.
        control: one of ``CONTROLS``, or None.
        source: the imitation method whose recovered reward replaces the environment's, if any.
    """

    algo: str
    generator: str | None = None
    control: str | None = None
    source: str | None = None

    @property
    def name(self) -> str:
        """``ALGO[+GENERATOR][:CONTROL]``, or ``ALGO@SOURCE``."""
        generator = f"+{self.generator}" if self.generator else ""
        control = f":{self.control}" if self.control else ""
        return f"{self.algo}{generator}{control}{f'@{self.source}' if self.source else ''}"

    @property
    def imitates(self) -> bool:
        """Return whether it learns from demonstrations or answers instead of a reward."""
        return self.algo in IMITATION and self.control != TRUE_REWARD

    @property
    def protocol(self) -> str:
        """Its protocol, one of ``PROTOCOLS``."""
        if self.imitates and self.algo in WITHOUT_DEMONSTRATIONS:
            return ANSWERS_BY_REWARD
        if self.imitates and self.algo == "dagger":
            return CORRECTIONS
        return DEMONSTRATIONS_ONLY if self.imitates or self.source else REWARD_KNOWN

    @property
    def counts_steps(self) -> bool:
        """Return whether it takes environment steps while it learns; behavioral cloning does not."""
        return self.algo != "bc"

    def settings(self) -> dict[str, Any]:
        """Return the settings of a run that the name determines."""
        control = None if self.control == TRUE_REWARD else self.control
        chosen = {"algo": self.algo, "generator": self.generator, "control": control}
        return {key: value for key, value in chosen.items() if value is not None}


def parse_method(text: str) -> Method:
    """Parse ``ALGO[+GENERATOR][:CONTROL]`` or ``ALGO@SOURCE``.

    >>> parse_method("gail+gan-q:frozen")
    Method(algo='gail', generator='gan-q', control='frozen', source=None)

    Raises:
        ConfigurationError: the form is wrong, or the algorithm or generator is unknown.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"method {text!r}: expected ALGO, ALGO+GENERATOR, ALGO:frozen, ALGO:true-reward or ALGO@SOURCE, such as gail, "
            "gail+gan-q, gail:frozen, or gan-q@airl for GAN-Q on the reward that AIRL recovered",
            page="how_to/compare",
        )
    method = Method(**match.groupdict())
    known_algorithm(method.algo)
    if method.generator is not None:
        generator_class(method.generator)
    if method.control not in (None, *CONTROLS):
        raise ConfigurationError(f"method {text!r}: unknown control {method.control!r}; {nearest(method.control, CONTROLS)}")
    if method.control == TRUE_REWARD and method.algo not in IMITATION:
        raise ConfigurationError(f"method {text!r}: {method.algo} learns from the true reward anyway; leave the control out")
    if method.source is not None and (method.imitates or method.generator or method.control):
        raise ConfigurationError(
            f"method {text!r}: the part before the @ must be an algorithm that learns from a reward, as in gan-q@airl"
        )
    if method.source is not None and not parse_method(method.source).imitates:
        raise ConfigurationError(
            f"method {text!r}: {method.source} recovers no reward; name one that imitates, such as airl"
        )
    return method
