"""Tests that every public class and function has an example, and that each example prints what it says."""

import doctest
import importlib
import inspect
import sys

import pytest

from tests.docs.pages import DOCS

sys.path.insert(0, str(DOCS))
from _ext.rooms import SHARED_NAMES, names_of, public_objects

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
OBJECTS = list(public_objects())


@pytest.mark.parametrize(("room", "name", "of"), OBJECTS, ids=[name for _, name, _ in OBJECTS])
def test_example(room, name, of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(of) if "__doc__" in vars(of) or inspect.isfunction(of) else ""
    module = importlib.import_module(room)
    names: dict = {}
    exec(compile(SHARED_NAMES.read_text(encoding="utf-8"), str(SHARED_NAMES), "exec"), names)
    names |= {each: getattr(module, each) for each in names_of(room)}
    example = doctest.DocTestParser().get_doctest(text, names, f"{room}.{name}", None, None)
    lines = [each for each in example.examples if not each.options.get(doctest.SKIP)]
    assert lines, f"{room}.{name} has no example that runs; add one to its docstring (docs/reference/names_in_examples.py)"
    found = []
    doctest.DocTestRunner(optionflags=FLAGS).run(example, out=found.append)
    assert not found, "".join(found)
