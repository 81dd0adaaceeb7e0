"""Draw the README's moving picture: an expert, a policy at the start of training, and the same policy after it.

    ganq-irl quickstart
    python benchmarks/moving_picture.py runs/quickstart-0/gail

All three start from the state that one demonstration started from.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from stable_baselines3 import PPO

from ganq_irl import load_demonstrations, load_run

OUT = Path(__file__).parents[1] / "docs" / "images" / "imitation.gif"
SIZE, TITLE, EVERY, COLORS = 200, 26, 2, 32
SECONDS_PER_STEP = 0.05


def play(act: Callable[[int, Any], Any], env_id: str, seed: int) -> tuple[list[np.ndarray], float]:
    """Play one episode and return its frames and its return."""
    env = gym.make(env_id, render_mode="rgb_array")
    observation, _ = env.reset(seed=seed)
    frames, total, is_over = [], 0.0, False
    while not is_over:
        frames.append(env.render())
        observation, reward, terminated, truncated, _ = env.step(act(len(frames) - 1, observation))
        total, is_over = total + float(reward), terminated or truncated
    env.close()
    return frames, total


def panel(frame: np.ndarray, title: str) -> Image.Image:
    """Return a frame below its title."""
    image = Image.new("RGB", (SIZE, SIZE + TITLE), "white")
    image.paste(Image.fromarray(frame).resize((SIZE, SIZE), Image.Resampling.LANCZOS), (0, TITLE))
    ImageDraw.Draw(image).text((SIZE / 2, TITLE / 2), title, "black", ImageFont.load_default(13), anchor="mm")
    return image


def main() -> None:
    """Play, draw, and write the GIF."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a GAIL run on Pendulum")
    parser.add_argument("--episode", type=int, default=3, help="the demonstration to show")
    given = parser.parse_args()
    run = load_run(given.run)
    expert = load_demonstrations(run.config.demos)[given.episode]
    untrained = PPO("MlpPolicy", run.config.env, seed=run.config.seed, device="cpu")
    trained = run.policy()
    shown = {
        "expert": lambda step, _: expert.actions[step],
        "imitator before training": lambda _, seen: untrained.predict(seen, deterministic=True)[0],
        "imitator after training": lambda _, seen: trained.predict(seen, deterministic=True)[0],
    }
    played = {name: play(act, run.config.env, expert.seed) for name, act in shown.items()}
    print({name: round(total) for name, (_, total) in played.items()})
    pictures = []
    for step in range(0, len(expert), EVERY):
        row = Image.new("RGB", (len(played) * SIZE, SIZE + TITLE), "white")
        for place, (name, (frames, _)) in enumerate(played.items()):
            row.paste(panel(frames[step], name), (place * SIZE, 0))
        pictures.append(row.quantize(COLORS, dither=Image.Dither.NONE))
    first, *rest = pictures
    pause = round(1000 * SECONDS_PER_STEP * EVERY)
    first.save(OUT, save_all=True, append_images=rest, duration=pause, loop=0, optimize=True)
    print(f"{OUT}: {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
