"""Compare the time of GAIL and AIRL with plain PPO and with imitation's algorithms, on the same workload.

    python benchmarks/speed.py --out benchmarks/results/speed.md

Every method trains SB3's PPO, or FastPPO, which is equal up to rounding, on the same environments: 8 environments, 2048
steps per rollout, and 8 discriminator updates of 1024 + 1024 transitions per rollout, on ReLU networks with two layers of 32
(imitation's default) or 64 (ours). Methods alternate, with one short run each, so that the machine's load affects all
equally. Processor time is measured, and figures are medians of the ratios within a turn. The other parts measure the cost of
DAC relative to the SAC that it trains, and of pricing a batch relative to SAC's gradient step on it (``--part off-policy``
and ``--part relabel`` measure only these). ``--part sac`` compares whole training steps of FastSAC and FastTD3 with SB3's
SAC and TD3, and of DAC with FastSAC, which it trains, by the width of the networks; ``--env`` replaces HalfCheetah-v5.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from common import clock_of, in_turns, page_parser, ratio, versions, write_markdown
from imitation.algorithms.adversarial import airl as imitation_airl
from imitation.algorithms.adversarial import gail as imitation_gail
from imitation.data.wrappers import RolloutInfoWrapper
from imitation.rewards.reward_nets import BasicRewardNet, BasicShapedRewardNet
from imitation.util import logger as imitation_logger
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.sac.policies import SACPolicy

from ganq_irl.accelerated.ppo import FastPPO
from ganq_irl.accelerated.sac import FastSAC, FastTD3
from ganq_irl.algorithms import AIRL, DAC, GAIL
from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.generators.off_policy import relabeled
from ganq_irl.networks.critic_policies import SACLayerNormPolicy, TD3LayerNormPolicy
from ganq_irl_demos import Demonstrations, random_policy, record_episodes, to_imitation

N_ENVS, N_STEPS, N_UPDATES, BATCH = 8, 256, 8, 1024
SAC_BATCH = 256
PARTS = ("adversarial", "off-policy", "relabel", "sac")
SAC_WIDTHS = (64, 128, 256)
WIDTHS = (32, 64)
SHAPES = {"A: batch 64, 10 epochs": (64, 10), "B: batch 512, 5 epochs": (512, 5)}
METHODS = (
    "PPO",
    "GAIL",
    "AIRL",
    "GAIL, spectral norm",
    "AIRL, spectral norm",
    "GAIL, FastPPO, spectral norm",
    "AIRL, FastPPO, spectral norm",
    "imitation GAIL",
    "imitation AIRL",
)


def make_env(env_id: str) -> VecEnv:
    return make_vec_env(env_id, N_ENVS, seed=0, wrapper_class=RolloutInfoWrapper)


def make_ppo(env: VecEnv, shape: tuple[int, int], kind: type[PPO] = PPO) -> PPO:
    """Build a PPO with a fixed policy: different policies have episodes of different lengths, and resets cost time."""
    sizes = {"n_steps": N_STEPS, "batch_size": shape[0], "n_epochs": shape[1]}
    return kind("MlpPolicy", env, **sizes, learning_rate=0.0, seed=0, device="cpu")


def demonstrations(env_id: str) -> Demonstrations:
    """Return any demonstrations, since the workload is the same."""
    env = gym.make(env_id)
    return record_episodes(
        random_policy(env.action_space, np.random.default_rng(0)), env, 10 if env_id != "CartPole-v1" else 120, seed=0
    )


def build(method: str, env_id: str, shape: tuple[int, int], hidden: tuple[int, int]) -> Callable[[int], object]:
    """Return a function that trains for a number of steps, with everything built before."""
    env = make_env(env_id)
    model = make_ppo(env, shape, FastPPO if "FastPPO" in method else PPO)
    demos = demonstrations(env_id)
    if method == "PPO":
        return lambda steps: model.learn(steps)
    if method.startswith("imitation"):
        net_class = BasicRewardNet if "GAIL" in method else BasicShapedRewardNet
        shapes: dict[str, Any] = (
            {"hid_sizes": hidden} if "GAIL" in method else {"reward_hid_sizes": hidden, "potential_hid_sizes": hidden}
        )
        trainer_class = imitation_gail.GAIL if "GAIL" in method else imitation_airl.AIRL
        trainer = trainer_class(
            demonstrations=to_imitation(demos),
            demo_batch_size=BATCH,
            venv=env,
            gen_algo=model,
            reward_net=net_class(env.observation_space, env.action_space, **shapes),
            n_disc_updates_per_round=N_UPDATES,
            gen_train_timesteps=N_ENVS * N_STEPS,
            gen_replay_buffer_capacity=N_ENVS * N_STEPS,
            allow_variable_horizon=True,
            custom_logger=imitation_logger.configure(format_strs=[]),
        )
        return trainer.train
    algorithm = GAIL if "GAIL" in method else AIRL
    stabilizers = ("spectral-norm",) if "spectral" in method else ()
    return algorithm(model, demos, n_updates=N_UPDATES, batch_size=BATCH, stabilizers=stabilizers, hidden_sizes=hidden).learn


def adversarial(env_id: str, shapes: str, turns: int, rollouts: int) -> list[str]:
    """Return tables of one environment: every method relative to PPO, for each shape of its update and each width."""
    lines = []
    steps = rollouts * N_ENVS * N_STEPS
    chosen = {label: shape for label, shape in SHAPES.items() if label[0] in shapes}
    for (label, shape), width in itertools.product(chosen.items(), WIDTHS):
        training = {method: partial(build(method, env_id, shape, (width, width)), steps) for method in METHODS}
        seconds = in_turns(training, turns, f"{env_id} {shape} {width}")
        lines += [f"## {env_id}, {label}; two layers of {width}", ""]
        lines += ["| method | time / PPO | imitation / ours |", "|---|---|---|"]
        for method in METHODS:
            peer = f"imitation {method[:4]}" if method[:4] in ("GAIL", "AIRL") else None
            faster = ratio(seconds[peer], seconds[method]) if peer else ""
            lines.append(f"| {method} | {ratio(seconds[method], seconds['PPO'])} | {faster} |")
        lines.append("")
    return [*lines, f"{turns} turns of {rollouts} rollouts each.", ""]


def measure_relabel(kind: type[AdversarialImitation], env_id: str, samples: int) -> dict[str, dict[str, float]]:
    """Return median microseconds of a sample with and without pricing, and of SAC's gradient step.

    "in turns": each sample follows a gradient step, as in training, which has just filled the processor's caches with other
    data. "warm": each sample follows another sample.
    """
    plain, priced = (filled_sac(env_id) for _ in range(2))
    assert plain.replay_buffer is not None
    assert priced.replay_buffer is not None
    priced.replay_buffer = relabeled(priced.replay_buffer, kind(priced, demonstrations(env_id)).price)
    step = partial(plain.train, gradient_steps=1, batch_size=SAC_BATCH)
    tasks: dict[str, Callable[[], object]] = {
        "gradient step": step,
        "sample": partial(plain.replay_buffer.sample, SAC_BATCH),
        "gradient step again": step,
        "sample, priced": partial(priced.replay_buffer.sample, SAC_BATCH),
    }
    together = in_turns(tasks, samples, "in turns")
    alone = {name: in_turns({name: task}, samples, name)[name] for name, task in tasks.items()}
    return {
        way: {name: 1e6 * statistics.median(each) for name, each in seconds.items()}
        for way, seconds in (("in turns", together), ("warm", alone))
    }


def filled_sac(env_id: str) -> SAC:
    """Return a SAC with a filled buffer, before its first gradient step."""
    return new_sac(env_id, learning_starts=10_000).learn(2_000)


def new_sac(
    env_id: str, learning_starts: int = SAC_BATCH, device: str = "cpu", policy: str | type[SACPolicy] = "MlpPolicy"
) -> SAC:
    env = make_vec_env(env_id, 1, seed=0)
    return SAC(policy, env, seed=0, device=device, learning_starts=learning_starts, batch_size=SAC_BATCH)


def off_policy(env_id: str, turns: int, steps: int, device: str) -> list[str]:
    """Return the table of DAC's cost relative to the SAC that it trains, including environment and discriminator."""
    variants: dict[str, dict[str, Any]] = {
        "DAC, an update every second step": {"n_updates": 0.5},
        "DAC, the same, replay on the device": {"n_updates": 0.5, "replay_on_device": True},
        "DAC, an update a step": {"n_updates": 1},
    }
    learning: dict[str, SAC | DAC] = {"SAC": new_sac(env_id, device=device)}
    for name, options in variants.items():
        learning[name] = DAC(new_sac(env_id, device=device), demonstrations(env_id), **options)
    normalized = partial(new_sac, env_id, device=device, policy=SACLayerNormPolicy)
    learning["SAC, layer normalization"] = normalized()
    learning["DAC, layer normalization, an update every second step"] = DAC(
        normalized(), demonstrations(env_id), n_updates=0.5
    )
    for model in learning.values():
        model.learn(2 * SAC_BATCH)  # beyond learning_starts, so that every later step trains
    tasks = {name: partial(model.learn, steps, reset_num_timesteps=False) for name, model in learning.items()}
    seconds = in_turns(tasks, turns, f"{env_id}, SAC", clock_of(device))
    lines = [
        f"## Off-policy ({env_id}, SAC's own networks, batch {SAC_BATCH}, {device})",
        "",
        "| method | time / SAC |",
        "|---|---|",
    ]
    lines += [f"| {name} | {ratio(of, seconds['SAC'])} |" for name, of in seconds.items()]
    return [*lines, "", f"{turns} turns of {steps} steps each.", ""]


