"""Tests that every public class and function has an example, and that each example prints what it says."""

import ast
import doctest
import importlib
import inspect
import sys

import pytest

from tests.docs.pages import DOCS

sys.path.insert(0, str(DOCS))
from _ext.rooms import SHARED_NAMES, names_of, public_objects

SHARED = ast.parse(SHARED_NAMES.read_text(encoding="utf-8")).body
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
OBJECTS = list(public_objects())


@pytest.mark.parametrize(("room", "name", "of"), OBJECTS, ids=[name for _, name, _ in OBJECTS])
def test_example(room, name, of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(of) if "__doc__" in vars(of) or inspect.isfunction(of) else ""
    module = importlib.import_module(room)
    example = doctest.DocTestParser().get_doctest(text, {}, f"{room}.{name}", None, None)
    lines = [each for each in example.examples if not each.options.get(doctest.SKIP)]
    example.globs |= shared_names("".join(each.source for each in example.examples))
    example.globs |= {each: getattr(module, each) for each in names_of(room)}
    assert lines, f"{room}.{name} has no example that runs; add one to its docstring (docs/reference/names_in_examples.py)"
    found = []
    doctest.DocTestRunner(optionflags=FLAGS).run(example, out=found.append)
    assert not found, "".join(found)


def shared_names(source):
    """The shared names that a source uses, made by those statements alone that they need."""
    used, needed = variables(ast.parse(source), ast.Load), []
    for statement in reversed(SHARED):
        if variables(statement, ast.Store) & used:
            needed.insert(0, statement)
            used |= variables(statement, ast.Load)
    names: dict = {}
    exec(compile(ast.Module(needed, []), str(SHARED_NAMES), "exec"), names)
    return names


def variables(tree, context):
    """The variables that code loads or stores; an import stores its names."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)}
    if context is ast.Store:
        found |= {node.asname or node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
    return found
