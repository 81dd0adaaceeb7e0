"""Count how many of a hundred small faults in ``discriminator/`` and ``rewards/`` the tests of these packages find.

A mutant is the code with one small fault: another comparison, + instead of -, another constant, a missing negation, two
swapped arguments, a missing call. Mutants are sampled with a seed. Each is tried in a copy of the repository with the tests
that run its line, until one fails: first those of the corresponding test file, then the others, fastest first. ``--share``
limits them to a share of the time of all tests. A mutant that exceeds its time limit counts as killed. A line that only runs
at import (a default, a class attribute) is tried with every test that runs a line of its file.

``--before`` names the .csv of an earlier run, whose mutants are used instead of new ones. Killed ones are not tried again,
since tests have only been added. ``--coverage`` names a file that stores the measured coverage for reuse.

uv run --with coverage python benchmarks/mutants.py [--before earlier.csv]
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import versions, write_markdown

ROOMS = ("discriminator", "rewards")
TESTS = (
    "tests/discriminator",
    "tests/rewards",
    "tests/contracts/test_losses_contract.py",
    "tests/contracts/test_stabilizers_contract.py",
)
COPIED = ("ganq_irl", "cli", "demos", "tests", "pyproject.toml", "README.md")
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult, ast.FloorDiv: ast.Mult,
}  # fmt: skip
IMPORTED_ONCE = (
    "gymnasium",
    "hypothesis",
    "imitation.rewards.reward_nets",
    "pytest",
    "safetensors.torch",
    "scipy.stats",
    "torch",
)
"""Packages that the parent process imports for its children; none are ours."""
SYMMETRIC = {"isinstance", "getattr", "hasattr", "max", "min"}
"""Calls whose swapped arguments change nothing, or fail at once."""


@dataclass
class Fault:
    """A way to change a node."""

    node: Any
    what: str
    apply: Callable[[], None]


def faults(node: ast.AST) -> Iterator[Fault]:
    """Yield every fault below ``node``, in the order of the source; types, messages and imports have none."""
    children: Iterable[ast.AST | None] = ast.iter_child_nodes(node)
    match node:
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom() | ast.Raise() | ast.Expr(value=ast.Constant()):
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return
        case ast.FunctionDef():
            children = [*node.args.defaults, *node.args.kw_defaults, *node.body]
        case ast.ClassDef():
            children = node.body
        case ast.AnnAssign():
            children = [node.value]
    yield from own_faults(node)
    for child in children:
        if child is not None:
            yield from faults(child)


def own_faults(node: Any) -> Iterator[Fault]:
    """Yield the faults of this node only."""

    def change(what: str, **values: Any) -> Fault:
        return Fault(node, what, lambda: [setattr(node, name, value) for name, value in values.items()] and None)

    match node:
        case ast.If() if not isinstance(node.test, ast.Compare | ast.UnaryOp):
            yield change("condition negated", test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Expr(value=ast.Call()):
            yield change("call left out", value=ast.Constant(None))
        case ast.Compare():
            other = COMPARISONS[type(node.ops[0])]
            yield change(f"{type(node.ops[0]).__name__} -> {other.__name__}", ops=[other(), *node.ops[1:]])
        case ast.BinOp() if type(node.op) in OPERATORS:
            operator = OPERATORS[type(node.op)]
            yield change(f"{type(node.op).__name__} -> {operator.__name__}", op=operator())
        case ast.BoolOp():
            either = ast.Or if isinstance(node.op, ast.And) else ast.And
            yield change(f"{type(node.op).__name__} -> {either.__name__}", op=either())
        case ast.UnaryOp(op=ast.USub()):
            yield change("minus dropped", op=ast.UAdd())
        case ast.UnaryOp(op=ast.Not()):
            yield change("not dropped", operand=ast.UnaryOp(ast.Not(), node.operand))
        case ast.Constant(value=bool()):
            yield change(f"{node.value} -> {not node.value}", value=not node.value)
        case ast.Constant(value=int() | float()):
            changed = node.value + 1 if isinstance(node.value, int) or node.value == 0 else 2 * node.value
            yield change(f"{node.value} -> {changed}", value=changed)
        case ast.Call(args=[first, second, *others]) if _can_swap(node):
            yield change(f"arguments of {_name(node)} swapped", args=[second, first, *others])


def _can_swap(call: ast.Call) -> bool:
    given = call.args[:2]
    return _name(call) not in SYMMETRIC and not any(isinstance(each, ast.Starred | ast.Constant) for each in given)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


@dataclass
class Mutant:
    """A fault by its place in a file, and the result of trying it."""

    file: str
    index: int
    line: int
    lines: range  # lines of its statement, or of the head of its block
    what: str
    code: str
    nth: int  # index among equal faults of equal code in the file
    tests: list[list[str]] = field(default_factory=list)
    outcome: str = ""
    by: str = ""
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, ...]:
        """Key of the mutant in a .csv, which does not depend on its line number."""
        return self.file, self.code, str(self.nth), self.what

    def source(self, text: str) -> str:
        """Return the file with the fault in it."""
        tree = ast.parse(text)
        list(faults(tree))[self.index].apply()
        return ast.unparse(ast.fix_missing_locations(tree))


def mutants(root: Path) -> Iterator[Mutant]:
    """Yield every mutant of the packages."""
    for room in ROOMS:
        for path in sorted((root / "ganq_irl" / room).rglob("*.py")):
            tree = ast.parse(path.read_text())
            statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
            ends = ((s.lineno, s.body[0].lineno - 1 if getattr(s, "body", None) else s.end_lineno) for s in statements)
            spans = sorted((start, max(start, end or start)) for start, end in ends)
            seen = Counter[tuple[str, str]]()
            for index, fault in enumerate(faults(tree)):
                line, code = fault.node.lineno, ast.unparse(fault.node).partition("\n")[0]
                seen[code, fault.what] += 1
                start, end = max(span for span in spans if span[0] <= line)
                lines, nth = range(start, end + 1), seen[code, fault.what]
                yield Mutant(str(path.relative_to(root)), index, line, lines, fault.what, code, nth)


class Watch:
    """A pytest plugin that records the duration of each test and the first failure, and names tests for ``coverage``."""

    def __init__(self, coverage: Any = None) -> None:
        self.coverage, self.seconds, self.failed = coverage, Counter[str](), ""

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Start a test: everything that runs from here on belongs to it."""
        if self.coverage:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Record a phase of a test."""
        self.seconds[report.nodeid] += report.duration
        if report.failed and not self.failed:
            self.failed = report.nodeid


def forked(root: Path, work: Callable[[], str], limit: float) -> str:
    """Return what ``work`` returns in a child process in ``root``, or "time limit" after ``limit`` seconds."""
    answer = root / "answer.txt"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.chdir(root)
            sys.path[:0] = [str(root), str(root / "cli"), str(root / "demos")]
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            answer.write_text(work())
        finally:
            os._exit(0)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return answer.read_text() if answer.exists() else "does not start"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "time limit"


def run_tests(watch: Watch, tests: Iterable[str]) -> int:
    """Return pytest's exit code."""
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests], plugins=[watch]))


