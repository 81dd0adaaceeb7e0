"""Pendulum episodes as other libraries write them: by their own writers where they are installed, else by their layout."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pytest

from ganq_irl_demos import random_policy, record_episodes

ENV = "Pendulum-v1"
STEPS, EPISODES = 200, 3


def episodes():
    env = gym.make(ENV)
    return record_episodes(random_policy(env.action_space, np.random.default_rng(0)), env, EPISODES, seed=0)


def transitions(demos):
    """A row for each step, as most layouts have it."""
    return {
        "observations": np.concatenate([one.observations[:-1] for one in demos]),
        "next_observations": np.concatenate([one.observations[1:] for one in demos]),
        "actions": np.concatenate([one.actions for one in demos]),
        "rewards": np.concatenate([one.rewards for one in demos]),
        "episode": np.repeat(np.arange(len(demos)), [len(one) for one in demos]),
    }


def by_numpy(demos, folder):
    rows = transitions(demos)
    dones = np.append(np.diff(rows["episode"]) > 0, True)
    path = folder / "rows.npz"
    np.savez(path, obs=rows["observations"], acts=rows["actions"], next_obs=rows["next_observations"], dones=dones)
    return path


def by_pandas_as_csv(demos, folder):
    pytest.importorskip("pyarrow", exc_type=ImportError)  # which reads it
    path = folder / "rows.csv"
    _frame(demos).to_csv(path, index=False)
    return path


def by_pandas_as_parquet(demos, folder):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    path = folder / "rows.parquet"
    _frame(demos).to_parquet(path)
    return path


def _frame(demos):
    import pandas

    rows = transitions(demos)
    columns = {f"obs_{i}": rows["observations"][:, i] for i in range(3)} | {"action": rows["actions"][:, 0]}
    return pandas.DataFrame({**columns, "reward": rows["rewards"], "episode": rows["episode"]})


def as_d4rl(demos, folder):
    h5py = pytest.importorskip("h5py")
    rows = transitions(demos)
    path = folder / "pendulum-random-v0.hdf5"
    with h5py.File(path, "w") as file:
        for name in ("observations", "actions", "rewards", "next_observations"):
            file.create_dataset(name, data=rows[name].astype(np.float32), compression="gzip")
        file["terminals"] = np.zeros(len(rows["rewards"]), bool)
        file["timeouts"] = np.append(np.diff(rows["episode"]) > 0, True)
        file["infos/qpos"] = np.zeros((len(rows["rewards"]), 1))
        file["metadata/algorithm"] = np.bytes_("random")
    return path


def as_robomimic(demos, folder):
    h5py = pytest.importorskip("h5py")
    path = folder / "low_dim.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps({"env_name": ENV, "env_type": 2, "env_kwargs": {}})
        for index, one in enumerate(demos):
            demo = data.create_group(f"demo_{index}")
            demo.attrs["num_samples"] = len(one)
            demo.attrs["model_file"] = "<mujoco/>"
            for folder_name, rows in (("obs", one.observations[:-1]), ("next_obs", one.observations[1:])):
                demo[f"{folder_name}/angle"], demo[f"{folder_name}/speed"] = rows[:, :2], rows[:, 2:]
            demo["actions"], demo["rewards"] = one.actions, one.rewards
            demo["states"], demo["dones"] = np.zeros((len(one), 9)), np.zeros(len(one), np.int64)
        file["mask/train"] = np.array([b"demo_0", b"demo_1"])
    return path


def by_minari(demos, folder, kind="hdf5"):
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(folder))
        last = np.arange(STEPS) == STEPS - 1
        buffers = [
            EpisodeBuffer(
                id=index,
                seed=one.seed,
                observations=one.observations,
                actions=one.actions,
                rewards=one.rewards,
                terminations=last & False,
                truncations=last,
                infos={"text": ["a"] * (STEPS + 1), "number": np.arange(STEPS + 1)} if kind == "hdf5" else {},
            )
            for index, one in enumerate(demos)
        ]
        minari.create_dataset_from_buffers("pendulum/random-v0", buffers, env=ENV, data_format=kind)
    return folder / "pendulum" / "random-v0"


def by_minari_in_arrow(demos, folder):
    return by_minari(demos, folder, "arrow")


def as_imitation(demos, folder):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    datasets = pytest.importorskip("datasets", exc_type=ImportError)
    rows = {"obs": [one.observations for one in demos], "acts": [one.actions for one in demos]}
    rows |= {"infos": [["{}"] * len(one) for one in demos], "terminal": [True] * len(demos)}
    datasets.Dataset.from_dict({**rows, "rews": [one.rewards for one in demos]}).save_to_disk(str(folder / "rollouts"))
    return folder / "rollouts"


def as_lerobot_2(demos, folder):
    pa = pytest.importorskip("pyarrow", exc_type=ImportError)
    import pyarrow.parquet as pq

    root = folder / "lerobot2"
    (root / "data" / "chunk-000").mkdir(parents=True)
    (root / "meta").mkdir()
    feature = {"dtype": "float32", "names": None}
    features = {
        "observation.state": {**feature, "shape": [3]},
        "observation.images.top": {"dtype": "video", "shape": [3, 480, 640], "names": None},
        "action": {**feature, "shape": [1]},
        "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    }
    info = {"codebase_version": "v2.1", "fps": 30, "total_episodes": len(demos), "features": features}
    (root / "meta" / "info.json").write_text(json.dumps(info))
    for index, one in enumerate(demos):
        table = pa.table(
            {
                "observation.state": list(one.observations[:-1]),
                "action": list(one.actions),
                "episode_index": np.full(len(one), index),
                "frame_index": np.arange(len(one)),
                "next.done": np.arange(len(one)) == len(one) - 1,
            }
        )
        pq.write_table(table, root / "data" / "chunk-000" / f"episode_{index:06d}.parquet")
    return root


def by_stable_baselines3(demos, folder):
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.save_util import save_to_pkl

    env = gym.make(ENV)
    buffer = ReplayBuffer(1000, env.observation_space, env.action_space, device="cpu")
    for one in demos:
        for step in range(len(one)):
            done = step == len(one) - 1
            scaled = one.actions[step] / 2  # torques of −2 to 2, stored as SAC stores them
            buffer.add(
                one.observations[step][None],
                one.observations[step + 1][None],
                scaled[None],
                one.rewards[step : step + 1],
                np.array([done]),
                [{"TimeLimit.truncated": done}],
            )
    save_to_pkl(folder / "replay_buffer.pkl", buffer)
    return folder / "replay_buffer.pkl"


WRITERS = {
    "numpy": (by_numpy, "arrays", True),
    "csv": (by_pandas_as_csv, "csv", False),
    "parquet": (by_pandas_as_parquet, "parquet", False),
    "d4rl": (as_d4rl, "d4rl", True),
    "robomimic": (as_robomimic, "robomimic", True),
    "minari": (by_minari, "minari", True),
    "minari in arrow": (by_minari_in_arrow, "minari", True),
    "imitation": (as_imitation, "imitation", True),
    "lerobot": (as_lerobot_2, "lerobot", False),
    "replay buffer": (by_stable_baselines3, "replay-buffer", True),
}
"""Name -> writer, the format that it should be taken for, and whether the last observation is there."""
