"""Imports, file by file: a room imports only from rooms to its left, and no modules import each other in a circle."""

import ast
from functools import cache
from pathlib import Path

import pytest

import ganq_irl

ROOT = Path(__file__).parent.parent
SOURCES = {"ganq_irl": ROOT, "ganq_irl_demos": ROOT / "demos", "ganq_irl_cli": ROOT / "cli"}

LEFT_OF = {
    "types": (),
    "errors": (),
    "budget": ("errors",),
    "parsing": ("errors", "budget"),
    "spaces": ("errors",),
    "space_matrix": ("errors", "spaces"),
    "files": ("errors", "budget", "parsing"),
    "episodes": ("errors",),
    "progress": (),
    "storage": ("errors", "budget", "files"),
    "environments": ("errors",),
}
LEFTMOST = tuple(LEFT_OF)
LEFT_OF |= {
    "discriminator": LEFTMOST,
    "ganq_irl_demos": ("types", "errors", "budget", "parsing", "spaces", "files", "storage", "episodes"),
    "rewards": (*LEFTMOST, "discriminator"),
}
for room in (
    "feedback",
    "networks",
    "generators",
    "accelerated",
    "algorithms",
    "evaluation",
    "runs",
    "studies",
    "ganq_irl_cli",
):
    LEFT_OF[room] = tuple(LEFT_OF)
LEFT_OF["evaluation"] = tuple(room for room in LEFT_OF["evaluation"] if room != "algorithms")
"""For each room, the rooms that it may import from besides itself. ``rewards`` and ``ganq_irl_demos`` stand side by side.
``evaluation`` sees policies only through ``predict``, so it imports no algorithm."""

