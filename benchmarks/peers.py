"""Run imitation's GAIL with the generator, demonstrations and evaluations of one of our configurations."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ganq_irl.runs.config import ExperimentConfig

ROUND = 50
"""Steps between updates of its discriminator, one update for two steps. Its default off-policy is 1 step, and each a call of
SB3's ``learn``."""


def without_schedule(options: dict[str, Any]) -> dict[str, Any]:
    """A generator's options with the mean of its learning rate where that is to fall.

    Each round of imitation's is a ``learn`` that SB3 takes for the end of its run, so that a falling rate is next to 0 from
    the first rounds on: HalfCheetah's policy stayed as it was for 200,000 steps.
    """
    rate = options.get("learning_rate")
    return options | {"learning_rate": (rate["initial"] + rate["final"]) / 2} if isinstance(rate, dict) else options


def run_imitation_gail(config: ExperimentConfig, folder: Path) -> dict[str, Any]:
    """Train imitation's GAIL with the generator that ``config`` names; the discriminator is imitation's own default.

    Args:
        config: of a run of ours that learns from replay; what it says of the discriminator is not read.
        folder: where ``config.toml`` and ``progress.csv`` go, with the columns that our runs have.

    Returns:
        The evaluation of the last policy, 100 episodes.
    """
    from imitation.algorithms.adversarial.gail import GAIL
    from imitation.data.wrappers import RolloutInfoWrapper
    from imitation.rewards.reward_nets import BasicRewardNet
    from imitation.util import logger as imitation_logger
    from imitation.util.networks import RunningNorm
    from stable_baselines3.common.env_util import make_vec_env

    from ganq_irl.evaluation.rollouts import evaluate_returns
    from ganq_irl.generators.factory import build_generator
    from ganq_irl.runs.runner import evaluate_run_policy
    from ganq_irl.runs.training import demonstrations_of
    from ganq_irl.runs.validation import acting_generator
    from ganq_irl_demos import to_imitation

    assert config.timesteps is not None
    name = acting_generator(config)
    assert name is not None
    env = make_vec_env(config.env, config.n_envs, seed=config.seed, wrapper_class=RolloutInfoWrapper)
    options = without_schedule(config.generator_kwargs)
    generator: Any = build_generator(name, env, seed=config.seed, device=config.device, **options)
    trainer = GAIL(
        demonstrations=to_imitation(demonstrations_of(config)),
        demo_batch_size=64,
        venv=env,
        gen_algo=generator,
        reward_net=BasicRewardNet(env.observation_space, env.action_space, normalize_input_layer=RunningNorm),
        n_disc_updates_per_round=ROUND // 2,
        gen_train_timesteps=ROUND,
        allow_variable_horizon=True,
        custom_logger=imitation_logger.configure(format_strs=[]),
    )
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    rows: list[tuple[int, float]] = []

    def evaluate(_round: int) -> None:
        if generator.num_timesteps // config.evaluation.every > len(rows):
            chosen = config.evaluation
            returns = evaluate_returns(generator, config.env, chosen.episodes, seed=chosen.seed).returns
            rows.append((generator.num_timesteps, float(returns.mean())))

    trainer.train(config.timesteps, evaluate)
    with open(folder / "progress.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("time/total_timesteps", "eval/mean_reward"), *rows])
    final, _ = evaluate_run_policy(config, generator, episodes=100, seed=50_000)
    return final.to_json()
