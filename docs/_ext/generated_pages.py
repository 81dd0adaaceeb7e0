"""Write the pages that repeat the code: settings, presets, the API, and the committed results. Nothing in them is typed."""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from sphinx.application import Sphinx

from _ext import figures
from _ext.rooms import ROOMS, SHARED_NAMES, public_names
from ganq_irl.algorithms import BC
from ganq_irl.discriminator.losses import LOSSES
from ganq_irl.discriminator.stabilizers import STABILIZERS
from ganq_irl.generators.options import meanings_of
from ganq_irl.runs import validation
from ganq_irl.runs.config import EvaluationConfig, ExperimentConfig
from ganq_irl.runs.presets import load_presets
from ganq_irl.space_matrix import IMITATION

DOCS = Path(__file__).parents[1]
RESULTS = DOCS.parent / "benchmarks" / "results"
GENERATED = DOCS / "_generated"


def write(name: str, *parts: str) -> None:
    """Write a page, unless it is the same already: Sphinx then reads only what changed."""
    path, text = GENERATED / name, "\n\n".join(parts) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def value(of: Any) -> str:
    """Return a default as a reader would write it in TOML."""
    if of is None or of is dataclasses.MISSING or of is inspect.Parameter.empty:
        return ""
    if isinstance(of, Mapping):
        return "{" + ", ".join(f"{key} = {value(entry)}" for key, entry in of.items()) + "}"
    if isinstance(of, list | tuple):
        return "[" + ", ".join(value(entry) for entry in of) + "]"
    if callable(of):
        return value(vars(of)) if hasattr(of, "__dict__") else first_line(of)
    return tomli_w.dumps({"x": of}).removeprefix("x = ").strip()


def table(prefix: str, defaults: Mapping[str, Any], meanings: Mapping[str, str]) -> str:
    """Return a table of settings: name, default, meaning."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, default in defaults.items():
        told = value(default)
        meaning = meanings.get(name, "").replace("``", "`").replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {f'`{told}`' if told else ''} | {meaning} |")
    return "\n".join(rows)


def defaults_of(cls: Any) -> dict[str, Any]:
    """Return the fields of a dataclass with their defaults."""
    made = {field.name: field.default_factory for field in dataclasses.fields(cls)}
    plain = {field.name: field.default for field in dataclasses.fields(cls)}
    return {name: plain[name] if made[name] is dataclasses.MISSING else None for name in plain}


def settings_of(algo: str) -> str:
    """Return the table of an imitation algorithm's own settings."""
    cls = type(validation.settings_of(algo, {}))
    values, meanings = {"n_updates": validation.DEFAULT_UPDATES} | defaults_of(cls), meanings_of(BC.train) | meanings_of(cls)
    defaults = {name: values[name] for name in validation.table_hints(algo)}
    return table(f"{validation.table_of(algo)}.", defaults, meanings)


def own_keywords(cls: Any) -> str:
    """Return the table of a generator's keywords, with those that its docstring describes."""
    meanings = meanings_of(cls)
    parameters = inspect.signature(cls).parameters
    return table("generator_kwargs.", {name: parameters[name].default for name in parameters if name in meanings}, meanings)


def first_line(of: Any) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(of) or "").partition("\n")[0]


def settings_pages() -> None:
    """Write the page of all settings, and a snippet for each algorithm's page."""
    run = {name: default for name, default in defaults_of(ExperimentConfig).items() if name != "evaluation"}
    parts = [
        "# Settings",
        "Every setting of a run. Give one on the command line with `--set NAME=VALUE`, or in the file of `--config`. "
        "`ganq-irl train ALGO --env ID --show-settings` prints the values that a run would use.",
        "## Run",
        table("", run, meanings_of(ExperimentConfig)),
        "## Evaluation",
        table("evaluation.", defaults_of(EvaluationConfig), meanings_of(EvaluationConfig)),
    ]
    for algo in IMITATION:
        snippet = settings_of(algo)
        write(f"include/settings-{algo}.md", snippet)
        parts += [f"(settings-{algo})=", f"## {algo}", snippet]
    for algo in ("gan-q", "gan-q-continuous"):
        from ganq_irl.algorithms import GANQ, ContinuousGANQ

        snippet = own_keywords({"gan-q": GANQ, "gan-q-continuous": ContinuousGANQ}[algo])
        write(f"include/settings-{algo}.md", snippet)
        parts += [f"(settings-{algo})=", f"## {algo}", snippet]
    parts += ["## Losses", "Names for `adversary.loss`.", named_classes(LOSSES)]
    parts += ["## Stabilizers", 'Names for `adversary.stabilizers`, such as `["spectral-norm", {name = "r1", weight = 5}]`.']
    write("settings.md", *parts, named_classes(STABILIZERS))


