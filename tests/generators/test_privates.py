"""Only ``generators``, and ``accelerated``, which repeats SB3's code, touch what SB3 keeps private.

Elsewhere SB3's classes are subclassed or called.
"""

import ast
from functools import cache
from pathlib import Path

import pytest
import stable_baselines3

ROOT = Path(__file__).parent.parent.parent
FILES = sorted(
    path
    for folder in ("ganq_irl", "demos/ganq_irl_demos", "cli/ganq_irl_cli")
    for path in (ROOT / folder).rglob("*.py")
    if path.relative_to(ROOT).parts[1] not in ("generators", "accelerated")
)


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name != "_"


@cache
def names_of_sb3():
    """Private methods and attributes of all of SB3's classes."""
    names = set()
    for path in Path(stable_baselines3.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                names.add(node.attr)
    return frozenset(filter(is_private, names))


def private_uses(source):
    """SB3's private names that a source reads or writes on objects other than its own, or spells out in a string."""
    names = names_of_sb3()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in names and not is_own(node.value):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names:
            yield node.value


def is_own(owner):
    """Whether an expression is ``self``, ``cls`` or ``super()``: subclasses may override and call what SB3 protects."""
    if isinstance(owner, ast.Call):
        return isinstance(owner.func, ast.Name) and owner.func.id == "super"
    return isinstance(owner, ast.Name) and owner.id in ("self", "cls")


def test_only_generators_touches_sb3s_privates():
    uses = {str(path.relative_to(ROOT)): list(private_uses(path.read_text(encoding="utf-8"))) for path in FILES}
    assert not {path: names for path, names in uses.items() if names}


@pytest.mark.parametrize(
    "source",
    [
        "model._n_updates += 1",
        "self.model._last_obs",
        "getattr(model, '_current_progress_remaining')",
        "model._setup_model()",
        "buffer._get_samples(rows)",
        "policy._get_constructor_parameters()",
    ],
)
def test_a_use_is_seen(source):
    assert list(private_uses(source))


@pytest.mark.parametrize("source", ["self._n_updates += 1", "super()._setup_model()", "model.num_timesteps", "other._own"])
def test_subclasses_and_public_names_are_none(source):
    assert not list(private_uses(source))
