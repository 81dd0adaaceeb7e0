"""Rows of a resumed run's log: those of an unbroken one."""

import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from ganq_irl.runs.checkpoints.logs import RunLogger
from tests.scripted import generator


class Rows(KVWriter):
    """What a log would hold."""

    def __init__(self):
        self.rows = []

    def write(self, key_values, key_excluded, step=0):
        self.rows.append(dict(key_values))

    def close(self):
        pass


class Noting(BaseCallback):
    """Values of a user's own, of which a row has the mean since the row before."""

    def _on_step(self):
        return True

    def _on_rollout_end(self):
        self.logger.record_mean("user/steps", self.num_timesteps)


def rows_of(model, rollouts, interval=None, before=0, kind=RunLogger):
    writer = Rows()
    plain = Logger(None, [writer])
    if kind is Logger:
        model.set_logger(plain)
    else:
        logger = RunLogger(plain, before)
        model.set_logger(logger)

        def learn(log_interval=interval):
            """Whose default is what is asked for."""

        interval = logger.interval(model, learn)
    model.learn(rollouts * 8, callback=Noting(), log_interval=interval)
    timed = ("time/fps", "time/time_elapsed")
    return [{key: value for key, value in row.items() if key not in timed} for row in writer.rows]


@pytest.mark.parametrize("interval", [1, 3])
def test_rows_are_sb3s(interval):
    theirs = rows_of(generator("a2c", n_steps=4), 7, interval, kind=Logger)
    ours = rows_of(generator("a2c", n_steps=4), 7, interval)
    assert theirs == ours
    assert len(ours) == 7 // interval


def test_a_resumed_run_counts_on():
    rows = rows_of(generator("a2c", n_steps=4), 7, interval=3, before=4)
    assert [row["time/iterations"] for row in rows] == [6, 9]


def test_off_policy_episodes_are_counted_by_sb3():
    model = generator("dqn", train_freq=1, learning_starts=1)
    assert RunLogger(Logger(None, [])).interval(model, model.learn) == 4
