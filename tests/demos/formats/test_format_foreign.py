"""Files that other libraries wrote are found by content and give the same episodes."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError, GanqIrlError, IncompatibleSpaces
from ganq_irl_demos import load_demonstrations, require_valid, save_demonstrations
from ganq_irl_demos.converting import convert_demonstrations
from ganq_irl_demos.formats import FORMATS, format_of
from ganq_irl_demos.streams import Request
from ganq_irl_demos.tables.cutting import cut
from ganq_irl_demos.tables.naming import find_columns
from tests.demos.demo_examples import make_demos, make_trajectory, same
from tests.demos.foreign import ENV, EPISODES, STEPS, WRITERS, by_minari, episodes


@pytest.fixture(scope="module")
def recorded():
    return episodes()


@pytest.fixture(scope="module")
def told():
    env = gym.make(ENV)
    return {"observation_space": env.observation_space, "action_space": env.action_space, "env_id": ENV}


@pytest.mark.parametrize("name", WRITERS)
def test_episodes_come_back_from_the_files_of_others(name, recorded, told, tmp_path):
    write, expected, whole = WRITERS[name]
    path = write(recorded, tmp_path)
    assert format_of(path).name == expected
    loaded = load_demonstrations(path, **told, trust=True)
    require_valid(loaded, **told, max_episode_steps=STEPS)
    assert len(loaded) == EPISODES
    steps = STEPS if whole else STEPS - 1
    for before, after in zip(recorded, loaded, strict=True):
        assert (len(after), after.terminated, after.truncated) == (steps, False, True)
        assert after.observations.dtype == np.float32
        np.testing.assert_array_equal(before.observations[: steps + 1], after.observations)
        np.testing.assert_allclose(before.actions[:steps], after.actions, rtol=1e-6, atol=1e-6)
        if after.rewards is not None:
            np.testing.assert_allclose(before.rewards[:steps], after.rewards, rtol=1e-6)
    assert ("last_steps" in loaded.provenance) == (not whole)


@pytest.mark.parametrize("name", WRITERS)
def test_without_an_environment_the_spaces_are_guessed(name, recorded, tmp_path):
    loaded = load_demonstrations(WRITERS[name][0](recorded, tmp_path), trust=True, needs=())
    assert loaded.n_transitions in (EPISODES * STEPS, EPISODES * (STEPS - 1))
    require_valid(loaded)


def test_another_environment_is_refused(recorded, tmp_path):
    path = WRITERS["numpy"][0](recorded, tmp_path)
    loaded = load_demonstrations(path, observation_space=spaces.Box(-1, 1, (4,)), action_space=spaces.Box(-1, 1, (1,)))
    with pytest.raises(GanqIrlError, match="shape"):
        require_valid(loaded)


def test_minari_from_its_store_by_id(recorded, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    by_minari(recorded, tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    loaded = load_demonstrations("minari:pendulum/random-v0")
    assert [trajectory.seed for trajectory in loaded] == [0, 1, 2]
    assert loaded.env_id == ENV
    save_demonstrations(loaded, "minari:mine/copy-v3")
    copy = minari.load_dataset("mine/copy-v3")
    assert (copy.total_episodes, copy.total_steps) == (EPISODES, EPISODES * STEPS)
    np.testing.assert_array_equal(copy[1].observations, loaded[1].observations)
    assert copy.env_spec.id == ENV
    with pytest.raises(DemoFormatError, match=r"is not in Minari's store .* demos import minari:no/such-v0 --download"):
        load_demonstrations("minari:no/such-v0")
    with pytest.raises(ConfigurationError, match="is not the ID"):
        load_demonstrations("minari:../../etc-v0")


def test_keys_of_robomimic_become_a_dict_or_the_chosen_ones_an_array(recorded, tmp_path):
    path = WRITERS["robomimic"][0](recorded, tmp_path)
    loaded = load_demonstrations(path)
    assert sorted(loaded[0].observations) == ["angle", "speed"]
    chosen = load_demonstrations(path, columns={"observations": ["speed"]})
    np.testing.assert_array_equal(chosen[0].observations, recorded[0].observations[:, 2:])
    with pytest.raises(DemoFormatError, match="did you mean 'angle'"):
        load_demonstrations(path, columns={"observations": ["angel"]})


def test_columns_of_any_name(tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    rows = {"x": np.arange(6.0), "y": np.arange(6.0) + 1, "torque": np.zeros(6), "over": [0, 0, 1, 0, 0, 1]}
    text = "\n".join([";".join(rows), *(";".join(map(str, row)) for row in zip(*rows.values(), strict=True))])
    (tmp_path / "mine.txt").write_text(text + "\n")
    columns = {"observations": ["x", "y"], "actions": ["torque"], "dones": ["over"]}
    loaded = load_demonstrations(tmp_path / "mine.txt", columns=columns)
    assert [len(trajectory) for trajectory in loaded] == [2, 2]
    assert loaded[1].observations.tolist() == [[3, 4], [4, 5], [5, 6]]
    with pytest.raises(ConfigurationError, match="no column 'z'"):
        load_demonstrations(tmp_path / "mine.txt", columns={**columns, "observations": ["z"]})
    with pytest.raises(ConfigurationError, match="did you mean 'actions'"):
        load_demonstrations(tmp_path / "mine.txt", columns={"actoins": ["torque"]})
    by_other_names = {"obs": ["x", "y"], "act": "torque", "done": "over"}
    assert load_demonstrations(tmp_path / "mine.txt", columns=by_other_names).checksum == loaded.checksum
    with pytest.raises(ConfigurationError, match="another name of 'observations'"):
        load_demonstrations(tmp_path / "mine.txt", columns={**columns, "obs": ["x"]})
    with pytest.raises(DemoFormatError, match=r"--columns observations=NAME"):
        load_demonstrations(tmp_path / "mine.txt")


def test_columns_are_found_by_their_usual_names():
    names = ["obs_10", "obs_2", "obs_0", "act", "next_obs_0", "next_obs_2", "next_obs_10", "done", "note"]
    assert find_columns(names, {}, "file") == {
        "observations": ["obs_0", "obs_2", "obs_10"],
        "actions": ["act"],
        "next_observations": ["next_obs_0", "next_obs_2", "next_obs_10"],
        "dones": ["done"],
    }
    assert find_columns(["a1", "a2", "b"], {"observations": ("a*",)}, "file") == {"observations": ["a1", "a2"]}


def rows(n, **columns):
    return {"observations": np.arange(n, dtype=float)[:, None], "actions": np.zeros(n, int), **columns}


@pytest.mark.parametrize(
    ("block", "horizon", "expected"),
    [
        # (steps, terminated, truncated) of each trajectory
        (rows(4, next_observations=np.array([[1.0], [9], [3], [4]])), None, [(2, False, False), (2, False, False)]),
        (rows(4, next_observations=np.arange(1.0, 5)[:, None], dones=[0, 1, 0, 1]), 2, [(2, False, True), (2, False, True)]),
        (rows(4, next_observations=np.arange(1.0, 5)[:, None], dones=[0, 1, 0, 1]), 9, [(2, True, False), (2, True, False)]),
        (rows(4, terminated=[0, 1, 0, 0]), None, [(1, False, True), (1, False, True)]),
        (rows(4, episode=[3, 3, 3, 1]), None, [(2, False, True)]),
        (rows(4, next_observations=np.arange(1.0, 5)[:, None], terminated=[0, 0, 0, 1], truncated=[0, 1, 0, 1]), None,
         [(2, False, True), (2, True, True)]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_where_episodes_end(block, horizon, expected, size):
    block = {name: np.asarray(values) for name, values in block.items()}
    blocks = ({name: array[start : start + size] for name, array in block.items()} for start in range(0, 4, size))
    assert [(len(one), one.terminated, one.truncated) for one in cut(blocks, horizon)] == expected


def test_pairs_in_no_order_are_for_those_that_need_none(tmp_path):
    np.savez(tmp_path / "pairs.npz", obs=np.zeros((5, 3), np.float32), acts=np.ones((5, 1), np.float32))
    demos = load_demonstrations(tmp_path / "pairs.npz", needs=("actions",))
    assert (demos.missing, demos.n_transitions) == (("next_observations",), 5)
    with pytest.raises(GanqIrlError, match=r"pairs\.npz holds no next observations, .* such as bc"):
        load_demonstrations(tmp_path / "pairs.npz")


def test_observations_alone_are_for_those_that_need_no_actions(tmp_path):
    np.savez(tmp_path / "watched.npz", obs=np.zeros((5, 3), np.float32), episode=[0, 0, 0, 1, 1])
    demos = load_demonstrations(tmp_path / "watched.npz", needs=("next_observations",))
    assert (demos.missing, [len(one) for one in demos]) == (("actions",), [2, 1])
    assert demos[0].actions.shape == (2, 0)
    assert len(demos.to_batch().observations) == 3
    with pytest.raises(GanqIrlError, match=r"watched\.npz holds no actions, .*observations only"):
        load_demonstrations(tmp_path / "watched.npz")


def test_several_sets_with_weights(tmp_path):
    first, second = make_demos(source="first"), make_demos(make_trajectory(seed=9), source="second")
    joined = load_demonstrations([(first, 1), (second, 2.5)])
    assert [len(joined), sum(one.seed == 9 for one in joined)] == [2 * 3 + 5, 5]
    assert joined.provenance["joined"][1]["copies"] == 5
    save_demonstrations(first, tmp_path / "first.npz")
    save_demonstrations(second, tmp_path / "second.npz")
    mix = tmp_path / "mix.toml"
    mix.write_text('[[demonstrations]]\nsource = "first.npz"\n[[demonstrations]]\nsource = "second.npz"\nweight = 2.5\n')
    assert len(load_demonstrations(mix)) == 11
    for wrong, message in [
        ("x = 1", "expected .*demonstrations"),
        ("[[", "is not TOML"),
        ("[[demonstrations]]", "expected"),
    ]:
        mix.write_text(wrong)
        with pytest.raises(DemoFormatError, match=message):
            load_demonstrations(mix)
    with pytest.raises(ConfigurationError, match="positive"):
        load_demonstrations([(first, 0), (second, 1)])
    with pytest.raises(ConfigurationError, match="copies"):
        load_demonstrations([(first, 1), (second, 1000)])
    with pytest.raises(IncompatibleSpaces, match="second beside first"):
        load_demonstrations([(first, 1), (make_demos(source="second", observation_space=spaces.Discrete(2)), 1)])


def test_converting_tells_what_was_done_and_overwrites_nothing(recorded, told, tmp_path):
    source = WRITERS["d4rl"][0](recorded, tmp_path)
    out = tmp_path / "mine.npz"
    done = convert_demonstrations(source, out, request=Request(**told))
    assert (done.read_as, done.written_as, done.episodes, done.transitions) == ("d4rl", "npz", 3, 600)
    assert same(load_demonstrations(out), load_demonstrations(source, **told))
    with pytest.raises(ConfigurationError, match="exists"):
        convert_demonstrations(source, out)
    with pytest.raises(DemoFormatError, match="is read-only; use one of: npz"):
        convert_demonstrations(source, tmp_path / "x", write_as="replay-buffer")
    guessed = convert_demonstrations(source, tmp_path / "guessed.npz")
    assert "spaces were guessed from its values" in guessed.notes[0]


def test_large_arrays_are_mapped_and_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("ganq_irl_demos.formats.npz.COMPRESSED_BYTES", 0)
    monkeypatch.setattr("ganq_irl_demos.formats.npz.MAPPED_BYTES", 0)
    demos = make_demos(*(make_trajectory(seed=index) for index in range(4)))
    path = save_demonstrations(demos, tmp_path / "large.npz")
    back = load_demonstrations(path)
    assert same(demos, back)
    base = back[2].observations
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DemoFormatError, match="altered"):
        load_demonstrations(path)


def test_a_field_whose_dtype_grows_on_the_way(tmp_path):
    wide = make_trajectory(observations=np.zeros((6, 3)))
    demos = make_demos(make_trajectory(), wide)
    assert same(load_demonstrations(save_demonstrations(demos, tmp_path / "d.npz")), make_demos(
        make_trajectory(observations=make_trajectory().observations.astype(np.float64)), wide
    ))  # fmt: skip


def test_every_format_is_explained():
    for known in FORMATS.values():
        assert known.description
