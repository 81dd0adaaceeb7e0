"""The main job, seen to work: imitate an expert of Pendulum, recover its reward, and compare with what could mislead.

Pendulum's episodes all last 200 steps, so that no survival bonus explains a score; the frozen control shows what a random
discriminator is worth, and behavioural cloning what the demonstrations alone are. GAN-Q stands beside the imitators: the
same discriminator package, shown the true reward instead of demonstrations.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ganq_irl.environments.true_rewards import pendulum_reward
from ganq_irl.evaluation import EpisodeStatistics, Evaluation, summarize_episodes
from ganq_irl.evaluation.pictures import STEPS, read_progress
from ganq_irl.files import replace_file, require_vacant
from ganq_irl.rewards import RewardModel
from ganq_irl.runs.config import EvaluationConfig, ExperimentConfig, merged
from ganq_irl.runs.directory import PROGRESS, REWARD, load_run, versions, write_json
from ganq_irl.runs.resolve import resolve_config
from ganq_irl.space_matrix import IMITATION
from ganq_irl.studies.parallel import run_all
from ganq_irl.studies.quickstart_pictures import draw_returns, draw_rewards, pendulum_grid
from ganq_irl_demos import (
    Demonstrations,
    Trajectory,
    load_demonstrations,
    random_policy,
    record_episodes,
    reference_returns,
)

ENV = "Pendulum-v1"
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
"""Started first, so that nothing is waited for alone."""
_RECOVERED = ("AIRL", "GAIL")


@dataclass(frozen=True)
class QuickstartResult:
    """What the quickstart found.

    Attributes:
        folder: where runs, tables and pictures are.
        scores: true return by who acted, from expert to random.
        correlations: Pearson correlation of each recovered reward with the true one, over the transitions of the
            demonstrations and of random actions.
        seconds: how long it took.
    """

    folder: Path
    scores: dict[str, Evaluation]
    correlations: dict[str, float]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Everything, with the versions that computed it."""
        return {
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "reward_correlation": self.correlations,
            "seconds": self.seconds,
            "versions": versions(),
        }

    def rows(self) -> list[tuple[str, ...]]:
        """The table of scores as text, header first."""
        header = ("", "mean return", "95 % interval", "normalised")
        return [header, *((name, *_cells(score)) for name, score in self.scores.items())]


def run_quickstart(
    out: Path | str | None = None,
    *,
    seed: int = 0,
    device: str = "auto",
    demos: str = "pendulum",
    timesteps: int | None = None,
) -> QuickstartResult:
    """Train GAIL, AIRL, the frozen control, BC and GAN-Q side by side, evaluate them, and draw what came out.

    Args:
        out: an empty or new folder; ``runs/quickstart-<seed>`` where absent.
        seed: of every run.
        device: "auto" is the CPU here, which is faster for networks this small.
        demos: demonstrations of Pendulum-v1, with rewards.
        timesteps: environment steps of each run but BC's; by default those of the presets, and 10 000 of GAN-Q.

    Raises:
        RunDirectoryError: ``out`` is not empty.
        GanqIrlError: the demonstrations cannot be used.
    """
    start = time.perf_counter()
    folder = Path(out) if out is not None else _default_folder(seed)
    require_vacant(folder)
    expert = load_demonstrations(demos, env_id=ENV)
    expert.select(N_TRAJECTORIES)  # too few are refused before any process starts
    device = "cpu" if device == "auto" else device
    configs = {name: _config(settings, demos, seed, device, timesteps) for name, settings in _RUNS.items()}
    folders = {name: folder / name.replace(" ", "-").lower() for name in configs}
    results = run_all({folders[name]: configs[name] for name in sorted(configs, key=lambda name: name != _LONGEST)})
    random = _random_play()
    scores = {name: results[folders[name]].evaluation for name in configs}
    scores = {"expert": _summarize(expert), **scores, "random": _summarize(random)}
    correlations = {
        name: reward_correlation(RewardModel.load(folders[name] / REWARD), [*expert, *random]) for name in _RECOVERED
    }
    _draw(folder, folders, scores, expert)
    result = QuickstartResult(folder, scores, correlations, round(time.perf_counter() - start, 1))
    write_json(folder / "results.json", result.to_json())
    replace_file(folder / "results.md", _markdown(result).encode())
    return result


def _config(settings: dict[str, Any], demos: str, seed: int, device: str, timesteps: int | None) -> ExperimentConfig:
    shared = {"env": ENV, "seed": seed, "device": device, "evaluation": asdict(EVALUATION)}
    if settings["algo"] in IMITATION:
        shared |= {"demos": demos, "n_trajectories": N_TRAJECTORIES}
    if settings["algo"] == "bc":
        return resolve_config(merged(shared, settings) | {"evaluation": asdict(EVALUATION) | {"every": 0}})
    return resolve_config(merged(shared, settings) | ({} if timesteps is None else {"timesteps": timesteps}))


def _summarize(trajectories: Sequence[Trajectory]) -> Evaluation:
    returns = np.array([trajectory.episode_return for trajectory in trajectories])
    lengths = np.array([len(trajectory) for trajectory in trajectories])
    seed = trajectories[0].seed or 0
    return summarize_episodes(EpisodeStatistics(returns, lengths), seed=seed, references=reference_returns(ENV))


def _random_play() -> Demonstrations:
    env = gym.make(ENV)
    policy = random_policy(env.action_space, np.random.default_rng(EVALUATION.seed))
    return record_episodes(policy, env, EVALUATION.episodes, seed=EVALUATION.seed)


def _draw(folder: Path, folders: dict[str, Path], scores: dict[str, Evaluation], expert: Demonstrations) -> None:
    """Write both pictures."""
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
    """Pearson correlation of a recovered reward with the recorded one over all transitions of ``trajectories``."""
    states = [np.asarray(trajectory.observations) for trajectory in trajectories]
    observations, next_observations = np.concatenate([s[:-1] for s in states]), np.concatenate([s[1:] for s in states])
    actions, true = (np.concatenate([getattr(one, name) for one in trajectories]) for name in ("actions", "rewards"))
    recovered = model.reward(observations, actions, next_observations, np.zeros(len(actions)))
    return round(float(np.corrcoef(recovered, true)[0, 1]), 3)


def learning_curve(run: Path) -> np.ndarray:
    """The evaluations on a run's way: ``(n, 2)``, environment steps and mean true return."""
    columns = read_progress(run / PROGRESS) if (run / PROGRESS).is_file() else {}
    returns = columns.get("eval/mean_reward", np.empty(0))
    shown = np.isfinite(returns)
    return np.stack([columns[STEPS][shown], returns[shown]], axis=1) if shown.any() else np.empty((0, 2))


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


def _default_folder(seed: int) -> Path:
    names = (Path("runs") / (f"quickstart-{seed}" if i == 0 else f"quickstart-{seed}-{i}") for i in count())
    return next(path for path in names if not path.exists())
