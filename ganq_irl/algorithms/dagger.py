"""DAgger: the policy acts, an expert corrects it, and the policy clones all corrections so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from ganq_irl.algorithms.base import GeneratorImitation, batch_for, demonstrations_for
from ganq_irl.algorithms.cloning import CloningUpdates
from ganq_irl.algorithms.settings import Settings, takes_settings
from ganq_irl.errors import ConfigurationError
from ganq_irl.generators.callbacks import substituting
from ganq_irl.generators.checks import check_generator
from ganq_irl.generators.internals import generator_state, last_observations, load_generator_state
from ganq_irl.generators.on_policy.recorder import TransitionRecorder
from ganq_irl.generators.policies.experts import Expert, build_expert
from ganq_irl.types import Batch, mapped, to_float32


@dataclass(frozen=True, kw_only=True)
class DAggerSettings(Settings):
    """Settings of DAgger.

    Attributes:
        expert: who is asked for actions: a run directory, ``module:function``, ``person`` (at the keyboard), a function of
            observations, ``(n, *shape) -> (n, *action_shape)``, or an ``Expert``.
        n_labels: number of actions that the expert is asked for, spread evenly over the run; by default one in every
            observation. A person decides when to correct, and is asked no more once all are given.
        n_updates: updates of behavioral cloning before the first rollout and after each, in batches of 256.
    """

    expert: str | Callable[..., Any] | Expert | None = None
    n_labels: int | None = None
    n_updates: int = 500


class DAgger(GeneratorImitation):
    """Dataset aggregation (Ross, Gordon & Bagnell, 2011, algorithm 3.1).

    The policy first clones the demonstrations, which are the first iteration. In each later iteration it acts, the expert
    says what it would have done in the observations that the policy visits, and the policy clones all pairs so far. β is 1
    in the first iteration and 0 in the others, the paper's version without a parameter.

    If the expert is a person, their actions are executed, and only these are labels: the policy acts until the person takes
    over (HG-DAgger; Kelly et al., 2019).

    Args:
        generator: an on-policy SB3 algorithm with its environment, whose policy is cloned into. It never sees a reward, and
            its own updates do not run.
        demonstrations: a catalog name, a file, ``Demonstrations``, or imitation's trajectories or transitions.
        **settings: the fields of ``DAggerSettings``.

    Attributes:
        n_labels: number of actions that the expert gave so far, demonstrations not included.

    Raises:
        GanqIrlError: generator, environment, demonstrations, expert or settings do not work together.

    Example:
        >>> def push_back(observations):  # against the angular velocity of the pole
        ...     return (observations[:, 3] > 0).astype(int)
        >>> dagger = DAgger(ppo, demos, expert=push_back, n_labels=100, n_updates=10).learn(256)
        >>> dagger.n_labels
        100
    """

    name = "dagger"
    modes: ClassVar = {"default": DAggerSettings}
    settings: DAggerSettings
    generator: OnPolicyAlgorithm

    @takes_settings(DAggerSettings)
    def __init__(self, generator: BaseAlgorithm, demonstrations: Any, settings: DAggerSettings) -> None:
        self._build(generator, demonstrations, settings)

    def _build(self, generator: BaseAlgorithm, demonstrations: Any, settings: DAggerSettings) -> None:
        check_generator(self.name, generator, batch_size=1)
        assert isinstance(generator, OnPolicyAlgorithm)
        if settings.expert is None:
            raise ConfigurationError("dagger asks an expert: give a run directory, module:function or person with --expert")
        self.generator, self.settings = generator, settings
        self.expert = build_expert(settings.expert, generator.action_space, self._picture)
        if self.expert.takes_over and generator.n_envs > 1:
            raise ConfigurationError(f"a person can watch one environment, not {generator.n_envs}; set n_envs=1")
        loaded = demonstrations_for(generator, demonstrations, needs=["actions"])
        self.demonstrations_checksum, self._n_demonstrated = loaded.checksum, loaded.n_transitions
        shown = batch_for(generator, loaded)
        pairs = _pairs(shown.observations, shown.actions)
        self._cloning = CloningUpdates(generator, pairs, settings.n_updates, settings.seed)
        self._cloning.init_callback(generator)
        self._rng = np.random.default_rng(settings.seed)
        self._new: list[tuple[Any, Any]] = []
        self._has_cloned, self._end = False, 0
        self.n_labels = 0

    @contextmanager
    def _installed(self, callbacks: Sequence[BaseCallback] = ()) -> Iterator[BaseCallback]:
        generator: Any = self.generator
        recorder = _Corrected(generator.get_env(), lambda: last_observations(generator), self._act)
        own = _Iterations(self, recorder)
        attributes = {"env": recorder, "train": self._aggregate}
        with self.expert.session(), substituting([own, *callbacks], **attributes) as callback:
            yield callback

    def _act(self, observations: Any, actions: np.ndarray) -> np.ndarray:
        """Ask the expert, keep its labels, and return the actions to execute."""
        asked = np.flatnonzero(self._rng.random(len(actions)) < self._chance(len(actions))).tolist()
        if not asked:
            return actions
        executed = np.array(actions)
        corrections = self.expert.correct(mapped(lambda rows: rows[asked], observations), actions[asked])
        for index, label in zip(asked, corrections, strict=True):
            if label is not None:
                self._new.append((mapped(partial(_row, index), observations), label))
                self.n_labels += 1
                if self.expert.takes_over:
                    executed[index] = label
        return executed

    def _chance(self, n_envs: int) -> float:
        """Return the probability of asking in each observation: labels that are left by steps that are left."""
        if self.settings.n_labels is None:
            return 1.0
        n_left = self.settings.n_labels - self.n_labels
        if self.expert.takes_over:
            return float(n_left > 0)
        return n_left / max(n_envs, self._end - self.generator.num_timesteps)

    def _begin(self, total_timesteps: int) -> None:
        self._end = total_timesteps
        if not self._has_cloned:
            self._cloning.update()
            self._has_cloned = True

    def _aggregate(self) -> None:
        """Add the new labels to the data, and clone all of it; called in the place of the generator's ``train``."""
        if self._new:
            device, actions = self.generator.device, np.stack([label for _, label in self._new])
            observations = _stacked([observation for observation, _ in self._new], device)
            self._cloning.add(_pairs(observations, torch.as_tensor(actions, device=device)))
            self._new.clear()
        self._cloning.update()
        self.generator.logger.record("imitation/expert_labels", self.n_labels)

    def _picture(self) -> str | None:
        env = self.generator.get_env()
        assert env is not None
        return str(env.env_method("render")[0]) if env.get_attr("render_mode")[0] == "ansi" else None

    def recovered_reward(self) -> None:
        """Return None: no reward is learned."""

    def _provenance(self) -> dict[str, Any]:
        return {**super()._provenance(), "expert_labels": self.n_labels}

    def _repr_details(self) -> dict[str, Any]:
        return {"n_labels": self.n_labels}

    def _state_dict(self) -> dict[str, Any]:
        labelled = self._cloning.demonstrations[self._n_demonstrated :]
        return {
            "generator": generator_state(self.generator),
            "cloning": self._cloning.state_dict(),
            "labelled": {"observations": labelled.observations, "actions": labelled.actions},
            "n_labels": self.n_labels - len(self._new),  # a checkpoint is saved between iterations
            "has_cloned": self._has_cloned,
            "rng": self._rng.bit_generator.state,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        load_generator_state(self.generator, state["generator"])
        self._cloning.demonstrations = self._cloning.demonstrations[: self._n_demonstrated]
        self._cloning.add(_pairs(state["labelled"]["observations"], state["labelled"]["actions"]))
        self._cloning.load_state_dict(state["cloning"])
        self.n_labels, self._has_cloned = state["n_labels"], state["has_cloned"]
        self._rng.bit_generator.state = state["rng"]


class _Corrected(TransitionRecorder):
    """Executes what ``act`` returns for the raw observations and the policy's actions."""

    def __init__(self, venv: Any, observed: Callable[[], Any], act: Callable[[Any, np.ndarray], np.ndarray]) -> None:
        super().__init__(venv, observed)
        self._act = act

    def step_async(self, actions: np.ndarray) -> None:
        """Step with corrected actions."""
        if self._last is None:
            self._last = self._raw(self._observed())
        super().step_async(self._act(self._last, np.array(actions)))


class _Iterations(BaseCallback):
    """Clone the demonstrations first, and what a person corrected last when the person leaves."""

    def __init__(self, dagger: DAgger, recorder: TransitionRecorder) -> None:
        super().__init__()
        self.dagger, self.recorder = dagger, recorder

    def _on_training_start(self) -> None:
        self.dagger._begin(self.locals["total_timesteps"])

    def _on_rollout_start(self) -> None:
        self.recorder.clear()

    def _on_step(self) -> bool:
        return not self.dagger.expert.has_left

    def _on_training_end(self) -> None:
        if self.dagger._new:
            self.dagger._aggregate()


def _row(index: int, rows: np.ndarray) -> np.ndarray:
    return np.array(rows[index])


def _pairs(observations: Any, actions: torch.Tensor) -> Batch:
    """Return rows to clone, of which only observations and actions are read."""
    return Batch(observations, actions, observations, torch.zeros(len(actions), device=actions.device))


def _stacked(rows: list[Any], device: torch.device) -> Any:
    if isinstance(rows[0], dict):
        return {key: _stacked([row[key] for row in rows], device) for key in rows[0]}
    return to_float32(torch.as_tensor(np.stack(rows), device=device))
