"""Train every algorithm in every space that the matrix allows, and write the matrix with its messages.

    python benchmarks/space_matrix.py [FILE]

Each cell is trained for 32 steps (BC: 4 updates), acts, and is saved and loaded again. The exit code is 1 if one fails.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "contracts")]

import gymnasium  # noqa: E402  after the path
import stable_baselines3  # noqa: E402

from ganq_irl.space_matrix import why_not  # noqa: E402
from tests.contracts.space_examples import ROWS, cells, train  # noqa: E402

HEADER = """# The space matrix

Every algorithm (with its generator after the +) in every space, once as the observation and once as the action space. ✓: a
training of 32 steps (BC: 4 updates) ran, and its policy acted and came back from a file. A number: the sentence below, which
`ganq-irl train`, the constructors and, for all generators, `ganq-irl demos check` answer instead. Where a column is about
observations, actions are Discrete(3), or Box(-1, 1, (3,)) for those that act in a Box alone.

Written by `python benchmarks/space_matrix.py` on {python}, gymnasium {gymnasium}, Stable-Baselines3 {sb3}, in {minutes:.0f}
minutes; {trained} cells trained, {refused} answered by a sentence, {failed} failed.
"""


def main(path: Path) -> int:
    """Train, write the tables, and return whether everything succeeded."""
    start, sentences, failures = time.perf_counter(), dict[str, int](), list[str]()
    columns: dict[str, dict[tuple[str, str], str]] = {}
    for algo, name in ROWS:
        label = algo if name in (algo, None) else f"{algo}+{name}"
        column = columns[label] = {}
        for kind, key, observation_space, action_space in cells(algo, name):
            reason = why_not(algo, observation_space, action_space, name)
            if reason is not None:
                column[kind, key] = str(sentences.setdefault(reason, len(sentences) + 1))
                continue
            column[kind, key] = "✓"
            try:
                with tempfile.TemporaryDirectory() as folder:
                    train(algo, observation_space, action_space, Path(folder) / "policy", name)
            except Exception as error:  # any error is a finding
                column[kind, key] = "failed"
                failures.append(f"{label}, {kind}, {key}: {type(error).__name__}: {error}")
        print(label, f"{time.perf_counter() - start:.0f} s", *failures, file=sys.stderr)
    marks = [mark for column in columns.values() for mark in column.values()]
    lines = [
        HEADER.format(
            python=f"Python {platform.python_version()}",
            gymnasium=gymnasium.__version__,
            sb3=stable_baselines3.__version__,
            minutes=(time.perf_counter() - start) / 60,
            trained=marks.count("✓"),
            refused=len(marks) - marks.count("✓") - len(failures),
            failed=len(failures),
        )
    ]
    for kind in ("observations", "actions"):
        lines += [f"## As {kind}\n", f"| space | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
        for key in dict.fromkeys(key for column in columns.values() for which, key in column if which == kind):
            lines.append(f"| {key} | {' | '.join(column[kind, key] for column in columns.values())} |")
        lines.append("")
    lines += ["## The sentences\n", *(f"{number}. {sentence}" for sentence, number in sentences.items())]
    lines += [f"\nFailed: {failure}" for failure in failures]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if failures else 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "benchmarks" / "results" / "space-matrix.md"))
