"""The ``.npz`` files of earlier releases of imitation: concatenated episodes and the indices where to split them.

``obs`` has T + 1 rows per episode, ``acts`` and ``rews`` have T. ``indices`` lists the first action of each episode but the
first. ``terminal`` has one flag per episode. The infos are pickled and never opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ganq_irl.errors import DemoFormatError
from ganq_irl_demos.formats import npz
from ganq_irl_demos.formats.limits import open_zip, reading
from ganq_irl_demos.imitation_types import horizon_of
from ganq_irl_demos.streams import EpisodeStream, Request
from ganq_irl_demos.tables.guessing import guess_spaces
from ganq_irl_demos.trajectories import Trajectory

_NEEDED = {"obs", "acts", "indices", "terminal"}
_KNOWN = {*_NEEDED, "rews"}


def recognize(path: Path) -> bool:
    """Return whether a file is a zip archive of arrays with imitation's names."""
    return {f"{name}.npy" for name in _NEEDED} <= set(npz.zip_names(path) or ())


def read(path: Path, request: Request) -> EpisodeStream:
    """Read the numeric arrays. An episode counts as truncated if it is not ``terminal`` or as long as the time limit.

    Raises:
        DemoFormatError: the file is damaged, or its arrays do not fit together.
    """
    with reading(path):
        with open_zip(path) as archive:
            npz.check_entries(archive, path, _KNOWN)
        arrays = npz.load_arrays(path, _KNOWN)
    starts = np.concatenate([[0], arrays.pop("indices").reshape(-1)]).astype(np.int64)
    lengths = np.diff(starts, append=len(arrays["acts"]))
    steps_in_all = int(lengths.sum())
    rows = {"acts": steps_in_all, "rews": steps_in_all, "obs": steps_in_all + len(lengths), "terminal": len(lengths)}
    if (lengths <= 0).any() or any(np.atleast_1d(array).shape[0] != rows[name] for name, array in arrays.items()):
        listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DemoFormatError(f"{path}: its arrays do not fit together ({listed}); expected T + 1 rows of obs per episode")
    horizon = horizon_of(request.env_id)

    def episodes() -> Iterator[Trajectory]:
        for index, (start, steps) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            cut = not arrays["terminal"][index] or steps == horizon
            yield Trajectory(
                observations=arrays["obs"][start + index : start + index + steps + 1],
                actions=arrays["acts"][start : start + steps],
                rewards=arrays["rews"][start : start + steps] if "rews" in arrays else None,
                terminated=not cut,
                truncated=cut,
            )

    observation_space, action_space = guess_spaces(episodes, request, str(path))
    return EpisodeStream(
        episodes=episodes,
        observation_space=observation_space,
        action_space=action_space,
        env_id=request.env_id,
        provenance={"imitation": str(path)},
        source=str(path),
        guessed=not request.has_spaces,
    )
