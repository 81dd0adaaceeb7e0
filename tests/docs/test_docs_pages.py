"""Tests of what a reader relies on: commands that work, code that imports, short pages."""

import ast
import importlib
import re
from pathlib import Path

import click
import gymnasium as gym
import pytest
from stable_baselines3 import SAC

from ganq_irl.generators.policies.store import save_policy
from ganq_irl.space_matrix import IMITATION
from ganq_irl_cli import main
from tests.command_line import call
from tests.docs.pages import DOCS, GUIDES, PAGES, ROOT, commands_of, fences, name_of, python_of, unexplained

COMMANDS = [(name_of(page), arguments) for page in PAGES for arguments in commands_of(page)]


def parsed(arguments):
    """The command that the arguments name, and their values, without running it."""
    group, context = main, click.Context(main, info_name="ganq-irl")
    context.params = {"debug": True}
    parser = main.make_parser(context)
    _, rest, _ = parser.parse_args(list(arguments))
    while isinstance(group, click.Group):
        name, group, rest = group.resolve_command(context, rest)
        context = click.Context(group, info_name=name, parent=context)
    _, rest, order = group.make_parser(context).parse_args(list(rest))
    return group, {parameter.name for parameter in order}, rest


def test_there_are_commands():
    assert len(COMMANDS) > 80


@pytest.mark.parametrize("page", sorted({page for page, _ in COMMANDS}))
def test_every_command_and_option_exists(page):
    for _, arguments in (each for each in COMMANDS if each[0] == page):
        if not {"--help", "-h"} & set(arguments):
            command, _, rest = parsed(arguments)
            assert isinstance(command, click.Command)
            assert rest == [], arguments


def trainings(page):
    for arguments in commands_of(page):
        demos = arguments[arguments.index("--demos") + 1] if "--demos" in arguments else "pendulum"
        if (
            "train" in arguments
            and "--import" not in arguments
            and not {"--reward", "cuda"} & {*arguments}
            and demos.isalpha()
        ):
            yield arguments


@pytest.mark.parametrize("page", [page for page in PAGES if list(trainings(page))], ids=name_of)
def test_every_training_command_has_settings_that_fit(page, tmp_path, monkeypatch):
    """The command as it is written, up to the training: environment, demonstrations, preset and settings are looked at."""
    monkeypatch.chdir(tmp_path)
    for arguments in trainings(page):
        if any(word.startswith(("Hopper", "HalfCheetah", "Walker2d", "Ant")) for word in arguments):
            pytest.importorskip("mujoco")
        if "--start-from" in arguments:  # the run of an earlier command
            trained = SAC("MlpPolicy", gym.make(arguments[arguments.index("--env") + 1]), buffer_size=1, device="cpu")
            save_policy(trained, tmp_path / arguments[arguments.index("--start-from") + 1] / "policy")
        result = call(*[word for word in arguments if word != "--show-settings"], "--show-settings")
        assert result.exit_code == 0, (arguments, result.stderr)


@pytest.mark.parametrize("page", [page for page in PAGES if python_of(page)], ids=name_of)
def test_python_parses_and_what_it_imports_exists(page):
    for text in python_of(page):
        lines = [line for line in text.splitlines() if not line.startswith((":", "!", "%%"))]
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0].startswith("ganq_irl"):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), (node.module, alias.name)


