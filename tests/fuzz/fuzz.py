"""Fuzz readers, guided by coverage, for a bounded time. Linux, with `pip install atheris`.

    PYTHONPATH=.:cli:demos python tests/fuzz/fuzz.py npz csv --seconds 120 --findings fuzz-findings

Each reader in turn, in a process of its own; all of them where none is named. Every finding is kept as the few bytes that
repeat it, beside its traceback, one for each place that it comes from:

    PYTHONPATH=.:cli:demos python tests/fuzz/fuzz.py npz --repeat fuzz-findings/npz-1
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ganq_irl", "ganq_irl_demos"]):
    from tests.fuzz.readers import READERS
    from tests.fuzz.trial import TookTooLong, attempt, samples


def main() -> None:
    """Fuzz the readers that the command line names, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--seconds", type=int, default=60, help="for each reader")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--repeat", type=Path, help="run these bytes alone, and let the error through")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    if unknown := set(arguments.readers) - set(READERS):
        parser.error(f"no reader is called {min(unknown)!r}")
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    failed = []
    for name in arguments.readers or READERS:
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as scratch:
            child = multiprocessing.get_context("fork").Process(target=fuzz, args=(name, arguments, Path(scratch)))
            child.start()  # libFuzzer ends the process that it runs in
            child.join()
        if child.exitcode:
            failed.append(name)
    if failed:
        sys.exit(f"ended badly: {', '.join(failed)}")


def fuzz(name: str, arguments: argparse.Namespace, scratch: Path) -> None:
    """Fuzz one reader, or repeat one finding."""
    valid = samples(name, scratch / "samples")
    if arguments.repeat:
        print(attempt(name, valid, arguments.repeat.read_bytes(), scratch / "trial") or "a valid object")
        return
    Fuzzing(name, arguments, valid, scratch).run()


class Fuzzing:
    """Trials and what they found."""

    def __init__(self, name: str, arguments: argparse.Namespace, valid: list[Path], scratch: Path) -> None:
        self.name, self.valid, self.scratch = name, valid, scratch
        self.folder, self.seconds = arguments.findings, arguments.seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        self.places: Counter[str] = Counter()
        self.counts = {"runs": 0, "refused": 0, "valid": 0, "slowest": 0.0}
        self.begun = self.told = time.monotonic()

    def run(self) -> None:
        """Fuzz until the time is over, which ends the process."""
        corpus = self.scratch / "corpus"
        corpus.mkdir()
        flags = [f"-max_total_time={self.seconds}", "-rss_limit_mb=8000", "-max_len=256", "-timeout=60", "-verbosity=0"]
        flags.append("-report_slow_units=1000")
        atheris.Setup([sys.argv[0], *flags, str(corpus)], self.trial)
        atheris.Fuzz()

    def trial(self, data: bytes) -> None:
        """One trial, counted."""
        start = time.monotonic()
        try:
            error = attempt(self.name, self.valid, data, self.scratch / "trial")
            self.counts["refused" if error else "valid"] += 1
        except (Exception, TookTooLong) as error:
            self.keep(data, error)
        self.counts["runs"] += 1
        now = time.monotonic()
        self.counts["slowest"] = max(self.counts["slowest"], round(now - start, 3))
        if now - self.told > 5:
            self.told = now
            self.tell()

    def keep(self, data: bytes, error: BaseException) -> None:
        """Keep a finding, the first of each place."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ganq_irl" in frame.filename]
        place = f"{type(error).__name__} {frames[-1].filename}:{frames[-1].lineno}" if frames else repr(error)[:200]
        self.places[place] += 1
        if self.places[place] == 1:
            path = self.folder / f"{self.name}-{len(self.places)}"
            path.write_bytes(data)
            path.with_suffix(".txt").write_text("".join(traceback.format_exception(error)))
            self.tell()

    def tell(self) -> None:
        """Write the counts."""
        counts = {"reader": self.name, **self.counts, "seconds": round(time.monotonic() - self.begun)}
        (self.folder / f"{self.name}.json").write_text(json.dumps({**counts, "findings": dict(self.places)}, indent=2))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
