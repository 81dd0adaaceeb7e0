"""Datasets of the Hugging Face hub, read by the hub's own client from its cache; no network is asked."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from ganq_irl.errors import ConfigurationError, DemoFormatError
from ganq_irl_demos import convert_demonstrations, load_demonstrations
from tests.demos.foreign import ENV, as_imitation, as_lerobot_2, by_numpy, episodes

pytest.importorskip("pyarrow", exc_type=ImportError)


@pytest.fixture(scope="module")
def recorded():
    return episodes()


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """Put a folder into an empty cache, as the client lays it out, and be without a network."""
    cache = tmp_path / "cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def put(folder, name, kind="datasets"):
        root = cache / f"{kind}--someone--{name}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text("abc")
        shutil.copytree(folder, root / "snapshots" / "abc")
        return f"huggingface:someone/{name}"

    return put


def as_pushed(demos, folder):
    """What imitation's rollouts look like once ``datasets`` has pushed them."""
    datasets = pytest.importorskip("datasets", exc_type=ImportError)
    target = folder / "pushed"
    (target / "data").mkdir(parents=True)
    rows = datasets.load_from_disk(str(as_imitation(demos, folder)))
    rows.to_parquet(str(target / "data" / "train-00000-of-00001-6556da899762820f.parquet"))
    return target


def told():
    import gymnasium as gym

    env = gym.make(ENV)
    return {"observation_space": env.observation_space, "action_space": env.action_space, "env_id": ENV}


def test_rollouts_of_imitation_on_the_hub(recorded, cached, tmp_path):
    name = cached(as_pushed(recorded, tmp_path), "rollouts")
    loaded = load_demonstrations(name, **told())
    assert loaded.source == name
    for given, expected in zip(loaded, recorded, strict=True):
        np.testing.assert_array_equal(given.observations, expected.observations)
        np.testing.assert_array_equal(given.actions, expected.actions)
        np.testing.assert_allclose(given.rewards, expected.rewards)
        assert given.truncated
    done = convert_demonstrations(name, tmp_path / "mine.npz")
    assert (done.read_as, done.episodes) == ("imitation", 3)


def test_the_same_files_on_disk(recorded, tmp_path):
    assert len(load_demonstrations(as_pushed(recorded, tmp_path), **told())) == 3


def test_a_damaged_file_is_a_sentence(recorded, cached, tmp_path):
    folder = as_pushed(recorded, tmp_path)
    (file,) = (folder / "data").iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DemoFormatError):
        load_demonstrations(cached(folder, "cut"), **told())


def test_other_formats_on_the_hub(recorded, cached, tmp_path):
    lerobot = cached(as_lerobot_2(recorded, tmp_path), "arm")
    assert len(load_demonstrations(lerobot, **told())) == 3
    (tmp_path / "alone").mkdir()
    shutil.move(by_numpy(recorded, tmp_path), tmp_path / "alone")
    alone = cached(tmp_path / "alone", "alone")
    assert len(load_demonstrations(alone, **told())) == 3
    assert len(load_demonstrations(f"{alone}/rows.npz", **told())) == 3
    with pytest.raises(DemoFormatError, match=r"holds no other\.npz"):
        load_demonstrations(f"{alone}/other.npz", **told())


def test_what_is_not_there_is_one_sentence(cached):
    with pytest.raises(DemoFormatError, match="huggingface:someone/absent cannot be fetched") as raised:
        load_demonstrations("huggingface:someone/absent", **told())
    assert "\n" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="ORGANIZATION/NAME"):
        load_demonstrations("huggingface:absent", **told())
