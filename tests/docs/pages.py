"""The pages of the documentation, and the code in them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [path for path in sorted(DOCS.rglob("*.md")) if not path.relative_to(DOCS).parts[0].startswith("_")]
GUIDES = ("get_started", "tutorials", "how_to", "concepts", "algorithms", "reference")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def fences(path):
    """Language and text of each fenced block of a page."""
    text = path.read_text(encoding="utf-8")
    return re.findall(r"^ *(?:```|:::)(?!`)([^\n]*)\n(.*?)^ *(?:```|:::)$", text, re.MULTILINE | re.DOTALL)


def python_of(path):
    return [text for language, text in fences(path) if language == "python" or language.startswith("{code-cell}")]


def commands_of(path):
    """The arguments of every `ganq-irl` command in the shell blocks of a page."""
    found = []
    for language, text in fences(path):
        if language not in ("", "console"):
            continue
        for line in re.sub(r"\\\n\s*", " ", text).splitlines():
            if "ganq-irl " not in line:
                continue
            words = shlex.split(line.strip().removeprefix("$ "), comments=True)
            if "ganq-irl" in words and not any(word.startswith("<") or word == "..." for word in words):
                found.append(words[words.index("ganq-irl") + 1 :])
    return found


EVERYDAY = {"score", "run", "real", "fake", "round", "control", "demonstration", "extra", "AIRL, GAIL, DAC"}
MARKUP = re.compile(
    r"\A---\n.*?\n---\n|^ *(?P<fence>```+|~~~).*?^ *(?P=fence)$|^:::.*?$|^:\w+:.*?$|^#.*?$|\$\$.*?\$\$|\$[^$\n]+\$"
    r"|(?P<explained>\{term\}`[^`]+`|!?\[[^\]]*\]\([^)]*\)|(?<!\w)\*{1,2}(?! )[^*]+\*{1,2})|\{\w+\}`[^`]+`|`[^`]+`",
    re.MULTILINE | re.DOTALL,
)


def glossary():
    """The glossary's terms, without everyday words."""
    text = (DOCS / "concepts" / "glossary.md").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^(\w.*)$", text.partition("{glossary}\n")[2], re.MULTILINE)) - EVERYDAY)


def pattern_of(term):
    """A regular expression for a term and its plural."""
    forms = rf"{re.escape(term[:-1])}(?:y|ies)" if term.endswith("y") else rf"{re.escape(term)}(?:s|es)?"
    return re.compile(rf"(?<![\w/-]){forms}(?![\w/-])".replace(r"\ ", r"\s+"), re.IGNORECASE)


def unexplained(text):
    """The terms of the glossary whose first use in a page is neither a link nor a definition, with the place."""
    found = {}
    for term in glossary():
        pattern, start = pattern_of(term), 0
        for markup in [*MARKUP.finditer(text), None]:
            end = len(text) if markup is None else markup.start()
            if used := pattern.search(text, start, end):
                found[term] = used
                break
            if markup is not None and markup["explained"] and pattern.search(markup["explained"]):
                break
            start = end if markup is None else markup.end()
    return found
