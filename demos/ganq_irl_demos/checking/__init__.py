"""Check demonstrations: rules and their findings."""

from ganq_irl_demos.checking.check import examine_demonstrations

__all__ = ["examine_demonstrations"]
