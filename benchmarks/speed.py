"""Compare the time of GAIL and AIRL with plain PPO and with imitation's algorithms, on the same workload.

    python benchmarks/speed.py --out benchmarks/results/speed.md

Every method trains SB3's PPO, or FastPPO, which is equal up to rounding, on the same environments: 8 environments, 2048
steps per rollout, and 8 discriminator updates of 1024 + 1024 transitions per rollout, on ReLU networks with two layers of 32
(imitation's default) or 64 (ours). Methods alternate, with one short run each, so that the machine's load affects all
equally. Processor time is measured, and figures are medians of the ratios within a turn. The other parts measure the cost of
DAC relative to the SAC that it trains, and of pricing a batch relative to SAC's gradient step on it (``--part off-policy``
and ``--part relabel`` measure only these). ``--part sac``
compares whole training steps of FastSAC with those of SB3's SAC, of sbx's if it is installed, and of DAC, which trains
FastSAC, by the width of the networks; ``--part layer-norm`` those of FastSAC and FastTD3 with layer-normalized critics.
``--part memory`` follows DAC's memory over a run. ``--env`` replaces HalfCheetah-v5 in these three.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
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
from stable_baselines3.common.preprocessing import get_action_dim, get_flattened_obs_dim
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.sac.policies import SACPolicy

from ganq_irl.accelerated.ppo import FastPPO
from ganq_irl.accelerated.sac import FastSAC, FastTD3
from ganq_irl.algorithms import AIRL, DAC, GAIL
from ganq_irl.algorithms.adversarial import AdversarialImitation
from ganq_irl.generators.off_policy.pricing import relabeled
from ganq_irl.networks.critic_policies import SACLayerNormPolicy, TD3LayerNormPolicy
from ganq_irl_demos import Demonstrations, random_policy, record_episodes, to_imitation

N_ENVS, N_STEPS, N_UPDATES, BATCH = 8, 256, 8, 1024
SAC_BATCH = 256
PARTS = ("adversarial", "off-policy", "relabel", "sac", "layer-norm", "memory")
MEMORY_MARKS = (5_000, 20_000, 50_000)
try:
    from sbx import SAC as SBX
except ImportError:  # `uv pip install sbx-rl`, which brings JAX
    SBX = None
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


def new_of(kind: Any, policy: Any, width: int, env_id: str) -> Any:
    """Return SAC or TD3 in one environment, with one update a step of networks of two layers."""
    sizes = {"batch_size": SAC_BATCH, "learning_starts": SAC_BATCH, "buffer_size": 100_000}
    sizes |= {"gradient_steps": 1, "train_freq": 1}
    return kind(
        policy, make_vec_env(env_id, 1, seed=0), seed=0, device="cpu", policy_kwargs={"net_arch": [width, width]}, **sizes
    )


def products(env: VecEnv, width: int) -> Callable[[], object]:
    """A function that computes only the matrix products of SAC's update: each layer, forwards and backwards."""
    n_observations, n_actions = get_flattened_obs_dim(env.observation_space), get_action_dim(env.action_space)
    # layers, rows, gradients of weights, gradients of inputs, networks
    critic = (n_observations + n_actions, width, width, 1)
    actor = (n_observations, width, width, 2 * n_actions)
    passes = [(actor, 2, False, False, 1), (actor, 1, True, True, 1), (critic, 1, False, False, 2)]
    passes += [
        (critic, 1, False, False, 2),
        (critic, 1, True, True, 2),
        (critic, 1, False, False, 2),
        (critic, 1, False, True, 2),
    ]
    tasks: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for layers, share, of_weights, of_inputs, n_networks in passes:
        for wide, out in itertools.pairwise(layers):
            rows, weight = torch.randn(share * SAC_BATCH, wide), torch.randn(wide, out)
            gradient = torch.randn(share * SAC_BATCH, out)
            pairs = [(rows, weight)] if not of_weights and not of_inputs else []
            pairs += [(rows.t(), gradient)] if of_weights else []
            pairs += [(gradient, weight.t())] if of_inputs and wide == width else []
            tasks += [(a, b, a.new_empty(len(a), b.shape[1])) for a, b in pairs] * n_networks

    def run() -> None:
        for first, second, out in tasks:
            torch.mm(first, second, out=out)

    return run


