"""Transfer of a recovered reward: train a new policy on it under changed dynamics (Fu et al., 2018, section 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganq_irl.errors import ConfigurationError, RunDirectoryError, nearest
from ganq_irl.evaluation import EpisodeStatistics, Evaluation, evaluate_returns, random_returns, summarize_episodes
from ganq_irl.files import require_plain
from ganq_irl.generators.factory import GENERATORS
from ganq_irl.rewards.wrappers import check_fits
from ganq_irl.runs.config import ExperimentConfig
from ganq_irl.runs.directory import INFO, Run, load_run, write_json
from ganq_irl.runs.envs import probe_env
from ganq_irl.runs.presets import NONE, alike, choose_preset, env_family
from ganq_irl.runs.resolve import resolve_config
from ganq_irl.runs.rewards import StoredReward, read_reward
from ganq_irl.runs.runner import resume_experiment, run_experiment
from ganq_irl.space_matrix import DEFAULT_GENERATOR

RECOVERED, TRUE, MOVED, RANDOM = "recovered", "true", "moved", "random"
RESULT = "transfer.json"
_EVALUATION_EPISODES = 100


@dataclass(frozen=True)
class Transfer:
    """Result of a transfer to a changed environment.

    Attributes:
        run: the run that recovered the reward.
        learned_in: the environment of that run.
        tested_in: the changed environment.
        generator: the algorithm that was trained there.
        timesteps: environment steps of each training.
        seed: seed of both trainings.
        evaluations: true returns in the changed environment: of a new policy trained on the ``recovered`` reward, of one
            trained on the ``true`` reward, of the run's own policy ``moved`` without training, and of ``random`` actions.
            Normalized to 0 for random and 1 for the true reward, unless the latter is no better.

    Example:
        >>> from ganq_irl.evaluation import EpisodeStatistics, summarize_episodes
        >>> moved = summarize_episodes(EpisodeStatistics(np.array([-300.0]), np.array([200])), seed=0)
        >>> to = "ganq_irl/ChangedPendulum-v0"
        >>> Transfer("runs/airl", "Pendulum-v1", to, "fast-ppo", 100_000, 0, {"moved": moved}).to_json()["tested_in"]
        'ganq_irl/ChangedPendulum-v0'
    """

    run: str
    learned_in: str
    tested_in: str
    generator: str
    timesteps: int
    seed: int
    evaluations: Mapping[str, Evaluation]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, without the returns of single episodes."""
        told = {name: evaluation.to_json() for name, evaluation in self.evaluations.items()}
        for content in told.values():
            del content["returns"]
        return {**self.__dict__, "evaluations": told}


def transfer_reward(
    run: Path | str,
    to: str,
    *,
    out: Path | str | None = None,
    generator: str = DEFAULT_GENERATOR,
    timesteps: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    env_kwargs: Mapping[str, Any] | None = None,
    progress_bar: bool = True,
    announce: Callable[[str], None] = lambda _: None,
) -> Transfer:
    """Train on a recovered reward and on the true one in a changed environment, and compare.

    The folder holds both run directories, ``recovered`` and ``true``, and ``transfer.json``. If it was interrupted, a new
    call continues and does not repeat a finished training.

    Args:
        run: a run that recovered a reward.
        to: Gymnasium id of the changed environment, with the same spaces.
        out: folder; ``runs/transfer-<algo>-<env>-<seed>`` by default.
        generator: the algorithm to train. Its settings are those of its preset for the environment that the reward was
            learned in, or else those of the run's generator if that takes the same settings.
        timesteps: environment steps of each training; those of the settings by default.
        seed: seed of both trainings; the run's by default.
        device: cpu, cuda or auto.
        env_kwargs: keyword arguments of the changed environment, such as ``max_episode_steps``.
        progress_bar: show a progress bar on stderr for each training.
        announce: called with a short description before each training.

    Raises:
        RunDirectoryError: the run holds no reward, or ``out`` holds something else.
        IncompatibleSpaces: the environment's spaces differ from the reward's.
        ConfigurationError: the environment or generator is unknown.

    Example:
        >>> transfer_reward("nowhere", to="ganq_irl/ChangedPendulum-v0")
        Traceback (most recent call last):
        ganq_irl.errors.RunDirectoryError: ...
    """
    stored = read_reward(run)
    configs = transfer_configs(
        stored, to, generator=generator, timesteps=timesteps, seed=seed, device=device, env_kwargs=env_kwargs
    )
    source, config = _source(stored), configs[TRUE]
    default = Path("runs") / f"transfer-{source.config.algo}-{env_family(to).lower()}-{config.seed}"
    folder = require_plain(default if out is None else out)
    policies = {MOVED: source.policy("cpu")}
    for name, one in configs.items():
        announce(f"{one.algo} on the {name} reward in {to}")
        policies[name] = trained(one, folder / name, progress_bar=progress_bar).policy("cpu")
    episodes, first = config.evaluation.episodes, config.evaluation.seed
    played: dict[str, Any] = {"seed": first, "env_kwargs": config.env_kwargs}
    statistics = {name: evaluate_returns(policy, to, episodes, **played) for name, policy in policies.items()}
    statistics[RANDOM] = random_returns(to, episodes, **played)
    assert config.timesteps is not None
    result = Transfer(
        run=str(run),
        learned_in=source.config.env,
        tested_in=to,
        generator=config.algo,
        timesteps=config.timesteps,
        seed=config.seed,
        evaluations=normalized(statistics, first),
    )
    write_json(folder / RESULT, result.to_json())
    return result