def named_classes(registry: Mapping[str, Any]) -> str:
    """Return a table of registered dataclasses: name, what it is, its settings with defaults."""
    rows = ["| name | what it is | settings |", "|---|---|---|"]
    for name, cls in registry.items():
        fields = {key: default for key, default in defaults_of(cls).items() if not key.startswith("_")}
        settings = ", ".join(f"`{key} = {value(default)}`" for key, default in fields.items())
        rows.append(f"| `{name}` | {first_line(cls).replace('``', '`').replace('|', chr(92) + '|')} | {settings} |")
    return "\n".join(rows)


def preset_pages() -> None:
    """Write the page of all presets, by environment."""
    presets = load_presets()
    parts = [
        "# Presets",
        "A preset holds settings that were tested. `train` picks the one that fits algorithm, environment and generator; "
        "`--preset NAME` names another one, and `--preset none` uses none. `ganq-irl presets show NAME` prints one.",
    ]
    for env in sorted({preset["env"] for preset in presets.values()}):
        parts.append(f"## {env}")
        for name, preset in presets.items():
            if preset["env"] == env:
                parts += [f"### {name}", f"```toml\n{tomli_w.dumps(preset).strip()}\n```"]
    write("presets.md", *parts)


def api_pages() -> None:
    """Write a page for each room; a name is described where it is first met and linked from elsewhere."""
    seen: dict[Any, str] = {}
    for room, (what, _) in ROOMS.items():
        module, parts, elsewhere = importlib.import_module(room), [f"# {room}", what], []
        for name in public_names(room):
            of = getattr(module, name)
            if of in seen:
                elsewhere.append(f"{{py:obj}}`{name} <{seen[of]}>`")
                continue
            seen[of] = f"{room}.{name}"
            kind = "autoclass" if inspect.isclass(of) else "autofunction"
            options = "   :members:\n   :show-inheritance:\n" if kind == "autoclass" else ""
            parts.append(f"## {name}\n\n```{{eval-rst}}\n.. {kind}:: {room}.{name}\n{options}```")
        if elsewhere:
            parts.append(f"Also here: {', '.join(elsewhere)}.")
        write(f"api/{room}.md", *parts)
    toctree = "\n".join(room for room in ROOMS)
    shared = SHARED_NAMES.read_text(encoding="utf-8").partition('"""\n\n')[2]
    write(
        "api/index.md",
        "# Python",
        "Every public class and function, each with an example. The examples run as tests.",
        f"```{{toctree}}\n:maxdepth: 1\n\n{toctree}\n```",
        "## Names in the examples",
        "An example may use each public name of its package, and these:",
        f"```python\n{shared}```",
    )


def result_pages() -> None:
    """Copy the committed results, so that every figure of the site is one click away."""
    names = []
    for path in sorted(RESULTS.rglob("*.md")):
        name = path.relative_to(RESULTS).with_suffix("").as_posix()
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"^---$.*?^---$\n", "", text, count=1, flags=re.MULTILINE | re.DOTALL)
        text = text if re.match(r"\s*# ", text) else f"# {name}\n\n{text}"
        text = re.sub(r"\]\((?:\.\./)*docs/", "](/", text)
        text = re.sub(r"\[([^]]+)\]\([^)/]+\.csv\)", r"\1", text)  # tables of numbers stay in the repository
        write(f"results/{name}.md", text)
        names.append(name)
    listing = "\n".join(names)
    write(
        "results/index.md",
        "# Result files",
        "The files of `benchmarks/results/`, as the benchmarks wrote them: every seed, the command, and the versions.",
        f"```{{toctree}}\n:maxdepth: 1\n\n{listing}\n```",
    )


def changelog_page() -> None:
    """Copy the changelog, with links that lead into the site."""
    text = (DOCS.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    text = re.sub(
        r"\]\((?:docs/(?=\w)|(benchmarks/results/))", lambda found: "](/_generated/results/" if found[1] else "](/", text
    )
    write("changelog.md", text)


def write_all(app: Sphinx) -> None:
    """Write all pages before Sphinx looks for sources."""
    settings_pages()
    preset_pages()
    api_pages()
    result_pages()
    changelog_page()
    figures.draw_all(GENERATED / "figures")


def link_results(app: Sphinx, name: str, source: list[str]) -> None:
    """Lead links to result files, which work in the repository, to their copies in the site."""
    source[0] = re.sub(r"\]\((?:\.\./)*benchmarks/results/", "](/_generated/results/", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both steps."""
    app.connect("builder-inited", write_all)
    app.connect("source-read", link_results)
    return {"parallel_read_safe": True}
