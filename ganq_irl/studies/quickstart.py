"""The quickstart: imitate a Pendulum expert, recover its reward, and compare both with controls.

All Pendulum episodes last 200 steps, so a survival bonus cannot explain a score. The frozen control shows what a random
discriminator achieves, and behavioral cloning what the demonstrations achieve by themselves. GAN-Q runs beside the
imitators: it uses the same discriminator package, but sees the true reward instead of demonstrations.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from ganq_irl.environments.true_rewards import pendulum_reward
from ganq_irl.evaluation import EpisodeStatistics, Evaluation, summarize_episodes
from ganq_irl.evaluation.pictures import curve_of, read_progress
from ganq_irl.files import replace_file, require_vacant
from ganq_irl.progress import make_progress_bar
from ganq_irl.rewards import RewardModel
from ganq_irl.runs.config import EvaluationConfig, ExperimentConfig, merged
from ganq_irl.runs.directory import PROGRESS, REWARD, load_run, unused_folder, versions, write_json
from ganq_irl.runs.resolve import resolve_config
from ganq_irl.runs.runner import RunResult, run_experiment
from ganq_irl.space_matrix import IMITATION
from ganq_irl.studies.quickstart_pictures import draw_returns, draw_rewards, pendulum_grid
from ganq_irl.studies.workers import report, run_tasks
from ganq_irl_demos import (
    Demonstrations,
    Trajectory,
    load_demonstrations,
    random_policy,
    record_episodes,
    reference_returns,
)

ENV = "Pendulum-v1"
_AGAIN = "run quickstart again, which starts over in another folder"
N_TRAJECTORIES = 10
CORRELATION = "Correlation of the recovered reward with the true one, over demonstrations and random actions"
EVALUATION = EvaluationConfig(episodes=20, every=5_000)
_RUNS: dict[str, dict[str, Any]] = {
    "GAIL": {"algo": "gail"},
    "AIRL": {"algo": "airl", "adversary": {"reward_inputs": ["observations"]}},  # the state-only reward, which transfers
    "frozen control": {"algo": "gail", "control": "frozen"},
    "BC": {"algo": "bc"},
    # Half of the preset's steps are enough here.
    "GAN-Q": {"algo": "gan-q-continuous", "timesteps": 10_000, "evaluation": {"every": 1_000}},
}
_LONGEST = "GAN-Q"
"""The longest run, which starts first so that it does not end alone."""
_RECOVERED = ("AIRL", "GAIL")
_N_WORKERS = 2
_REPORT_EVERY = 500  # environment steps
_UPDATE_IN_STEPS = 5  # an update of BC takes about as long as five environment steps


@dataclass(frozen=True)
class QuickstartResult:
    """Results of the quickstart.

    Attributes:
        folder: holds runs, tables and pictures.
        scores: name of each policy, from expert to random -> its true return.
        correlations: Pearson correlation of each recovered reward with the true one, over the transitions of the
            demonstrations and of random actions.
        seconds: wall time.
    """

    folder: Path
    scores: dict[str, Evaluation]
    correlations: dict[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values, with the package versions."""
        return {
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "reward_correlation": self.correlations,
            "seconds": self.seconds,
            "versions": versions(),
        }

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table of scores as text, header first."""
        header = ("", "mean return", "95 % interval", "normalized")
        return [header, *((name, *_cells(score)) for name, score in self.scores.items())]


def run_quickstart(
    out: Path | str | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    demos: str = "pendulum",
    timesteps: int | None = None,
) -> QuickstartResult:
    """Train GAIL, AIRL, the frozen control, BC and GAN-Q side by side, evaluate them, and draw the results.

    Args:
        out: an empty or new folder; ``runs/quickstart-<seed>`` by default.
        seed: seed of every run.
        device: "auto" means the CPU here, which is faster for such small networks.
        demos: demonstrations of Pendulum-v1, with rewards.
        timesteps: environment steps of every run except BC; by default those of the presets, and 10 000 for GAN-Q.

    Raises:
        RunDirectoryError: ``out`` is not empty.
        GanqIrlError: the demonstrations cannot be used.
    """
    start = time.perf_counter()
    folder = Path(out) if out is not None else unused_folder(f"quickstart-{seed}")
    require_vacant(folder)
    expert = load_demonstrations(demos, env_id=ENV)
    expert.select(N_TRAJECTORIES)  # refuse too few before any process starts
    device = "cpu" if device == "auto" else device
    configs = {name: _config(settings, demos, seed, device, timesteps) for name, settings in _RUNS.items()}
    folders = {name: folder / name.replace(" ", "-").lower() for name in configs}
    results = _run_all({folders[name]: configs[name] for name in sorted(configs, key=lambda name: name != _LONGEST)})
    random = _random_play()
    scores = {name: results[folders[name]].evaluation for name in configs}
    scores = {"expert": _evaluation_of(expert), **scores, "random": _evaluation_of(random)}
    correlations = {
        name: reward_correlation(RewardModel.load(folders[name] / REWARD), [*expert, *random]) for name in _RECOVERED
    }
    _draw(folder, folders, scores, expert)
    result = QuickstartResult(folder, scores, correlations, round(time.perf_counter() - start, 1))
    write_json(folder / "results.json", result.to_json())
    replace_file(folder / "results.md", _markdown(result).encode())
    return result


def _run_all(configs: Mapping[Path, ExperimentConfig]) -> dict[Path, RunResult]:
    """Run experiments in worker processes under one progress bar, in the given order; the first error stops all."""
    tasks = {folder: partial(_run, config, folder) for folder, config in configs.items()}
    results = {}
    with (
        make_progress_bar(total=sum(map(_length, configs.values())), unit="step", unit_scale=True) as bar,
        closing(run_tasks(tasks, min(_N_WORKERS, os.cpu_count() or 1), bar.update, _AGAIN)) as outcomes,
    ):
        for folder, outcome in outcomes:
            results[folder] = outcome.result()
        bar.update((bar.total or 0) - bar.n)
    return results


def _run(config: ExperimentConfig, folder: Path) -> RunResult:
    result = run_experiment(config, folder, progress_bar=False, callback=_ReportProgress(_length(config)))
    if config.timesteps is None:
        report(_length(config))
    return result


def _length(config: ExperimentConfig) -> int:
    return config.timesteps if config.timesteps is not None else config.bc["n_updates"] * _UPDATE_IN_STEPS


class _ReportProgress(BaseCallback):
    """Callback that reports environment steps to the process with the progress bar."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length, self._reported = length, 0

    def _on_step(self) -> bool:
        done = min(self.num_timesteps, self._length)  # SB3 ends with a whole rollout
        if done - self._reported >= _REPORT_EVERY:
            report(done - self._reported)
            self._reported = done
        return True


