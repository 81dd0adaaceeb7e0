"""Run imitation's GAIL with the generator, demonstrations and evaluations of one of our configurations."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ganq_irl.runs.config import ExperimentConfig

ROUND = 50
"""Steps between updates of its discriminator, i.e. one update every two steps. Its off-policy default is 1 step, with a call
of SB3's ``learn`` for each."""


def without_schedule(options: dict[str, Any]) -> dict[str, Any]:
    """Replace a generator's falling learning rate by its mean.

    Each round of imitation's algorithm is a separate ``learn``, which SB3 treats as a whole run, so that a falling rate is
    almost 0 from the first rounds on: HalfCheetah's policy did not change for 200,000 steps.
    """
    rate = options.get("learning_rate")
    return options | {"learning_rate": (rate["initial"] + rate["final"]) / 2} if isinstance(rate, dict) else options


def imitation_gail(config: ExperimentConfig) -> tuple[Any, Any]:
    """Build imitation's GAIL with the generator of ``config``; the discriminator is imitation's default.

    Args:
        config: configuration of one of our replay-based runs; its discriminator settings are ignored.

    Returns:
        imitation's trainer, and its generator.
    """
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.data.wrappers import RolloutInfoWrapper
    from imitation.rewards.reward_nets import BasicRewardNet
    from imitation.util import logger as imitation_logger
    from imitation.util.networks import RunningNorm
    from stable_baselines3.common.env_util import make_vec_env

    from ganq_irl.generators.factory import build_generator
    from ganq_irl.runs.heldout import split_demonstrations
    from ganq_irl.runs.validation import acting_generator
    from ganq_irl_demos import to_imitation

    name = acting_generator(config)
    assert name is not None
    env = make_vec_env(config.env, config.n_envs, seed=config.seed, wrapper_class=RolloutInfoWrapper)
    options = without_schedule(config.generator_kwargs)
    generator: Any = build_generator(name, env, seed=config.seed, device=config.device, **options)
    trainer = GAIL(
        demonstrations=to_imitation(split_demonstrations(config)[0]),
        demo_batch_size=64,
        venv=env,
        gen_algo=generator,
        reward_net=BasicRewardNet(env.observation_space, env.action_space, normalize_input_layer=RunningNorm),
        n_disc_updates_per_round=ROUND // 2,
        gen_train_timesteps=ROUND,
        allow_variable_horizon=True,
        custom_logger=imitation_logger.configure(format_strs=[]),
    )
    return trainer, generator


def run_imitation_gail(config: ExperimentConfig, folder: Path) -> dict[str, Any]:
    """Train ``imitation_gail(config)``.

    Args:
        config: as there.
        folder: folder for ``config.toml`` and ``progress.csv``, with the columns of our runs.

    Returns:
        The evaluation of the last policy over 100 episodes.
    """
    from ganq_irl.evaluation.rollouts import evaluate_returns
    from ganq_irl.runs.runner import evaluate_run_policy

    trainer, generator = imitation_gail(config)
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    rows: list[tuple[int, float]] = []

    def evaluate(_round: int) -> None:
        if generator.num_timesteps // config.evaluation.every > len(rows):
            chosen = config.evaluation
            returns = evaluate_returns(generator, config.env, chosen.episodes, seed=chosen.seed).returns
            rows.append((generator.num_timesteps, float(returns.mean())))

    assert config.timesteps is not None
    trainer.train(config.timesteps, evaluate)
    with open(folder / "progress.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("time/total_timesteps", "eval/mean_reward"), *rows])
    final, _ = evaluate_run_policy(config, generator, episodes=100, seed=50_000)
    return final.to_json()
