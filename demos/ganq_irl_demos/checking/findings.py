"""A finding: a broken rule and where it is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """A broken rule, at the first place where it is broken.

    Attributes:
        severity: an "error" makes demonstrations unfit for learning; a "warning" is worth a look.
        trajectory: index from 0, or None if the finding is about all of them.
        step: index from 0 within the field (0 to T for observations, 0 to T − 1 for actions and rewards), or None.
        field: ``observations``, ``observations.<key>``, ``actions``, ``rewards``, ``lengths``, ``env_id``, ...
        rule: short name of the rule, such as ``non-finite``.
        message: what was found, what was expected, and what to do.

    Example:
        >>> broken = Demonstrations([Trajectory([[0.0] * 4, [np.nan] * 4], [0])], env.observation_space, env.action_space)
        >>> finding = check_demonstrations(broken)[0]
        >>> finding.severity, finding.trajectory, finding.step, finding.rule
        ('error', 0, 1, 'non-finite')
    """

    severity: Severity
    trajectory: int | None
    step: int | None
    field: str
    rule: str
    message: str

    def __str__(self) -> str:
        """Return trajectory, step and field, then the message."""
        where = [f"trajectory {self.trajectory}"] if self.trajectory is not None else []
        where += [f"step {self.step}"] if self.step is not None else []
        return f"{', '.join([*where, self.field])}: {self.message}"