def _config(settings: dict[str, Any], demos: str, seed: int, device: str, timesteps: int | None) -> ExperimentConfig:
    shared = {"env": ENV, "seed": seed, "device": device, "evaluation": asdict(EVALUATION)}
    if settings["algo"] in IMITATION:
        shared |= {"demos": demos, "n_trajectories": N_TRAJECTORIES}
    if settings["algo"] == "bc":
        return resolve_config(merged(shared, settings) | {"evaluation": asdict(EVALUATION) | {"every": 0}})
    return resolve_config(merged(shared, settings) | ({} if timesteps is None else {"timesteps": timesteps}))


def _evaluation_of(trajectories: Sequence[Trajectory]) -> Evaluation:
    returns = np.array([trajectory.episode_return for trajectory in trajectories])
    lengths = np.array([len(trajectory) for trajectory in trajectories])
    seed = trajectories[0].seed or 0
    return summarize_episodes(EpisodeStatistics(returns, lengths), seed=seed, references=reference_returns(ENV))


def _random_play() -> Demonstrations:
    env = gym.make(ENV)
    policy = random_policy(env.action_space, np.random.default_rng(EVALUATION.seed))
    return record_episodes(policy, env, EVALUATION.episodes, seed=EVALUATION.seed)


def _draw(folder: Path, folders: dict[str, Path], scores: dict[str, Evaluation], expert: Demonstrations) -> None:
    """Write both pictures of the quickstart."""
    curves = {name: learning_curve(path) for name, path in folders.items()}
    levels: dict[str, float] = {name: scores[name].mean_return for name in ("expert", "BC", "random")}
    draw_returns(folder / "returns.png", {name: curve for name, curve in curves.items() if len(curve)}, levels)
    recovered, observations = {}, pendulum_grid()
    for name in _RECOVERED:
        actions = load_run(folders[name]).policy("cpu").predict(observations, deterministic=True)[0]
        reward = RewardModel.load(folders[name] / REWARD).reward(observations, actions, observations, np.zeros(len(actions)))
        recovered[name] = (reward, pendulum_reward(observations, actions))
    draw_rewards(folder / "reward.png", recovered, np.concatenate([trajectory.observations for trajectory in expert]))


def reward_correlation(model: RewardModel, trajectories: Sequence[Trajectory]) -> float:
    """Return the Pearson correlation of a recovered reward with the recorded one over all transitions."""
    states = [np.asarray(trajectory.observations) for trajectory in trajectories]
    observations, next_observations = np.concatenate([s[:-1] for s in states]), np.concatenate([s[1:] for s in states])
    actions, true = (np.concatenate([getattr(one, name) for one in trajectories]) for name in ("actions", "rewards"))
    recovered = model.reward(observations, actions, next_observations, np.zeros(len(actions)))
    return round(float(np.corrcoef(recovered, true)[0, 1]), 3)


def learning_curve(run: Path) -> np.ndarray:
    """Return the evaluations during a run: ``(n, 2)``, environment steps and mean true return."""
    columns = read_progress(run / PROGRESS) if (run / PROGRESS).is_file() else {}
    return np.stack(curve_of(columns, "eval/mean_reward"), axis=1)


def _cells(score: Evaluation) -> tuple[str, ...]:
    interval = "" if score.interval is None else "{:.0f} to {:.0f}".format(*score.interval)
    normalized = "" if score.normalized is None else f"{score.normalized:.2f}"
    return f"{score.mean_return:.0f}", interval, normalized


def _markdown(result: QuickstartResult) -> str:
    header, *rows = result.rows()
    lines = [header, ("---", "---:", "---:", "---:"), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    rewards = ", ".join(f"{name} {value:.2f}" for name, value in result.correlations.items())
    return (
        f"# Quickstart: {ENV}, {N_TRAJECTORIES} demonstrations\n\n{table}\n\n"
        f"{CORRELATION}: {rewards}.\n\n"
        "![returns](returns.png)\n\n![reward](reward.png)\n"
    )