def transfer_configs(
    stored: StoredReward,
    to: str,
    *,
    generator: str = DEFAULT_GENERATOR,
    timesteps: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    env_kwargs: Mapping[str, Any] | None = None,
) -> dict[str, ExperimentConfig]:
    """Return the settings of both trainings, which differ only in the reward.

    Raises:
        GanqIrlError: as ``transfer_reward``.
    """
    source = _source(stored)
    if generator not in GENERATORS:
        raise ConfigurationError(f"unknown generator {generator!r}; {nearest(generator, GENERATORS)}")
    environment = probe_env(to, env_kwargs)
    environment.close()
    check_fits(stored.reward, environment.observation_space, environment.action_space)
    own = source.config
    given = {"timesteps": timesteps, "seed": own.seed if seed is None else seed, "env_kwargs": dict(env_kwargs or {})}
    evaluation = {"episodes": _EVALUATION_EPISODES, "seed": own.evaluation.seed}
    config = resolve_config(
        {"algo": generator, "env": to, "device": device, "evaluation": evaluation, **_settings(own, generator), **given}
    )
    return {RECOVERED: replace(config, reward=str(stored.folder.resolve())), TRUE: config}


def _source(stored: StoredReward) -> Run:
    if stored.run is None:
        raise RunDirectoryError(
            f"{stored.folder} is a reward without its run; give the run that recovered it, whose policy is transferred too",
            page="how_to/transfer",
        )
    return stored.run


def _settings(own: ExperimentConfig, generator: str) -> dict[str, Any]:
    preset, _ = choose_preset(None, generator, own.env, None)
    if preset != NONE:
        return {"preset": preset}
    settings: dict[str, Any] = {"preset": NONE, "n_envs": own.n_envs, "normalize_observations": own.normalize_observations}
    if alike(own.generator, generator):
        settings["generator_kwargs"] = own.generator_kwargs
    return settings


def trained(config: ExperimentConfig, folder: Path, *, progress_bar: bool = False) -> Run:
    """Return the finished run of these settings in a folder; resume or train it if needed.

    Raises:
        RunDirectoryError: the folder holds a run with other settings, or something else.
    """
    if (folder / INFO).is_file():
        run = load_run(folder)
        if replace(run.config, preset=NONE) != replace(config, preset=NONE):
            raise RunDirectoryError(f"{folder} holds a run with other settings; choose another --out, or move it away")
        if run.info.get("status") != "finished":
            resume_experiment(folder, progress_bar=progress_bar)
    else:
        run_experiment(config, folder, progress_bar=progress_bar)
    return load_run(folder)


def normalized(statistics: Mapping[str, EpisodeStatistics], seed: int) -> dict[str, Evaluation]:
    """Normalize the returns to 0 for random actions and 1 for the true reward, unless the latter is no better."""
    random, true = (float(statistics[name].returns.mean()) for name in (RANDOM, TRUE))
    references = (random, true) if true > random else None
    return {name: summarize_episodes(episodes, seed=seed, references=references) for name, episodes in statistics.items()}
