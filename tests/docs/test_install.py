"""Tests of the files that install current releases beside imitation's pins."""

import re
import shutil
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.docs.pages import ROOT


def requirements(name):
    lines = (ROOT / "install" / name).read_text(encoding="utf-8").splitlines()
    return {each.name: each for each in (Requirement(line) for line in lines if line and not line.startswith("#"))}


def test_the_list_for_pip_has_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = {Requirement(each).name for each in project["dependencies"]}
    assert ours - requirements("current.txt").keys() == {"imitation"}


def test_the_page_has_the_overrides_of_the_file():
    page = (ROOT / "docs" / "get_started" / "own_project.md").read_text(encoding="utf-8")
    written = re.search(r"override-dependencies = \[(.*)\]", page)[1]
    assert {Requirement(each) for each in re.findall(r'"([^"]+)"', written)} == set(requirements("overrides.txt").values())


@pytest.mark.slow  # asks the package index
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize(
    ("arguments", "project"),
    [(("--override", "install/overrides.txt"), True), (("install/current.txt",), False), ((), True)],
)
def test_the_commands_resolve(python, arguments, project, tmp_path):
    """Outside of the checkout, whose own settings for uv would count otherwise."""
    uv = shutil.which("uv") or pytest.skip("needs uv")
    command = [uv, "pip", "compile", "--quiet", "--python-version", python]
    command += [str(ROOT / each) if each.startswith("install/") else each for each in arguments] + (["-"] if project else [])
    given = f"ganq-irl @ {ROOT.as_uri()}" if project else None
    result = subprocess.run(command, cwd=tmp_path, input=given, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    found = dict(re.findall(r"^(gymnasium|stable-baselines3)==(\d+)\.", result.stdout, re.MULTILINE))
    assert found == {"gymnasium": "1" if arguments else "0", "stable-baselines3": "2"}


def test_the_page_names_every_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "get_started" / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(extras)
