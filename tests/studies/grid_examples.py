"""Grids that take a second: what their tests share."""

from ganq_irl.studies.cells import run_cell
from ganq_irl.studies.spec import parse_grid

QUICK = {
    "timesteps": 96,
    "preset": "none",
    "evaluation": {"episodes": 2, "every": 32},
    "methods": {
        "dqn": {"generator_kwargs": {"learning_starts": 16, "policy_kwargs": {"net_arch": [4]}}},
        "gail": {
            "generator_kwargs": {"n_steps": 32, "n_epochs": 1},
            "adversary": {"batch_size": 16, "n_updates": 2, "hidden_sizes": [4]},
        },
        "dqn@gail": {"generator_kwargs": {"learning_starts": 16, "policy_kwargs": {"net_arch": [4]}}},
        "bc": {"bc": {"n_updates": 5}},
    },
}


def quick_grid(algos=("dqn", "bc"), seeds=2, **settings):
    """A request whose cells are as short as can be."""
    given = {**QUICK, "algos": list(algos), "env": ["CartPole-v1"], "n_demos": [1], "seeds": seeds}
    return parse_grid(given | settings)


class InThisProcess:
    """An engine that starts no process, and remembers what it ran."""

    def __init__(self):
        self.ran = []

    def __call__(self, runs):
        for folder, config in runs.items():
            self.ran.append(folder)
            yield folder, run_cell(folder, config)