@pytest.mark.parametrize("page", [page for page in PAGES if page.is_relative_to(DOCS)], ids=name_of)
def test_no_page_is_long(page):
    assert len(page.read_text(encoding="utf-8").split()) <= 1500


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name in GUIDES], ids=name_of)
def test_guides_have_no_seed_numbers(page):
    """Neither "seed 210" nor rows of scores, one for each seed; a command's ``--seed 0`` is code."""
    prose = re.sub(r"```.*?```|`[^`\n]+`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r"\bseeds?[ :=]*\d+", prose, re.IGNORECASE) == []
    assert re.findall(r"-?\d\.\d+(?: -?\d\.\d+){2,}", prose) == []


def test_linked_terms_are_in_the_glossary():
    """The build of the site says so too, but minutes later."""
    listed = (DOCS / "concepts" / "glossary.md").read_text(encoding="utf-8").partition("{glossary}")[2]
    known = {line.lower() for line in re.findall(r"^\S.*$", listed, re.MULTILINE)}
    for page in PAGES:
        for text in re.findall(r"\{term\}`([^`]+)`", page.read_text(encoding="utf-8")):
            shown, _, target = " ".join(text.lower().split()).rstrip(">").partition(" <")
            assert (target or shown) in known, name_of(page)


EXPLAINING = [page for page in PAGES if page.parent.name in GUIDES[:-1] and page.stem != "glossary"]


@pytest.mark.parametrize("page", EXPLAINING, ids=name_of)
def test_terms_are_linked_or_defined_where_they_are_first_used(page):
    assert {term: used[0] for term, used in unexplained(page.read_text(encoding="utf-8")).items()} == {}


def test_a_plain_first_use_is_found():
    """The check itself: code, headings and links do not count as uses, and a link or a definition explains."""
    assert unexplained("# Critics\n\n`critic` and the replay\nbuffers of a {term}`critic`").keys() == {"replay buffer"}
    assert unexplained("A *rollout* is short. A rollout ends. [The logit](x.md) and the logit.") == {}
    assert unexplained("A critic, then a {term}`critic`.").keys() == {"critic"}


def test_every_algorithm_has_a_page():
    names = {path.stem for path in (DOCS / "algorithms").glob("*.md")}
    assert {name.replace("-", "_") for name in (*IMITATION, "gan-q", "gan-q-continuous")} == names - {"index"}


def test_links_between_sources_lead_to_files():
    """What a reader of the repository clicks; the site's own links are checked when it is built."""
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith(("/", "mailto:")) and "_generated" not in target:
                broken += [] if (page.parent / target).exists() else [(name_of(page), target)]
    assert broken == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < 800


def test_the_readme_has_a_moving_picture_with_a_text_and_below_a_megabyte():
    text, path = re.search(
        r"!\[([^\]]+)\]\((docs/images/\w+\.gif)\)", (ROOT / "README.md").read_text(encoding="utf-8")
    ).groups()
    picture = (ROOT / path).read_bytes()
    assert len(text) > 40
    assert len(picture) < 1_000_000
    assert picture.count(b"\x21\xf9\x04") > 20  # one graphic control block for each frame


def typed_tables(text):
    """The tables of a page in which more than a quarter of the cells hold numbers."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        cells = [cell for line in table.splitlines()[2:] for cell in line.strip().strip("|").split("|")]
        if sum(bool(re.search(r"\d", cell)) for cell in cells) > len(cells) / 4:
            yield table


@pytest.mark.parametrize("page", sorted((DOCS / "benchmarks").glob("*.md")), ids=name_of)
def test_tables_of_figures_come_from_committed_files(page):
    text = page.read_text(encoding="utf-8")
    if page.stem != "index":  # its table lists the accounts
        assert list(typed_tables(text)) == []
    for name in re.findall(r"\{result-table\} (\S+)", text):
        source = ROOT / "benchmarks" / "results" / name
        assert source.is_file()
        assert source.suffix == ".md" or source.read_text(encoding="utf-8").startswith("# "), "a first line with its origin"


@pytest.mark.parametrize(
    "page", [page for page in sorted((DOCS / "tutorials").glob("*.md")) if page.stem != "index"], ids=name_of
)
def test_every_tutorial_is_a_notebook(page):
    """The header that MyST-NB executes and that Jupytext converts."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith("---\nfile_format: mystnb\nkernelspec:\n  display_name: Python 3\n  name: python3\n---\n")
    assert "```{code-cell} ipython3\n" in text


def test_the_table_in_the_reference_loads(tmp_path, monkeypatch):
    page = DOCS / "reference" / "formats.md"
    monkeypatch.chdir(tmp_path)
    (table,) = (text for language, text in fences(page) if language == "text" and "," in text)
    Path("rows.csv").write_text(table)
    (arguments,) = (words for words in commands_of(page) if "rows.csv" in words)
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "2 (1 terminated, 1 truncated)" in result.stdout
