"""From settings to a run directory: configuration, presets, training, evaluation, and reading a run back."""

from ganq_irl.experiment.config import EvaluationConfig, ExperimentConfig
from ganq_irl.experiment.presets import load_presets
from ganq_irl.experiment.resolve import resolve_config
from ganq_irl.experiment.run_directory import Run, load_run
from ganq_irl.experiment.runner import RunResult, resume_experiment, run_experiment

__all__ = [
    "EvaluationConfig",
    "ExperimentConfig",
    "Run",
    "RunResult",
    "load_presets",
    "load_run",
    "resolve_config",
    "resume_experiment",
    "run_experiment",
]
