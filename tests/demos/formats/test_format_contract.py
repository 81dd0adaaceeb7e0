"""The contract that every format keeps: what was written is read back, but for what the format says it loses."""

from __future__ import annotations

import errno
import re
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import HealthCheck, given, settings

from ganq_irl.errors import DemoFormatError, InvalidDemonstrations
from ganq_irl_demos import FORMATS, Demonstrations, load_demonstrations, save_demonstrations
from ganq_irl_demos.formats import format_of
from ganq_irl_demos.streams import EpisodeStream
from ganq_irl_demos.trajectories import named_arrays
from tests.demos.demo_examples import demonstrations, make_demos, make_trajectory, same

WRITTEN = [name for name, known in FORMATS.items() if known.suffix]
EXACT = [name for name in WRITTEN if "dtypes" not in FORMATS[name].loses]
in_every_format = pytest.mark.parametrize("name", WRITTEN)
in_every_exact_format = pytest.mark.parametrize("name", EXACT)
one_folder = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _installed(request):
    name = request.node.callspec.params.get("name") if hasattr(request.node, "callspec") else None
    if name and FORMATS[name].package:
        pytest.importorskip(FORMATS[name].package, exc_type=ImportError)


def path_for(name, tmp_path, stem="demos"):
    return tmp_path / f"{stem}{FORMATS[name].suffix}"


def holds(name, demos):
    """Whether a format can hold a set at all; what it cannot is told in its table."""
    keys = demos.observation_space.spaces if isinstance(demos.observation_space, spaces.Dict) else {}
    if name == "imitation":
        return not keys
    return name != "minari" or not any(re.search(r"[/\x00]|^\.\.?$", key) for key in keys)


@in_every_exact_format
@one_folder
@given(demos=demonstrations())
def test_what_was_written_is_read_back_to_the_bit(name, tmp_path, demos):
    path = path_for(name, tmp_path)
    if not holds(name, demos):
        with pytest.raises(InvalidDemonstrations, match=r"Dict|key"):
            save_demonstrations(demos, path)
        return
    save_demonstrations(demos, path)
    back = load_demonstrations(path)
    assert same(demos, back)
    assert (back.env_id, back.provenance, back.source) == (demos.env_id, demos.provenance, str(path))
    assert back.observation_space == demos.observation_space
    assert back.action_space == demos.action_space


@one_folder
@given(demos=demonstrations())
def test_csv_keeps_every_digit_and_loses_what_it_says(tmp_path, demos):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    path = save_demonstrations(demos, tmp_path / "demos.csv")
    back = load_demonstrations(path, observation_space=demos.observation_space, action_space=demos.action_space)
    assert len(back) == len(demos)
    for before, after in zip(demos, back, strict=True):
        assert (before.terminated, before.truncated) == (after.terminated, after.truncated)
        pairs = [(before.actions, after.actions)]
        pairs += [(array, named_arrays(after.observations)[key]) for key, array in named_arrays(before.observations).items()]
        pairs += [(before.rewards, after.rewards)] if before.rewards is not None else []
        for one, other in pairs:
            np.testing.assert_array_equal(np.asarray(one, np.float64), np.asarray(other, np.float64))
        assert (before.rewards is None) == (after.rewards is None)
        assert after.seed is None
    assert (back.env_id, back.provenance["file"]) == (None, str(path))


@in_every_format
def test_content_shows_the_format_whatever_the_name(name, tmp_path):
    path = path_for(name, tmp_path)
    save_demonstrations(make_demos(), path)
    hidden = path.rename(tmp_path / "something")
    assert format_of(hidden).name == name
    told = make_demos()
    back = load_demonstrations(hidden, observation_space=told.observation_space, action_space=told.action_space)
    assert back.n_transitions == told.n_transitions


@in_every_format
def test_what_is_no_one_data_set_writes_nothing(name, tmp_path):
    broken = [make_trajectory(), make_trajectory(actions=np.zeros((5, 2)))]
    stream = replace(EpisodeStream.of(make_demos()), episodes=lambda: iter(broken))
    with pytest.raises(InvalidDemonstrations, match="trajectory 1, actions"):
        FORMATS[name].write(stream, path_for(name, tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in WRITTEN if "without transitions" in FORMATS[name].loses])
def test_a_trajectory_without_transitions_is_refused_by_those_that_say_so(name, tmp_path):
    with pytest.raises(InvalidDemonstrations, match="trajectory 1 has no transitions"):
        save_demonstrations(make_demos(make_trajectory(), make_trajectory(0)), path_for(name, tmp_path))
    assert not list(tmp_path.iterdir())


@in_every_exact_format
def test_bad_values_survive_for_the_checks_to_name(name, tmp_path):
    bad = make_demos(
        make_trajectory(actions=np.full((5, 1), np.nan, np.float32)), make_trajectory(rewards=np.full(5, np.nan))
    )
    save_demonstrations(bad, path_for(name, tmp_path))
    assert same(bad, load_demonstrations(path_for(name, tmp_path)))