@dataclass
class Measured:
    """Results of a run of all tests: tests by file and line, seconds by test, and a description of the coverage."""

    lines: dict[str, dict[int, set[str]]]
    seconds: dict[str, float]
    covered: str


def measure(root: Path) -> dict[str, Any]:
    """Run all tests under coverage."""

    def work() -> str:
        import coverage

        measured = coverage.Coverage(source=[f"ganq_irl/{room}" for room in ROOMS], branch=True, data_file=None)
        measured.start()
        watch = Watch(measured)
        code = run_tests(watch, TESTS)
        measured.stop()
        measured.json_report(outfile="coverage.json")
        data = measured.get_data()
        lines = {str(Path(file).relative_to(root)): data.contexts_by_lineno(file) for file in data.measured_files()}
        return json.dumps({"code": code, "failed": watch.failed, "lines": lines, "seconds": watch.seconds})

    found = json.loads(forked(root, work, 3600))
    if found["code"]:
        raise SystemExit(f"the tests fail without a mutant: {found['failed']}")
    return {**found, "totals": json.loads((root / "coverage.json").read_text())["totals"]}


def read_measured(found: dict[str, Any]) -> Measured:
    """Turn the JSON of ``measure`` into sets."""
    totals = found["totals"]
    branches = f"{totals['covered_branches']} of {totals['num_branches']} branches"
    covered = f"{branches} and {totals['covered_lines']} of {totals['num_statements']} lines"
    lines = {
        file: {int(line): {test for test in tests if test} for line, tests in by_line.items()}
        for file, by_line in found["lines"].items()
    }
    return Measured(lines, found["seconds"], covered)