def accelerated(env_id: str, turns: int, steps: int) -> list[str]:
    """Return the table of whole training steps with one update each: SB3's time relative to ours, and DAC's to FastSAC's."""

    def new(kind: type[OffPolicyAlgorithm], policy: Any, width: int) -> OffPolicyAlgorithm:
        model: Any = kind
        sizes: dict[str, Any] = {
            "batch_size": SAC_BATCH,
            "learning_starts": SAC_BATCH,
            "buffer_size": 100_000,
            "gradient_steps": 1,
        }
        sizes |= {"train_freq": 1, "policy_kwargs": {"net_arch": [width, width]}}
        return model(policy, make_vec_env(env_id, 1, seed=0), seed=0, device="cpu", **sizes)

    rows = []
    for width in SAC_WIDTHS:
        learning: dict[str, Any] = {
            "SAC": new(SAC, "MlpPolicy", width),
            "FastSAC": new(FastSAC, "MlpPolicy", width),
            "SAC, LN": new(SAC, SACLayerNormPolicy, width),
            "FastSAC, LN": new(FastSAC, SACLayerNormPolicy, width),
            "TD3, LN": new(TD3, TD3LayerNormPolicy, width),
            "FastTD3, LN": new(FastTD3, TD3LayerNormPolicy, width),
            "DAC": DAC(new(FastSAC, "MlpPolicy", width), demonstrations(env_id), n_updates=0.5),
        }
        for model in learning.values():
            model.learn(SAC_BATCH + 16)  # beyond learning_starts, so that every later step trains
        tasks = {name: partial(model.learn, steps, reset_num_timesteps=False) for name, model in learning.items()}
        seconds = in_turns(tasks, turns, f"{env_id}, networks of {width}")
        pairs = [("SAC", "FastSAC"), ("SAC, LN", "FastSAC, LN"), ("TD3, LN", "FastTD3, LN"), ("DAC", "FastSAC")]
        rates = [f"{steps / statistics.median(seconds[name]):.0f}" for name in ("SAC", "FastSAC", "FastSAC, LN")]
        cells = [str(width), *(ratio(seconds[slow], seconds[fast]) for slow, fast in pairs), *rates]
        rows.append(f"| {' | '.join(cells)} |")
    return [
        f"## Whole training steps ({env_id}, one update a step, batch {SAC_BATCH}, two layers)",
        "",
        "LN: critics with layer normalization. DAC: an update of the discriminator every second step. Steps are those of a "
        "second of processor time.",
        "",
        "| width | SAC / FastSAC | the same, LN | TD3 / FastTD3, LN | DAC / FastSAC | SAC, steps | FastSAC | FastSAC, LN |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"{turns} turns of {steps} steps each.",
        "",
    ]