def accelerated(env_id: str, turns: int, steps: int) -> list[str]:
    """Return the table of whole training steps with one update each: SAC and DAC relative to FastSAC."""
    rows = []
    for width in SAC_WIDTHS:
        models = {kind.__name__: new_of(kind, "MlpPolicy", width, env_id) for kind in (SAC, FastSAC)}
        models["DAC"] = DAC(new_of(FastSAC, "MlpPolicy", width, env_id), demonstrations(env_id), n_updates=0.5)
        if SBX:
            models["sbx"] = new_of(SBX, "MlpPolicy", width, env_id)
        limit = partial(repeated, products(models["SAC"].get_env(), width), steps)
        seconds = whole_steps(models, turns, steps, f"{env_id}, networks of {width}", limit=limit)
        pairs = [("SAC", "FastSAC"), ("DAC", "FastSAC"), ("limit", "SAC"), ("limit", "FastSAC"), ("limit", "DAC")]
        cells = [ratio(seconds[of], seconds[to]) for of, to in pairs]
        cells.append(ratio(seconds["sbx"], seconds["FastSAC"]) if SBX else "not installed")
        rows.append(f"| {' | '.join([str(width), *cells])} |")
    return [
        f"## Whole training steps ({env_id}, one update a step, batch {SAC_BATCH}, two layers)",
        "",
        "DAC: an update of the discriminator every second step. Limit: the share of a step that the matrix products of "
        "SAC's update alone would take.",
        "",
        "| width | SAC / FastSAC | DAC / FastSAC | limit, SAC | limit, FastSAC | limit, DAC | sbx's SAC / FastSAC |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"{turns} turns of {steps} steps each.",
        "",
    ]


def normalized(env_id: str, turns: int, steps: int) -> list[str]:
    """Return the table of SB3's time relative to ours with layer-normalized critics."""
    policies: dict[Any, Any] = {SAC: SACLayerNormPolicy, FastSAC: SACLayerNormPolicy}
    policies |= {TD3: TD3LayerNormPolicy, FastTD3: TD3LayerNormPolicy}
    rows = []
    for width in SAC_WIDTHS:
        models = {kind.__name__: new_of(kind, policy, width, env_id) for kind, policy in policies.items()}
        seconds = whole_steps(models, turns, steps, f"{env_id}, layer-normalized networks of {width}")
        cells = [ratio(seconds[name], seconds[f"Fast{name}"]) for name in ("SAC", "TD3")]
        rows.append(f"| {' | '.join([str(width), *cells])} |")
    return [
        f"## Whole training steps with layer-normalized critics ({env_id}, otherwise as above)",
        "",
        "| width | SAC / FastSAC | TD3 / FastTD3 |",
        "|---|---|---|",
        *rows,
        "",
        f"{turns} turns of {steps} steps each.",
        "",
    ]


def whole_steps(
    models: Mapping[str, Any], turns: int, steps: int, label: str, **others: Callable[[], object]
) -> dict[str, list[float]]:
    """Let models that learn at every step, and other tasks, take turns."""
    for model in models.values():
        model.learn(SAC_BATCH + 16)  # beyond learning_starts, so that every later step trains
    learning = {name: partial(model.learn, steps, reset_num_timesteps=False) for name, model in models.items()}
    return in_turns({**learning, **others}, turns, label)


def repeated(task: Callable[[], object], times: int) -> None:
    for _ in range(times):
        task()


def resident_memory() -> float:
    """Return this process's resident memory in MiB, as Linux counts it."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(env_id: str, marks: Sequence[int]) -> list[str]:
    """Return a table of this process's resident memory while DAC trains FastSAC with networks of 64."""
    model = DAC(new_of(FastSAC, "MlpPolicy", 64, env_id), demonstrations(env_id), n_updates=0.5)
    cells = []
    for before, mark in itertools.pairwise((0, *marks)):
        model.learn(mark - before, reset_num_timesteps=False)
        cells.append(f"{resident_memory():.0f}")
    return [
        f"## Resident memory of DAC with FastSAC, MiB ({env_id}, networks of 64, a replay of 100,000)",
        "",
        f"| steps | {' | '.join(f'{mark:,}' for mark in marks)} |",
        f"|{'---|' * (len(marks) + 1)}",
        f"| MiB | {' | '.join(cells)} |",
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
    parser.add_argument("--marks", type=int, nargs="+", default=MEMORY_MARKS, help="steps at which memory is measured")
    parser.add_argument("--shapes", default="AB", help=f"shapes of PPO's update: {'; '.join(SHAPES)}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    parts = arguments.part or PARTS
    off_policy_env = (arguments.env or ["HalfCheetah-v5"])[0]

    lines = ["# Speed", "", "Processor time, but for another device's. Ratios are those within a turn: median (range).", ""]
    for env_id in arguments.env or ["CartPole-v1", "Pendulum-v1"]:
        lines += adversarial(env_id, arguments.shapes, arguments.turns, arguments.rollouts) if "adversarial" in parts else []
    lines += off_policy("Pendulum-v1", arguments.turns, arguments.steps, arguments.device) if "off-policy" in parts else []
    lines += relabel("Pendulum-v1", arguments.samples) if "relabel" in parts else []
    if "sac" in parts:
        lines += accelerated(off_policy_env, arguments.turns, arguments.steps)
    if "layer-norm" in parts:
        lines += normalized(off_policy_env, arguments.turns, arguments.steps)
    if "memory" in parts:
        lines += memory(off_policy_env, arguments.marks)
    write_markdown(arguments.out, [*lines, versions("python benchmarks/speed.py")])


if __name__ == "__main__":
    main()
