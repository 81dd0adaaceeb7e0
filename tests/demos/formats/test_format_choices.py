"""What a file leaves open is chosen by name, and what was chosen without being asked is said."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from ganq_irl.errors import ConfigurationError, DemoFormatError
from ganq_irl_demos import load_demonstrations, save_demonstrations
from ganq_irl_demos.streams import remarks_in
from tests.demos.foreign import ENV, EPISODES, STEPS, WRITERS, as_lerobot_2, as_robomimic, episodes

BOX = spaces.Box(-1, 1, (2,), np.float32)


@pytest.fixture(scope="module")
def recorded():
    return episodes()


@pytest.fixture(scope="module")
def told():
    env = gym.make(ENV)
    return {"observation_space": env.observation_space, "action_space": env.action_space, "env_id": ENV}


def load(source, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        demos = load_demonstrations(source, **options)
    return demos, remarks_in(demos.provenance)


def masked(path, **masks):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "a") as file:
        for name, demos in masks.items():
            file[f"mask/{name}"] = np.array(demos, dtype=object if name == "texts" else "S8")
    return path


def test_a_mask_chooses_episodes(recorded, told, tmp_path):
    path = masked(as_robomimic(recorded, tmp_path), valid=["demo_2"], texts=["demo_2", "demo_0"])
    for mask, expected in {"train": [0, 1], "valid": [2], "texts": [0, 2]}.items():
        demos, remarks = load(f"{path}#{mask}", **told)
        assert len(demos) == len(expected)
        for one, index in zip(demos, expected, strict=True):
            np.testing.assert_array_equal(one.observations, recorded[index].observations)
        assert demos.provenance["mask"] == mask
        assert not any("masks" in remark for remark in remarks)
    _, remarks = load(path, **told)
    assert any("all 3 demos were read" in remark and "train (2), valid (1)" in remark for remark in remarks)
    with pytest.raises(ConfigurationError, match="no mask is called 'trian'; did you mean 'train'"):
        load(f"{path}#trian", **told)
    with pytest.raises(ConfigurationError, match=r"has the format npz, which has no masks; only robomimic"):
        load(f"{save_demonstrations(recorded, tmp_path / 'own.npz')}#train")
    with pytest.raises(ConfigurationError, match="no masks"):
        load("pendulum#train")


def test_a_mask_of_a_file_that_we_wrote(recorded, tmp_path):
    path = masked(save_demonstrations(recorded, tmp_path / "own.robomimic.hdf5"), train=["demo_1"])
    demos, _ = load(f"{path}#train")
    assert [one.seed for one in demos] == [recorded[1].seed]


def test_a_demo_that_a_mask_names_must_be_there(recorded, told, tmp_path):
    path = masked(as_robomimic(recorded, tmp_path), valid=["demo_2", "demo_7"])
    with pytest.raises(DemoFormatError, match=r"mask/valid names demo_7, which the file lacks \(1 demos\)"):
        load(f"{path}#valid", **told)
    _, remarks = load(path, **told)
    assert "mask/valid names demo_7, which the file lacks (1 demos)" in remarks


def test_lost_demos_and_rows_are_said(recorded, told, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = as_robomimic(recorded, tmp_path)
    with h5py.File(path, "a") as file:
        del file["data/demo_1"]
        file["data/demo_2"].attrs["num_samples"] = STEPS + 1
    _, remarks = load(path, **told)
    assert "its demos are numbered up to 2, but 1 are missing, the first one is demo_1" in remarks
    assert "demo_2 declares 201 rows, but holds 200; was it truncated?" in remarks


def test_a_mask_in_a_table_of_sets_is_found_beside_it(recorded, told, tmp_path):
    as_robomimic(recorded, tmp_path)
    (tmp_path / "mix.toml").write_text('[[demonstrations]]\nsource = "low_dim.hdf5#train"\n')
    assert len(load(tmp_path / "mix.toml", **told)[0]) == 2


def test_the_order_of_joined_keys_is_said(recorded, told, tmp_path):
    path = as_robomimic(recorded, tmp_path)
    demos, remarks = load(path, **told)
    assert any("keys angle, speed, concatenated in this order (alphabetical)" in remark for remark in remarks)
    asked, remarks = load(path, **told, columns={"observations": ["speed", "angle"]})
    np.testing.assert_array_equal(asked[0].observations, demos[0].observations[:, [2, 0, 1]])
    assert not any("joined" in remark for remark in remarks)


@pytest.mark.parametrize("write", [as_robomimic, as_lerobot_2])
def test_keys_of_too_many_numbers_are_listed(write, recorded, told, tmp_path):
    path = write(recorded, tmp_path)
    narrow = {**told, "observation_space": BOX}
    with pytest.raises(DemoFormatError, match=r"have 3 numbers per step in total, but .* has 2 .*--columns obs"):
        load(path, **narrow)


def test_the_npz_that_imitation_saved_formerly(recorded, told, tmp_path):
    lengths = [len(one) for one in recorded]
    arrays = {
        "obs": np.concatenate([one.observations for one in recorded]),
        "acts": np.concatenate([one.actions for one in recorded]),
        "rews": np.concatenate([one.rewards for one in recorded]),
        "indices": np.cumsum(lengths)[:-1],
        "terminal": np.ones(EPISODES, bool),
        "infos": np.array([{}] * sum(lengths), dtype=object),
    }
    np.savez(tmp_path / "old.npz", **arrays)
    demos, _ = load(tmp_path / "old.npz", **told)
    for before, after in zip(recorded, demos, strict=True):
        np.testing.assert_array_equal(before.observations, after.observations)
        np.testing.assert_array_equal(before.actions, after.actions)
        np.testing.assert_array_equal(before.rewards, after.rewards)
        assert (after.terminated, after.truncated) == (False, True)  # as long as the time limit
    np.savez(tmp_path / "old.npz", **{**arrays, "obs": arrays["obs"][1:]})
    with pytest.raises(DemoFormatError, match=r"do not fit together \(.*obs \(602, 3\)"):
        load(tmp_path / "old.npz", **told)


def odd_minari(folder, space, observations):
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    folder.mkdir()
    episode = EpisodeBuffer(
        id=0,
        observations=observations,
        actions=[0] * 5,
        rewards=[0.0] * 5,
        terminations=[False] * 5,
        truncations=[False] * 4 + [True],
    )
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("MINARI_DATASETS_PATH", str(folder))
        minari.create_dataset_from_buffers("odd-v0", [episode], observation_space=space, action_space=spaces.Discrete(2))
    return folder / "odd-v0"


ROWS = [np.full(2, index / 10, np.float32) for index in range(6)]
NESTED = spaces.Dict({"a": spaces.Dict({"b": BOX}), "c": spaces.Discrete(3)})


def test_parts_of_a_nested_or_spoken_observation(tmp_path):
    nested = odd_minari(tmp_path / "1", NESTED, {"a": {"b": ROWS}, "c": [0] * 6})
    with pytest.raises(DemoFormatError, match=r"'a.b' is in a nested Dict; choose with --columns .* from: a.b, c"):
        load(nested)
    one, _ = load(nested, columns={"observations": ["a.b"]})
    np.testing.assert_array_equal(one[0].observations, ROWS)
    both, _ = load(nested, columns={"observations": ["a.b", "c"]})
    assert both.observation_space == spaces.Dict({"a.b": BOX, "c": spaces.Discrete(3)})
    spoken = odd_minari(
        tmp_path / "2", spaces.Dict({"x": BOX, "mission": spaces.Text(9)}), {"x": ROWS, "mission": ["go"] * 6}
    )
    with pytest.raises(DemoFormatError, match=r"Text\(.*'mission' is a Text; choose .* from: x"):
        load(spoken)
    assert load(spoken, columns={"observations": ["x"]})[0].observation_space == BOX
    with pytest.raises(ConfigurationError, match="no observation is called 'y'"):
        load(spoken, columns={"observations": ["y"]})
    with pytest.raises(DemoFormatError, match="'mission' is a Text"):
        load(spoken, columns={"observations": ["mission"]})
    pair = odd_minari(tmp_path / "3", spaces.Tuple((spaces.Discrete(3), BOX)), ([0] * 6, ROWS))
    with pytest.raises(DemoFormatError, match=r"Tuple\(.*a Tuple is not supported; .*FlattenObservation"):
        load(pair)


def test_the_file_of_a_minari_data_set_stands_for_its_folder(recorded, tmp_path):
    folder = WRITERS["minari"][0](recorded, tmp_path)
    file = folder / "data" / "main_data.hdf5"
    assert len(load(file)[0]) == EPISODES
    alone = file.rename(tmp_path / "main_data.hdf5")
    with pytest.raises(DemoFormatError, match=r"in Minari's layout.*give the folder"):
        load(alone)


@pytest.mark.parametrize("kind", ["numbers", "link", "external", "long", "many"])
def test_a_mask_that_is_no_list_of_names_is_refused(kind, recorded, told, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = as_robomimic(recorded, tmp_path)
    with h5py.File(path, "a") as file:
        if kind == "numbers":
            file["mask/odd"] = np.zeros(3)
        elif kind == "link":
            file["mask/odd"] = h5py.SoftLink("/data/demo_0/actions")
        elif kind == "external":
            file["mask/odd"] = h5py.ExternalLink("/etc/passwd", "/")
        elif kind == "long":
            file["mask"].create_dataset("odd", data=["x" * 5000], dtype=h5py.string_dtype())
        else:
            file["mask"].create_dataset("odd", (1 << 40,), dtype="S8", chunks=(1024,))
    with pytest.raises(DemoFormatError, match=r"mask/odd (is not a list|names a demo with 5000|is an external)"):
        load(path, **told)
