"""``FastPPO``: Stable-Baselines3's PPO with the same interface and, up to rounding, the same results."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv

from ganq_irl.accelerated.core import Twin
from ganq_irl.accelerated.ppo.rollout import FrozenPolicy, Timeout, store_step
from ganq_irl.accelerated.ppo.support import why_slow
from ganq_irl.accelerated.ppo.update import Epoch, Metrics, PPOLoss, Updater, approx_kl


class FastPPO(Twin, PPO):
    """PPO (Schulman et al., 2017), with Stable-Baselines3's constructor, results and log keys in a fraction of its time.

    The same seed gives SB3's actions bit for bit, as long as the parameters agree, and its parameters after an update within
    1e-6, since sums are computed in another order. The differences are internal:

    - The policy does not change during a rollout, so only the actor runs at each step. Values, log-probabilities and the
      values of observations at time limits are computed for the whole rollout at its end, in one batch.
    - The update computes its gradient explicitly instead of with autograd, and does not validate arguments of distributions.
      The rows of an epoch are gathered once, and its minibatches are slices.
    - Metrics are read once per update instead of several times per minibatch.
    - Adam updates all parameters in one fused operation.

    This is exact for policies of linear layers with tanh, ReLU, ELU or leaky ReLU between them, Box observations that are
    not images, and Discrete or Box actions. For anything else (other networks, spaces and distributions, state-dependent
    exploration, other rollout buffers, hooks, frozen parameters), SB3's own code runs unchanged. It also runs if SB3's
    methods differ from those of the releases that this class was compared with. This is decided when the model is built and
    when ``learn`` starts.

    Callbacks see two differences. ``locals`` have ``values`` and ``log_probs`` only at the end of a rollout, and no
    ``obs_tensor``. If a callback changes the policy during a rollout, the whole rollout is evaluated with the final policy.

    Attributes:
        slow_reason: why SB3's own code runs, or None if it does not; changes are logged.

    Raises:
        TrainingDiverged: parameters or log-probabilities are no longer finite.

    Example:
        >>> model = FastPPO("MlpPolicy", "CartPole-v1", n_steps=64, device="cpu").learn(64)
        >>> model.slow_reason is None
        True
    """

    _last_obs: Any  # arrays, if the fast path is taken
    _last_episode_starts: Any

    def _why_slow(self) -> str | None:
        return why_slow(self)

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the buffer with experience of the current policy; return False if a callback stopped it."""
        if self.slow_reason is not None:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        assert self._last_obs is not None, "learn resets the environment first"
        self.policy.set_training_mode(False)
        n_steps = 0
        rollout_buffer.reset()
        callback.on_rollout_start()
        policy, timeouts = FrozenPolicy(self.policy), []

        while n_steps < n_rollout_steps:
            actions = clipped_actions = policy.act(self._last_obs)
            if isinstance(self.action_space, spaces.Box):
                clipped_actions = np.clip(actions, self.action_space.low, self.action_space.high)
            new_obs, rewards, dones, infos = env.step(clipped_actions)
            self.num_timesteps += env.num_envs

            callback.update_locals(locals())  # with SB3's names
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)

            for index in np.flatnonzero(dones):
                terminal = infos[index].get("terminal_observation")
                if terminal is not None and infos[index].get("TimeLimit.truncated", False):
                    timeouts.append(Timeout(n_steps, int(index), np.array(terminal)))
            store_step(rollout_buffer, self._last_obs, actions, rewards, self._last_episode_starts)
            n_steps += 1
            self._last_obs, self._last_episode_starts = new_obs, dones

        values, log_probs = policy.finish(rollout_buffer, self._last_obs, timeouts, self.gamma)
        rollout_buffer.compute_returns_and_advantage(last_values=values, dones=dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Update the policy with the last rollout."""
        if self.slow_reason is not None:
            return super().train()
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        progress, clip_range_vf = self._current_progress_remaining, self.clip_range_vf
        loss = PPOLoss(
            clip_range=self.clip_range(progress),  # type: ignore[operator]  # SB3 converts both to schedules
            clip_range_vf=None if clip_range_vf is None else clip_range_vf(progress),  # type: ignore[operator]
            ent_coef=self.ent_coef,
            vf_coef=self.vf_coef,
        )
        with torch.no_grad():
            epochs = self._run_epochs(loss)
        self._require_finite("the policy's parameters", all(bool(p.isfinite().all()) for p in self.policy.parameters()))
        self._record(loss, epochs)

    def _run_epochs(self, loss: PPOLoss) -> list[Metrics]:
        updater, epochs = Updater(self.policy, loss, self.max_grad_norm), []
        for number in range(self.n_epochs):
            epoch = Epoch.draw(self.rollout_buffer, self.batch_size, self.normalize_advantage)
            too_far = False
            for batch in epoch.minibatches():
                updater.evaluate(batch)
                too_far = self._has_moved_too_far(batch.log_ratio, number)
                if too_far:
                    break
                updater.step(batch)
            epochs.append(epoch.metrics(loss))
            self._n_updates += 1
            if too_far:
                break
        return epochs

    def _has_moved_too_far(self, log_ratio: torch.Tensor, epoch: int) -> bool:
        if self.target_kl is None:
            return False
        divergence = float(approx_kl(log_ratio).mean())
        if divergence > 1.5 * self.target_kl and self.verbose >= 1:
            print(f"Early stopping at step {epoch} due to reaching max kl: {divergence:.2f}")
        return divergence > 1.5 * self.target_kl

    def _record(self, loss: PPOLoss, epochs: list[Metrics]) -> None:
        """Log with SB3's keys in SB3's order."""
        means = Metrics(*(torch.cat(metric).mean() for metric in zip(*epochs, strict=True)))
        buffer, record = self.rollout_buffer, self.logger.record
        record("train/entropy_loss", float(means.entropy_loss))
        record("train/policy_gradient_loss", float(means.policy_loss))
        record("train/value_loss", float(means.value_loss))
        record("train/approx_kl", float(epochs[-1].approx_kl.mean()))  # of the last epoch, as in SB3
        record("train/clip_fraction", float(means.clip_fraction))
        record("train/loss", loss.total(epochs[-1]))
        record("train/explained_variance", explained_variance(buffer.values.flatten(), buffer.returns.flatten()))
        if hasattr(self.policy, "log_std"):
            record("train/std", self.policy.log_std.exp().mean().item())
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/clip_range", loss.clip_range)
        if loss.clip_range_vf is not None:
            record("train/clip_range_vf", loss.clip_range_vf)