@pytest.mark.parametrize("name", [name for name in WRITTEN if name not in ("minari", "lerobot", "imitation")])
@pytest.mark.parametrize("lacking", ["actions", "next_observations"])
def test_what_is_missing_stays_missing_and_is_not_learned_from(name, lacking, tmp_path):
    sound = make_trajectory()
    padded = np.concatenate([sound.observations[:-1], sound.observations[-2:-1]])
    changes = {"actions": np.zeros((5, 0), np.float32)} if lacking == "actions" else {"observations": padded}
    demos = make_demos(make_trajectory(**changes), missing=(lacking,))
    path = save_demonstrations(demos, path_for(name, tmp_path))
    told = {"observation_space": demos.observation_space, "action_space": demos.action_space}
    if name in EXACT:
        assert same(load_demonstrations(path, needs=()), demos)
        assert load_demonstrations(path, needs=()).missing == (lacking,)
    if name in EXACT or lacking == "actions":
        with pytest.raises(
            InvalidDemonstrations, match=rf"holds no {lacking.replace('_', ' ')}, .*; use one that learns from"
        ):
            load_demonstrations(path, **told)


@in_every_format
def test_a_long_set_goes_through_block_by_block(name, tmp_path, monkeypatch):
    """Episodes that span blocks, and blocks of several episodes; never all episodes in memory at once."""
    monkeypatch.setattr("ganq_irl_demos.tables.writing.BLOCK_ROWS", 7)
    demos = make_demos(*(make_trajectory(3 + 5 * (index % 4), index) for index in range(30)))
    alive = []

    def episodes():
        for trajectory in demos:
            alive.append(replace(trajectory))
            yield alive.pop()

    stream = replace(EpisodeStream.of(demos), episodes=episodes)
    FORMATS[name].write(stream, path_for(name, tmp_path))
    back = FORMATS[name].read(path_for(name, tmp_path))
    for before, after in zip(demos, back.episodes(), strict=True):
        np.testing.assert_array_equal(before.actions, after.actions.astype(np.float32))
        np.testing.assert_array_equal(before.observations, after.observations.astype(np.float32))


@pytest.mark.parametrize("name", [name for name in WRITTEN if not FORMATS[name].is_folder and name != "csv"])
def test_a_file_cut_anywhere_is_refused_by_name(name, tmp_path):
    demos = make_demos()
    whole = save_demonstrations(demos, path_for(name, tmp_path, "whole")).read_bytes()
    path = path_for(name, tmp_path, "cut")
    for length in range(0, len(whole), max(37, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(DemoFormatError, match=re.escape(str(path))):
            load_demonstrations(path)


# Parquet is left out: Arrow itself aborts the process on some damaged footers.
@pytest.mark.parametrize("name", [name for name in WRITTEN if not FORMATS[name].is_folder and name != "parquet"])
def test_a_flipped_bit_gives_a_sentence_or_other_numbers(name, tmp_path):
    whole = save_demonstrations(make_demos(), path_for(name, tmp_path, "whole")).read_bytes()
    path = path_for(name, tmp_path, "flipped")
    generator = np.random.default_rng(0)
    for position in generator.integers(8 * len(whole), size=40):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            assert isinstance(load_demonstrations(path, needs=()), Demonstrations)
        except (DemoFormatError, InvalidDemonstrations) as error:
            assert "flipped" in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", [name for name in WRITTEN if FORMATS[name].is_folder])
def test_a_file_of_a_folder_cut_short_is_refused(name, tmp_path):
    folder = save_demonstrations(make_demos(), path_for(name, tmp_path))
    data = max((file for file in Path(folder).rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(DemoFormatError, match=re.escape(str(folder))):
        load_demonstrations(folder)


def test_missing_packages_name_the_extra(tmp_path, monkeypatch):
    import sys

    from ganq_irl.errors import MissingDependency

    for name, known in FORMATS.items():
        if known.extra:
            monkeypatch.setitem(sys.modules, known.package, None)
            with pytest.raises(MissingDependency, match=rf"pip install 'ganq-irl\[{known.extra}\]'"):
                save_demonstrations(make_demos(), tmp_path / "demos", format=name)


@pytest.fixture
def small_files():
    """No file may grow beyond 12 KiB, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12 << 10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@in_every_format
def test_a_full_disk_is_an_error_that_leaves_what_was_there(name, tmp_path, small_files):
    """Written in this process: where a library would end it, as HDF5's does, the suite would end."""
    demos = make_demos(*(make_trajectory(400, seed=seed) for seed in range(8)))
    path = path_for(name, tmp_path)
    with pytest.raises(OSError, match="too large") as caught:
        save_demonstrations(demos, path)
    assert caught.value.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []
