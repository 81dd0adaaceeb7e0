import inspect
import pickle
import re
from pathlib import Path

import pytest

from ganq_irl import errors
from tests.command_line import call

OURS = [name for name, one in vars(errors).items() if inspect.isclass(one) and one.__module__ == errors.__name__]


@pytest.mark.parametrize("name", OURS)
def test_every_error_is_ours_and_a_value_error(name):
    assert issubclass(getattr(errors, name), errors.GanqIrlError)
    assert issubclass(getattr(errors, name), ValueError)


def test_nearest_names_the_closest_and_all():
    assert errors.nearest("gial", ["gail", "airl"]) == "did you mean 'gail'? Known: airl, gail"
    assert errors.nearest("xyz", ["gail", "airl"]) == "Known: airl, gail"


def test_every_page_that_an_error_or_a_warning_names_exists():
    root = Path(__file__).parents[1]
    named = {getattr(errors, name).page for name in OURS} - {None}
    for source in (*root.glob("ganq_irl/**/*.py"), *root.glob("demos/**/*.py"), *root.glob("cli/**/*.py")):
        text = source.read_text(encoding="utf-8")
        named |= {*re.findall(r'\bpage="([^"]+)"', text), *re.findall(r"\bdocs/(\w+/\w+)\.md", text)}
    assert len(named) > 12
    assert [page for page in sorted(named) if not (root / "docs" / f"{page}.md").is_file()] == []


def test_an_error_names_the_page_of_its_class_or_its_own():
    assert errors.IncompatibleSpaces("x").page == "reference/spaces"
    assert errors.ConfigurationError("x", page="how_to/compare").page == "how_to/compare"
    assert errors.ConfigurationError("x").page is None
    assert pickle.loads(pickle.dumps(errors.ConfigurationError("x", page="how_to/compare"))).page == "how_to/compare"


def test_commands_name_the_page():
    refused = call("evaluate", "nowhere")
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1] == "See docs/reference/files.md."
