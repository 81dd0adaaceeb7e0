"""The names at the top of the package."""

import inspect
import subprocess
import sys

import pytest

import ganq_irl
from ganq_irl import algorithms, rewards


@pytest.mark.parametrize("room", [algorithms, rewards])
def test_every_public_class_is_at_the_top(room):
    classes = {name for name in room.__all__ if inspect.isclass(getattr(room, name))}
    assert classes <= set(ganq_irl.__all__)


def test_every_name_is_there_and_listed():
    for name in ganq_irl.__all__:
        assert getattr(ganq_irl, name) is not None
    assert set(ganq_irl.__all__) <= set(dir(ganq_irl))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ganq_irl.nothing  # noqa: B018


def test_nothing_heavy_is_imported_before_it_is_used():
    code = "import sys, ganq_irl; dir(ganq_irl); print(sorted({'torch', 'numpy', 'gymnasium'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
