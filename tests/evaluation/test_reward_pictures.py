import io
from dataclasses import replace

import matplotlib.image
import numpy as np
import pytest
import torch
from gymnasium import spaces
from matplotlib.figure import Figure

from ganq_irl.errors import ConfigurationError, IncompatibleSpaces
from ganq_irl.evaluation.pictures import save_figure
from ganq_irl.evaluation.reward_pictures import (
    calibration_error,
    plot_calibration,
    plot_reward_maps,
    plot_rewards_along_episode,
    reliability,
    reward_map,
)
from ganq_irl.rewards import FunctionReward, RewardModel
from tests.toys import ACTIONS, OBSERVATIONS, toy_batch, toy_discriminator

LINEAR = FunctionReward(OBSERVATIONS, ACTIONS, lambda s, a, t, d: 100 * s[:, 2] + 10 * s[:, 0] + s[:, 1] + 1000 * a + d)


def test_a_map_is_the_reward_at_its_points():
    visited = toy_batch(50)
    x, y, values = reward_map(LINEAR, visited, (0, 2), n_grid=5, n_states=50)
    states, actions = visited.observations.numpy(), visited.actions.numpy()
    assert (x[0], x[-1], y[0], y[-1]) == pytest.approx(
        (states[:, 0].min(), states[:, 0].max(), states[:, 2].min(), states[:, 2].max())
    )
    expected = 100 * y[:, None] + 10 * x + states[:, 1].mean() + 1000 * actions.mean()
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_other_dimensions_fixed_and_the_action_given():
    visited = toy_batch(51)
    x, y, values = reward_map(LINEAR, visited, (2, 1), average=False, action=1, n_grid=4)
    median = np.median(visited.observations.numpy()[:, 0])
    np.testing.assert_allclose(values, 100 * x + 10 * median + y[:, None] + 1000, rtol=1e-4)


def test_next_states_move_along():
    """What rewards a step's length is the same at every point."""
    step = FunctionReward(OBSERVATIONS, ACTIONS, lambda s, a, t, d: ((t - s) ** 2).sum(axis=1))
    values = reward_map(step, toy_batch(20), n_grid=3)[2]
    assert np.ptp(values) < 1e-4
    assert values.min() > 1e-3


def test_maps_beside_each_other_with_demonstrations_over_them(tmp_path):
    model = RewardModel(toy_discriminator("shaped"), "f")
    states = toy_batch(30).observations.numpy()
    figure = plot_reward_maps(
        {"recovered": model, "true": LINEAR},
        toy_batch(30),
        (0, 1),
        demonstrations=states,
        names=("position", "speed"),
        n_grid=7,
    )
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["recovered", "true"]
    assert panels[0].get_xlabel() == "position"
    for axes in panels:
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), states[:, :2])
        drawn = axes.collections[0].get_array()
        assert drawn.size == 49
        assert drawn.std() == pytest.approx(1, abs=1e-6)
    assert matplotlib.image.imread(save_figure(figure, tmp_path / "map.png")).std() > 0


def test_what_has_no_two_dimensions_is_refused():
    with pytest.raises(ConfigurationError, match="two different dimensions from 0 to 2"):
        reward_map(LINEAR, toy_batch(5), (0, 0))
    with pytest.raises(ConfigurationError, match=r"given dimensions \(0, 3\)"):
        reward_map(LINEAR, toy_batch(5), (0, 3))
    with pytest.raises(ConfigurationError, match="0 transitions"):
        reward_map(LINEAR, toy_batch(0))
    with pytest.raises(IncompatibleSpaces, match="two or more numbers"):
        reward_map(FunctionReward(spaces.Discrete(3), ACTIONS, LINEAR.function), toy_batch(5))


def test_rewards_along_an_episode_are_drawn_in_their_own_units():
    true = np.array([1.0, 2, 3, 4])
    (axes,) = plot_rewards_along_episode({"recovered": 5 * true + 7, "true": true}).axes
    first, second = (line.get_ydata() for line in axes.lines)
    np.testing.assert_allclose(first, second)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["recovered", "true"]
    figure = Figure()
    assert plot_rewards_along_episode({"a": true}, figure.add_subplot()) is figure


def test_reliability_by_hand():
    probabilities, is_real = np.array([0.05, 0.05, 0.95, 1.0, 0.5]), np.array([False, True, True, True, False])
    said, real, counts = reliability(probabilities, is_real)
    np.testing.assert_allclose(said, [0.05, 0.5, 0.975])
    np.testing.assert_allclose(real, [0.5, 0.0, 1.0])
    assert counts.tolist() == [2, 1, 2]
    assert calibration_error(probabilities, is_real) == pytest.approx((2 * 0.45 + 0.5 + 2 * 0.025) / 5)


def test_a_calibrated_discriminator_lies_on_the_diagonal_and_an_overconfident_one_does_not():
    rng = np.random.default_rng(0)
    probabilities = rng.random(20_000)
    is_real = rng.random(20_000) < probabilities
    assert calibration_error(probabilities, is_real) < 0.02
    assert calibration_error(np.where(probabilities > 0.5, 0.99, 0.01), is_real) > 0.2
    (axes,) = plot_calibration(probabilities, is_real).axes
    assert len(axes.lines[1].get_xydata()) == 10
    plot_calibration(probabilities, is_real).savefig(io.BytesIO())


def test_a_models_probability_is_its_discriminators():
    batch, plain = toy_batch(), RewardModel(toy_discriminator(), "gail")
    score = plain.discriminator(batch)
    torch.testing.assert_close(plain.probability(batch), torch.sigmoid(score))
    shaped = RewardModel(toy_discriminator("shaped"), "g")
    f = RewardModel(toy_discriminator("shaped"), "f").price(batch)
    torch.testing.assert_close(shaped.probability(batch), f.exp() / (f.exp() + batch.log_probs.exp()))
    with pytest.raises(ConfigurationError, match="log_probs"):
        shaped.probability(replace(batch, log_probs=None))
    with pytest.raises(ConfigurationError, match="no probabilities"):
        RewardModel(toy_discriminator(), "score", "wasserstein").probability(batch)