def relabel(env_id: str, samples: int) -> list[str]:
    """Return the table of the cost of pricing a SAC batch."""
    lines = [f"## Pricing a SAC batch ({env_id}, batch {SAC_BATCH})", ""]
    lines += ["| | sample, µs | priced, µs | gradient step, µs | pricing / gradient step |", "|---|---|---|---|---|"]
    for name, kind in {"DAC": DAC, "GAIL, spectral norm": GAIL}.items():
        for way, of in measure_relabel(kind, env_id, samples).items():
            sample, priced, step = of["sample"], of["sample, priced"], of["gradient step"]
            lines.append(f"| {name}, {way} | {sample:.0f} | {priced:.0f} | {step:.0f} | {(priced - sample) / step:.1%} |")
    lines += [
        "",
        f"Medians of {samples}. In turns: each sample after a gradient step, as in training. Warm: each by itself.",
        "",
    ]
    return lines


def main() -> None:
    parser = page_parser(__doc__, "speed.md")
    parser.add_argument("--part", action="append", choices=PARTS, help="may be given several times; all by default")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--rollouts", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300, help="steps of SAC and DAC per turn")
    parser.add_argument(
        "--device", default="cpu", help="device of SAC and DAC in the off-policy part; on cuda, wall time is measured"
    )
    parser.add_argument("--samples", type=int, default=300, help="samples of a SAC batch, with and without rewards")
    parser.add_argument("--env", action="append", default=None, help="environment of the adversarial part")
    parser.add_argument("--shapes", default="AB", help=f"shapes of PPO's update: {'; '.join(SHAPES)}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = arguments.part or PARTS

    lines = ["# Speed", "", "Processor time, but for another device's. Ratios are those within a turn: median (range).", ""]
    for env_id in arguments.env or ["CartPole-v1", "Pendulum-v1"]:
        lines += adversarial(env_id, arguments.shapes, arguments.turns, arguments.rollouts) if "adversarial" in parts else []
    lines += off_policy("Pendulum-v1", arguments.turns, arguments.steps, arguments.device) if "off-policy" in parts else []
    lines += relabel("Pendulum-v1", arguments.samples) if "relabel" in parts else []
    if "sac" in parts:
        lines += accelerated((arguments.env or ["HalfCheetah-v5"])[0], arguments.turns, arguments.steps)
    write_markdown(arguments.out, [*lines, versions("python benchmarks/speed.py")])


if __name__ == "__main__":
    main()
