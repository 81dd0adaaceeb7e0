"""Measure the time of `ganq-irl --help`: the median of several starts, after one that warms the disk cache.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

from common import versions, write_markdown

STARTS = 20


def seconds(arguments: list[str]) -> float:
    """Return the wall time of a command."""
    start = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    lines = ["# Start-up", "", "| command | median of 20 starts, s | slowest |", "|---|---|---|"]
    for command in (["ganq-irl", "--help"], ["ganq-irl", "train", "--help"], ["ganq-irl", "demos", "list", "--help"]):
        seconds(command)
        times = [seconds(command) for _ in range(STARTS)]
        lines.append(f"| `{' '.join(command)}` | {statistics.median(times):.3f} | {max(times):.3f} |")
    write_markdown(Path("benchmarks/results/startup.md"), [*lines, "", versions("python benchmarks/startup.py")])


if __name__ == "__main__":
    main()
