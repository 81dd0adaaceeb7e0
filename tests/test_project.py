"""Tests that the project's files agree with each other."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

yaml = pytest.importorskip("yaml")


def read_yaml(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def read_toml(name):
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def test_the_citation_names_the_version():
    citation, project = read_yaml("CITATION.cff"), read_toml("pyproject.toml")["project"]
    assert (str(citation["version"]), citation["license"]) == (project["version"], project["license"])


def test_pre_commit_runs_the_locked_ruff():
    locked = {package["name"]: package["version"] for package in read_toml("uv.lock")["package"]}
    revisions = {repo["repo"].rpartition("/")[2]: repo.get("rev") for repo in read_yaml(".pre-commit-config.yaml")["repos"]}
    assert revisions["ruff-pre-commit"] == f"v{locked['ruff']}"


def test_the_workflow_runs_every_environment_of_tox():
    jobs = read_yaml(".github/workflows/test.yml")["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    run = {*matrix["stack"], *(each["stack"] for each in matrix["include"])}
    for step in jobs["lint"]["steps"]:
        run |= set(re.sub(r".* -e ", "", step["run"]).split(",")) if "run" in step else set()
    listed = re.search(r"^env_list = (.*)$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE)
    assert run == set(listed[1].split(", "))


def test_contributing_names_files_and_functions_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:ganq_irl|demos|cli|tests)/[\w./]*)`", text))
    assert len(paths) > 12
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    rows = re.findall(r"^\| [^|]* \| `([\w/]+\.py)` \| `(\w+)` \|$", text, re.MULTILINE)
    assert len(rows) == 7
    for path, name in rows:
        assert re.search(rf"^ *(def|class) {name}\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), (path, name)


def test_every_page_that_code_and_pages_name_is_there():
    folders = ("ganq_irl", "cli", "demos", "benchmarks", "examples", "tests")
    files = [path for folder in folders for suffix in ("py", "toml", "md") for path in (ROOT / folder).rglob(f"*.{suffix}")]
    files += [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    named = {page for path in files for page in re.findall(r"\bdocs/[a-z_/]+\.md\b", path.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert not [page for page in named if not (ROOT / page).exists()]


def test_tox_leaves_no_venv_file():
    """The setting is one of tox itself; in an environment's section tox ignores it."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "tox.ini")
    assert [name for name in settings.sections() if "venv_redirect" in settings[name]] == ["tox"]
