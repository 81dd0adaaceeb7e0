"""Draw the segments of a pair as clips."""

from __future__ import annotations

import io
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ganq_irl.feedback.comparisons import Comparisons
from ganq_irl_demos import Demonstrations, Trajectory
from ganq_irl_demos.trajectories import named_arrays

MAX_LINES = 12
"""Maximum number of lines in a plot; more are hard to tell apart."""

_KEPT = 8  # clips in memory


class PairClips:
    """Draws the clips of pairs, one at a time, in a thread of its own, since graphics libraries expect one thread.

    Args:
        comparisons: the folder with the pairs.
    """

    def __init__(self, comparisons: Comparisons) -> None:
        self.comparisons = comparisons
        self._worker = ThreadPoolExecutor(max_workers=1)
        self._drawn: dict[tuple[str, str], Future[tuple[bytes, str]]] = {}

    def image(self, pair: str, side: str) -> tuple[bytes, str]:
        """Return a clip and its media type."""
        key = (pair, side)
        if key not in self._drawn:
            while len(self._drawn) >= _KEPT:
                self._drawn.pop(next(iter(self._drawn)))
            self._drawn[key] = self._worker.submit(self._draw, pair, side)
        return self._drawn[key].result()

    def text(self, pair: str, side: str) -> str:
        """Return a sentence about a clip."""
        loaded = self.comparisons.load(pair)
        n_steps = len(_segment(loaded, side))
        return f"{side.capitalize()} clip: {n_steps} steps of {loaded.env_id or 'the environment'}"

    def note(self, pair: str) -> str:
        """Return how the clips were drawn."""
        return "The clips are plots: each line is one number of the observation, from the first step to the last."

    def _draw(self, pair: str, side: str) -> tuple[bytes, str]:
        loaded = self.comparisons.load(pair)
        return draw_lines(loaded, _segment(loaded, side)), "image/png"


def draw_lines(pair: Demonstrations, segment: Trajectory) -> bytes:
    """Draw the observations of a segment over its steps as PNG; both segments of a pair have the same axes."""
    from matplotlib.figure import Figure

    both = [_rows(one) for one in pair]
    bounds = [function(np.concatenate(both)) for function in (np.nanmin, np.nanmax)]
    figure = Figure(figsize=(4, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(_rows(segment))
    axes.set(xlabel="step", xlim=(0, max(map(len, both)) - 1), ylim=(bounds[0] - 1e-6, bounds[1] + 1e-6))
    axes.spines[["top", "right"]].set_visible(False)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=120)
    return image.getvalue()


def _segment(pair: Demonstrations, side: str) -> Trajectory:
    return pair[0 if side == "left" else 1]


def _rows(segment: Trajectory) -> np.ndarray:
    arrays = named_arrays(segment.observations).values()
    flat = np.concatenate([array.reshape(len(array), -1)[:, :MAX_LINES].astype(float) for array in arrays], axis=1)
    return flat[:, :MAX_LINES]