CODE_RUNNING_READERS = {"pickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}


@cache
def all_modules():
    """Dotted name of every module of the project -> its path."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for name, root in SOURCES.items()
        for path in sorted((root / name).rglob("*.py"))
    }


@cache
def nodes_of(module):
    """The nodes of a module's syntax tree."""
    return list(ast.walk(ast.parse(all_modules()[module].read_text(encoding="utf-8"))))


def for_typing(nodes):
    """The nodes below ``if TYPE_CHECKING``."""
    guards = [node for node in nodes if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"]
    return {node for guard in guards for statement in guard.body for node in ast.walk(statement)}


def room_of(name):
    """``ganq_irl.discriminator.losses`` is in ``discriminator``; None is outside of the project, "" its front door."""
    package, _, rest = name.partition(".")
    if package not in SOURCES:
        return None
    return rest.partition(".")[0] if package == "ganq_irl" else package


def imported_names(nodes, module, is_package=False):
    """Full dotted names that the nodes import."""
    names = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: len(module.split(".")) - node.level + is_package]
                base = ".".join([*parents, base]).rstrip(".")
            if base == "ganq_irl":  # a room, or a name that the front door fetches from one
                names += [f"{ganq_irl._EXPORTS.get(alias.name, f'{base}.{alias.name}')}" for alias in node.names]
            else:
                names += [f"{base}.{alias.name}" for alias in node.names]
    return names


@cache
def imports_of(module, with_typing=True):
    """What a module imports anywhere: at the top, in functions, and, unless told otherwise, for type checking."""
    left_out = set() if with_typing else for_typing(nodes_of(module))
    nodes = [node for node in nodes_of(module) if isinstance(node, ast.Import | ast.ImportFrom) and node not in left_out]
    return imported_names(nodes, module, all_modules()[module].name == "__init__.py")


def modules_of_room(room):
    return [module for module in all_modules() if room_of(module) == room]


def trespasses(module, names):
    """Imports that a module's room may not make."""
    room = room_of(module)
    allowed = {room, None, *LEFT_OF[room]}
    return [name for name in names if room_of(name) not in allowed and name != "ganq_irl.__version__"]


def circle_in(graph):
    """The first circle of a graph, module -> modules, as a path; [] where there is none."""
    done = set()

    def search(path):
        for following in graph[path[-1]]:
            if following in path:
                return [*path[path.index(following) :], following]
            if following not in done and (circle := search([*path, following])):
                return circle
        done.add(path[-1])
        return []

    return next((circle for start in graph if start not in done and (circle := search([start]))), [])


def test_every_room_has_its_place():
    rooms = set(map(room_of, all_modules())) - {""}
    assert rooms <= LEFT_OF.keys(), "a new room: give it a place in LEFT_OF"
    assert {"types", "errors", "budget", "parsing", "spaces", "files", "storage", "environments", "discriminator"} <= rooms


def test_a_room_imports_only_from_its_left():
    found = {module: trespasses(module, imports_of(module)) for module in all_modules() if module != "ganq_irl"}
    assert not {module: names for module, names in found.items() if names}
    assert imports_of("ganq_irl") == ["__future__.annotations", "importlib", "typing.Any"]  # and the rooms on first use


def test_no_modules_import_each_other_in_a_circle():
    """Imports inside functions count; those for type checking alone do not."""
    graph = {}
    for module in all_modules():
        names = imports_of(module, with_typing=False)
        targets = [name if name in all_modules() else name.rpartition(".")[0] for name in names]
        graph[module] = sorted(set(targets) & all_modules().keys() - {module})
    assert not circle_in(graph)


def test_nothing_but_itself_imports_the_accelerated_room():
    """It may be deleted: what it speeds up finds it by name."""
    outside = [module for module in all_modules() if room_of(module) != "accelerated"]
    found = {module: [name for name in imports_of(module) if room_of(name) == "accelerated"] for module in outside}
    assert not {module: names for module, names in found.items() if names}


def test_the_discriminator_knows_torch_and_spaces_only():
    """No env, no policy, no algorithm: of SB3 the preprocessing of spaces and the layers, of Gymnasium the spaces."""
    allowed = {
        "stable_baselines3": ("stable_baselines3.common.preprocessing.", "stable_baselines3.common.torch_layers."),
        "gymnasium": ("gymnasium.spaces",),
        "torch": ("torch",),
        "numpy": ("numpy",),
        "ganq_irl": ("ganq_irl.",),
    }
    standard = {"__future__", "abc", "collections", "contextlib", "copy", "dataclasses", "functools", "math", "typing"}
    names = {(module, name) for module in modules_of_room("discriminator") for name in imports_of(module)}
    assert len(names) > 100
    packages = {(module, name): name.partition(".")[0] for module, name in names}
    foreign = {pair: package for pair, package in packages.items() if package not in standard}
    assert not [pair for pair, package in foreign.items() if not pair[1].startswith(allowed.get(package, ()))]


def test_nothing_that_is_read_may_run_code():
    found = [
        (module, name)
        for module in all_modules()
        for name in imports_of(module)
        if name.partition(".")[0] in CODE_RUNNING_READERS
    ]
    for module in all_modules():
        found += [(module, ast.unparse(node)) for node in nodes_of(module) if unpickles(node)]
    assert not found


def unpickles(node):
    """Whether it is ``torch.load`` or ``allow_pickle`` with anything but False."""
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        return not (isinstance(node.value, ast.Constant) and node.value.value is False)
    return isinstance(node, ast.Attribute) and node.attr == "load" and getattr(node.value, "id", "") == "torch"


# These checks can fail.


@pytest.mark.parametrize("source", ["torch.load(path)", "np.load(path, allow_pickle=True)", "np.load(p, allow_pickle=x)"])
def test_a_reader_that_runs_code_is_seen(source):
    assert any(unpickles(node) for node in ast.walk(ast.parse(source)))


def test_a_circle_is_seen():
    assert circle_in({"a": ["b"], "b": ["c", "d"], "c": [], "d": ["b"]}) == ["b", "d", "b"]
    assert not circle_in({"a": ["b", "c"], "b": ["c"], "c": []})


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ganq_irl.discriminator.losses", "import ganq_irl.rewards.forms"),
        ("ganq_irl.discriminator.losses", "from ganq_irl.algorithms import GAIL"),
        ("ganq_irl.discriminator.losses", "from ganq_irl import rewards"),
        ("ganq_irl.discriminator.losses", "from ganq_irl import GAIL"),
        ("ganq_irl.discriminator.losses", "from ..rewards import forms"),
        ("ganq_irl.discriminator.losses", "from .. import rewards"),
        ("ganq_irl.discriminator.losses", "import ganq_irl_demos"),
        ("ganq_irl.rewards.model", "def f():\n    from ganq_irl_demos import load_demonstrations"),
        ("ganq_irl_demos.loading", "from ganq_irl.discriminator import Loss"),
        ("ganq_irl_demos.loading", "from ganq_irl.environments import register_envs"),
        ("ganq_irl_demos.loading", "if TYPE_CHECKING:\n    from ganq_irl.rewards import RewardModel"),
        ("ganq_irl.evaluation.rollouts", "from ganq_irl.runs.config import Config"),
        ("ganq_irl.runs.runner", "import ganq_irl_cli"),
        ("ganq_irl.runs.runner", "from ganq_irl.studies.results import read"),
        ("ganq_irl.accelerated.ppo", "from ganq_irl.algorithms import GAIL"),
        ("ganq_irl.evaluation.rollouts", "from ganq_irl.algorithms import GAIL"),
        ("ganq_irl.types", "from ganq_irl.errors import GanqIrlError"),
    ],
)
def test_a_trespass_is_seen(module, source):
    assert trespasses(module, imported_names(ast.walk(ast.parse(source)), module))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ganq_irl.discriminator.losses", "from ganq_irl.errors import nearest"),
        ("ganq_irl.discriminator.losses", "from . import penalties\nfrom .networks import Discriminator"),
        ("ganq_irl.algorithms.gail", "import ganq_irl_demos\nfrom ganq_irl.rewards import RewardModel"),
        ("ganq_irl_cli", "from ganq_irl import __version__, GAIL\nimport click"),
    ],
)
def test_an_import_from_the_left_is_none(module, source):
    assert not trespasses(module, imported_names(ast.walk(ast.parse(source)), module))
