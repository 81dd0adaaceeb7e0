"""Callbacks of a run: the progress bar, and evaluations under the environment's own reward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from ganq_irl.evaluation import evaluate_returns
from ganq_irl.generators.policies.store import StoredPolicy, save_policy
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.heldout import Heldout
from ganq_irl.runs.stateful import StatefulCallback
from ganq_irl.runs.tensorboard import record_histogram, write_video
from ganq_irl.runs.video import make_rendered_env, record_policy_video


class ProgressBar(BaseCallback):
    """Callback that advances a progress bar and shows the mean true return of the last episodes."""

    def __init__(self, bar: tqdm) -> None:
        super().__init__()
        self.bar = bar

    def _on_step(self) -> bool:
        done = min(self.num_timesteps, self.bar.total or 0)  # SB3 ends with a whole rollout
        self.bar.update(done - self.bar.n)
        return True

    def _on_rollout_start(self) -> None:
        episodes = self.model.ep_info_buffer
        if episodes:
            self.bar.set_postfix(returns=f"{np.mean([episode['r'] for episode in episodes]):.4g}", refresh=False)


class PeriodicEvaluation(StatefulCallback):
    """Callback that evaluates the policy at regular intervals, from the same initial states each time.

    SB3's EvalCallback instead continues the random state of its environment, so that evaluations differ in their initial
    states, and it needs an evaluation environment wrapped like the training one.

    Args:
        config: the run's settings.
        policy: returns the current policy.
        best_folder: where to save the best policy, if the settings ask for it.
        heldout: demonstrations that the run does not learn from, or None.
    """

    SAVED = ("best", "last", "_next")

    def __init__(
        self,
        config: ExperimentConfig,
        policy: Callable[[], StoredPolicy],
        best_folder: Path,
        heldout: Heldout | None = None,
    ) -> None:
        super().__init__()
        self.config, self.policy, self.best_folder, self.heldout = config, policy, best_folder, heldout
        self.best, self._next = -np.inf, config.evaluation.every
        self.last: float | None = None

    def _on_step(self) -> bool:
        if self.num_timesteps >= self._next:
            self._next += self.config.evaluation.every
            self._evaluate()
        return True

    def _evaluate(self) -> None:
        config, policy = self.config, self.policy()
        episodes = evaluate_returns(
            policy,
            config.env,
            config.evaluation.episodes,
            seed=config.evaluation.seed,
            env_kwargs=config.env_kwargs,
            records=self.heldout is not None,
        )
        mean = float(np.mean(episodes.returns))
        self.logger.record("eval/mean_reward", mean)
        record_histogram(self.logger, "eval/returns", episodes.returns)
        self.logger.record("eval/mean_ep_length", float(np.mean(episodes.lengths)))
        distance = None if self.heldout is None else self.heldout.distance(episodes.trajectories)
        if distance is not None:
            self.logger.record("imitation/heldout_distance", distance.distance)
            self.logger.record("imitation/heldout_low", distance.interval[0])
            self.logger.record("imitation/heldout_high", distance.interval[1])
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(self.num_timesteps)
        if config.evaluation.video:
            self._record_video(policy)
        score = -distance.distance if distance is not None and config.evaluation.keep_best == "heldout" else mean
        if config.evaluation.keep_best != "none" and score > self.best:
            save_policy(policy, self.best_folder)
        self.best, self.last = max(self.best, score), mean

    def _record_video(self, policy: StoredPolicy) -> None:
        env = make_rendered_env(self.config.env, self.config.env_kwargs)
        video = record_policy_video(policy, env, self.config.evaluation.seed)
        env.close()
        write_video(self.logger, "eval/episode", video, self.num_timesteps)