def choose_tests(mutant: Mutant, measured: Measured, share: float) -> list[list[str]]:
    """Return the tests to try: those of the corresponding file, then as many others as fit into the share of time."""
    lines, seconds = measured.lines.get(mutant.file, {}), measured.seconds
    tests = set[str]().union(*(lines.get(line, set()) for line in mutant.lines)) or set[str]().union(*lines.values())
    ordered = sorted(tests, key=lambda test: (seconds[test], test))
    stem, left, chosen = Path(mutant.file).stem, share * sum(seconds.values()), []
    for test in ordered:
        left -= seconds[test]
        if left > 0:
            chosen.append(test)
    mirrors = [test for test in chosen if stem in test.partition("::")[0]]
    return [mirrors, [test for test in chosen if test not in set(mirrors)]]


def try_mutant(root: Path, mutant: Mutant, seconds: dict[str, float]) -> None:
    """Run the mutant's tests on it and record the result."""
    path = root / mutant.file
    text = path.read_text()
    limit = 120 + 5 * sum(seconds[test] for tests in mutant.tests for test in tests)

    def work() -> str:
        watch = Watch()
        codes = (run_tests(watch, tests) for tests in mutant.tests if tests)
        failed = any(codes)
        return watch.failed or ("does not start" if failed else "survived")

    start = time.monotonic()
    try:
        path.write_text(mutant.source(text))
        answer = forked(root, work, limit)
    finally:
        path.write_text(text)
    mutant.seconds = time.monotonic() - start
    mutant.outcome, mutant.by = ("survived", "") if answer == "survived" else ("killed", answer)


def write_page(chosen: list[Mutant], before: dict[tuple[str, ...], str], total: int, covered: str, out: Path) -> None:
    """Write the .csv and the page beside it."""
    with out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "code", "nth", "fault", "line", "outcome", "killed by", "seconds"])
        writer.writerows([*m.key, m.line, m.outcome, m.by, f"{m.seconds:.1f}"] for m in chosen)
    rows = defaultdict(list)
    for mutant in chosen:
        rows[mutant.file].append(mutant.outcome)
    page = ["# Mutants", "", *(__doc__ or "").splitlines()[2:8], ""]
    page += [f"Drawn: {len(chosen)} of {total}. Killed: **{sum(m.outcome == 'killed' for m in chosen)}**."]
    if before:
        killed, gone = list(before.values()).count("killed"), len(before) - len(chosen)
        page += [f"Before: **{killed}** of {len(before)}, of which {gone} stood in code that is gone or has changed."]
    page += ["", f"The tests cover {covered} of the two rooms.", "", "| file | mutants | killed |", "|---|---|---|"]
    page += [f"| `{file}` | {len(outcomes)} | {outcomes.count('killed')} |" for file, outcomes in sorted(rows.items())]
    page += ["", "Survivors:", "", "| file | line | fault |", "|---|---|---|"]
    page += [f"| `{m.file}` | {m.line} | {m.what} in `{m.code}` |" for m in chosen if m.outcome != "killed"]
    write_markdown(out, [*page, "", versions("python benchmarks/mutants.py")])


def read_before(path: Path | None) -> dict[tuple[str, ...], str]:
    """Read the outcomes of an earlier run."""
    if path is None:
        return {}
    with path.open() as file:
        return {
            tuple(row[name] for name in ("file", "code", "nth", "fault")): row["outcome"] for row in csv.DictReader(file)
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=27)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.2, help="maximum share of the time of all tests for one mutant")
    parser.add_argument("--before", type=Path, help="the .csv of an earlier run")
    parser.add_argument("--coverage", type=Path, help="file that stores the measured coverage for reuse")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/mutants.md"))
    arguments = parser.parse_args()
    before = read_before(arguments.before)
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for name in COPIED:
            (shutil.copytree if Path(name).is_dir() else shutil.copy)(name, root / name)
        every = list(mutants(root))
        drawn = random.Random(arguments.seed).sample(every, arguments.count)
        chosen = [mutant for mutant in every if mutant.key in before] if before else drawn
        kept = arguments.coverage
        found = json.loads(kept.read_text()) if kept and kept.exists() else measure(root)
        if kept:
            kept.write_text(json.dumps(found))
        measured = read_measured(found)
        for number, mutant in enumerate(chosen, 1):
            if before.get(mutant.key) == "killed":
                mutant.outcome, mutant.by = "killed", "before"
            else:
                mutant.tests = choose_tests(mutant, measured, arguments.share)
                try_mutant(root, mutant, measured.seconds)
            print(f"{number}: {mutant.file}:{mutant.line} {mutant.what}: {mutant.outcome} {mutant.by}", flush=True)
    chosen.sort(key=lambda mutant: (mutant.file, mutant.index))
    write_page(chosen, before, len(every), measured.covered, arguments.out)


if __name__ == "__main__":
    main()
