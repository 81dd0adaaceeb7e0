"""Progress bars on stderr."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def make_progress_bar(**options: Any) -> tqdm:
    """Return a tqdm bar on stderr that redraws often on a terminal and rarely in a log file.

    Args:
        options: passed on to ``tqdm``, such as ``total``, ``desc`` and ``unit``.
    """
    return tqdm(file=sys.stderr, mininterval=0.1 if sys.stderr.isatty() else 10.0, **options)
