"""The imports of every file, held to the picture of the rooms: a room imports only from rooms to its left."""

import ast
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
for room in ("networks", "generators", "accelerated", "algorithms", "evaluation", "runs", "studies", "ganq_irl_cli"):
    LEFT_OF[room] = tuple(LEFT_OF)
LEFT_OF["evaluation"] = tuple(room for room in LEFT_OF["evaluation"] if room != "algorithms")
"""For each room, the rooms that it may import from besides itself. ``rewards`` and ``ganq_irl_demos`` stand side by side.
``evaluation`` sees policies only through ``predict``, so it imports no algorithm."""

CODE_RUNNING_READERS = {"pickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve"}


def all_files():
    return sorted(path for name, root in SOURCES.items() for path in (root / name).rglob("*.py"))


def dotted_name(path):
    root = next(root for name, root in SOURCES.items() if path.is_relative_to(root / name))
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room_of(name):
    """``ganq_irl.discriminator.losses`` is in ``discriminator``; None is outside of the project, "" its front door."""
    package, _, rest = name.partition(".")
    if package not in SOURCES:
        return None
    return rest.partition(".")[0] if package == "ganq_irl" else package


def imported_names(source, module, is_package=False):
    """Full dotted names that a source imports anywhere: at the top, in functions, for type checking."""
    names = []
    for node in ast.walk(ast.parse(source)):
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


def imports_of(path):
    return imported_names(path.read_text(encoding="utf-8"), dotted_name(path), path.name == "__init__.py")


def trespasses(module, names):
    """Imports that a module's room may not make."""
    room = room_of(module)
    allowed = {room, None, *LEFT_OF[room]}
    return [name for name in names if room_of(name) not in allowed and name != "ganq_irl.__version__"]


def test_every_room_has_its_place():
    rooms = {room_of(dotted_name(path)) for path in all_files()} - {""}
    assert rooms <= LEFT_OF.keys(), "a new room: give it a place in LEFT_OF"
    assert {"types", "errors", "budget", "parsing", "spaces", "files", "storage", "environments", "discriminator"} <= rooms


@pytest.mark.parametrize("path", all_files(), ids=dotted_name)
def test_a_room_imports_only_from_its_left(path):
    if dotted_name(path) == "ganq_irl":
        assert imports_of(path) == ["__future__.annotations", "importlib", "typing.Any"]  # and the rooms on first use
    else:
        assert not trespasses(dotted_name(path), imports_of(path))


def test_nothing_but_itself_imports_the_accelerated_room():
    """It may be deleted: what it speeds up finds it by name."""
    importers = {
        dotted_name(path): names
        for path in all_files()
        if (names := [name for name in imports_of(path) if room_of(name) == "accelerated"])
        and room_of(dotted_name(path)) != "accelerated"
    }
    assert not importers


@pytest.mark.parametrize("path", [p for p in all_files() if room_of(dotted_name(p)) == "discriminator"], ids=dotted_name)
def test_the_discriminator_knows_torch_and_spaces_only(path):
    """No env, no policy, no algorithm: of SB3 the preprocessing of spaces and the layers, of Gymnasium the spaces."""
    allowed = {
        "stable_baselines3": ("stable_baselines3.common.preprocessing.", "stable_baselines3.common.torch_layers."),
        "gymnasium": ("gymnasium.spaces",),
        "torch": ("torch",),
        "numpy": ("numpy",),
        "ganq_irl": ("ganq_irl.",),
    }
    standard = {"__future__", "abc", "collections", "contextlib", "copy", "dataclasses", "functools", "math", "typing"}
    for name in imports_of(path):
        package = name.partition(".")[0]
        assert package in standard or name.startswith(allowed.get(package, ())), name


@pytest.mark.parametrize("path", all_files(), ids=dotted_name)
def test_nothing_that_is_read_may_run_code(path):
    assert not {name.partition(".")[0] for name in imports_of(path)} & CODE_RUNNING_READERS
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr == "load" and isinstance(node.value, ast.Name):
            assert node.value.id != "torch", "torch.load unpickles"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False


# The reader of imports can fail.


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
    assert trespasses(module, imported_names(source, module))


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
    assert not trespasses(module, imported_names(source, module))
