"""Normalize observations for a trained policy with the frozen statistics of VecNormalize."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

Observation = np.ndarray | dict[str, np.ndarray]


@dataclass(frozen=True)
class ObservationNormalizer:
    """VecNormalize's normalization with frozen statistics: ``clip((x - mean) / sqrt(var + epsilon), -clip, clip)``.

    Attributes:
        mean: running mean for each key of a Dict space, or under the key "" for other spaces.
        var: running variance, likewise.
        epsilon: added to the variance.
        clip: bound of the result.
    """

    mean: dict[str, np.ndarray]
    var: dict[str, np.ndarray]
    epsilon: float
    clip: float

    def __call__(self, observation: Observation) -> Observation:
        """Return the normalized observation as float32; keys without statistics are unchanged."""
        if isinstance(observation, dict):
            return {key: self._normalize(key, value) if key in self.mean else value for key, value in observation.items()}
        return self._normalize("", observation)

    def _normalize(self, key: str, value: np.ndarray) -> np.ndarray:
        scaled = (value - self.mean[key]) / np.sqrt(self.var[key] + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def normalizer_of(env: VecNormalize | None) -> ObservationNormalizer | None:
    """Copy an environment's statistics; None if it does not normalize observations."""
    if env is None or not env.norm_obs:
        return None
    statistics = env.obs_rms if isinstance(env.obs_rms, dict) else {"": env.obs_rms}
    return ObservationNormalizer(
        mean={key: np.array(value.mean) for key, value in statistics.items()},
        var={key: np.array(value.var) for key, value in statistics.items()},
        epsilon=float(env.epsilon),
        clip=float(env.clip_obs),
    )


def build_normalizer(config: dict[str, Any] | None, tensors: dict[str, Tensor]) -> ObservationNormalizer | None:
    """Build a normalizer from a stored policy's JSON and tensors."""
    if config is None:
        return None
    mean, var = ({key: tensors[f"normalizer.{name}.{key}"].numpy() for key in config["keys"]} for name in ("mean", "var"))
    return ObservationNormalizer(mean, var, float(config["epsilon"]), float(config["clip"]))
