"""IQ-Learn's objective against hand-computed values, the paper's equations, and what its optimum must be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganq_irl.algorithms.iq_objective import FORMS, REGULARIZED, IQObjective, chosen_values, smallest, soft_maximum
from ganq_irl.errors import ConfigurationError

Q = torch.tensor([1.0, 3.0, 0.0, 2.0])  # two demonstrated rows, then two replayed ones
V = torch.tensor([2.0, 4.0, 1.0, 3.0])
NEXT = torch.tensor([0.5, 0.0, 1.0, -1.0])  # γ (1 - d) V(s'): the second row has terminated
# r = Q - NEXT = 0.5, 3, -1, 3; V - NEXT = 1.5, 4, 0, 4


@pytest.mark.parametrize(("form", "value_term"), [("value", 9.5 / 4), ("value_expert", 5.5 / 2), ("v0", 0.1 * 3.0)])
@pytest.mark.parametrize(("regularize", "squares"), [("expert", 9.25 / 2), ("both", 19.25 / 4)])
def test_values_computed_by_hand(form, value_term, regularize, squares):
    loss = IQObjective(form, regularize, chi2_alpha=0.25, gamma=0.9)(Q, V, NEXT, 2)
    torch.testing.assert_close(loss, torch.tensor(-1.75 + value_term + squares))  # 4α = 1


def test_offline_it_is_equation_12():
    alpha = 0.7
    loss = IQObjective("value_expert", "expert", alpha, 0.9)(Q, V, NEXT, 2)
    q, v, following = Q[:2], V[:2], NEXT[:2]
    expected = -(q - v).mean() + ((q - following) ** 2).mean() / (4 * alpha)
    torch.testing.assert_close(loss, expected)


@given(st.floats(0.05, 5), st.lists(st.floats(-10, 10), min_size=2, max_size=5))
def test_the_soft_maximum_lies_above_the_maximum_by_no_more_than_the_entropy(temperature, values):
    q = torch.tensor([values], dtype=torch.float64)
    excess = float(soft_maximum(q, temperature) - q.max())
    assert -1e-9 <= excess <= temperature * np.log(len(values)) + 1e-9


def test_the_soft_maximum_is_value_and_policy_at_once():
    """V = E_π[Q - τ log π] for π = softmax(Q/τ), and dV/dQ = π."""
    q = torch.tensor([[1.0, 2.0, -1.0]], dtype=torch.float64, requires_grad=True)
    temperature = 0.5
    policy = torch.softmax(q / temperature, dim=1)
    value = soft_maximum(q, temperature)
    torch.testing.assert_close(value, (policy * (q - temperature * policy.log())).sum(dim=1))
    value.sum().backward()
    torch.testing.assert_close(q.grad, policy.detach())


def test_rows_of_chosen_and_smallest_values():
    torch.testing.assert_close(
        chosen_values(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1], [0]])), torch.tensor([2.0, 3.0])
    )
    torch.testing.assert_close(
        smallest((torch.tensor([[1.0], [5.0]]), torch.tensor([[2.0], [4.0]]))), torch.tensor([1.0, 4.0])
    )


# Two states, two actions, deterministic; action 0 stays and action 1 changes the state.
NEXT_STATE = np.array([[0, 1], [1, 0]])
GAMMA, TEMPERATURE = 0.8, 0.5
EXPERT = [(0, 1), (0, 1), (0, 0), (1, 0), (1, 0), (1, 0), (1, 1)]  # (state, action), every pair at least once
REPLAY = [(0, 0), (0, 0), (0, 1), (1, 1), (1, 0)]


def tabular_loss(table, objective, expert=EXPERT, replay=REPLAY):
    rows = np.array([*expert, *replay])
    following = NEXT_STATE[rows[:, 0], rows[:, 1]]
    values = soft_maximum(table, TEMPERATURE)
    q = table[torch.as_tensor(rows[:, 0]), torch.as_tensor(rows[:, 1])]
    return objective(q, values[torch.as_tensor(rows[:, 0])], GAMMA * values[torch.as_tensor(following)], len(expert))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regularize", REGULARIZED)
def test_gradients_are_those_of_the_equation(form, regularize):
    """Against finite differences of the paper's expression, written out in numpy."""
    table = np.array([[0.3, -0.2], [0.9, 0.1]])
    objective = IQObjective(form, regularize, 0.5, GAMMA)
    given = torch.tensor(table, requires_grad=True)
    tabular_loss(given, objective).backward()

    def written_out(q):
        v = TEMPERATURE * np.log(np.exp(q / TEMPERATURE).sum(axis=1))
        reward = lambda s, a: q[s, a] - GAMMA * v[NEXT_STATE[s, a]]  # noqa: E731
        first = np.mean([reward(*pair) for pair in EXPERT])
        rows = EXPERT if form != "value" else EXPERT + REPLAY
        second = np.mean([v[s] - GAMMA * v[NEXT_STATE[s, a]] for s, a in rows])
        if form == "v0":
            second = (1 - GAMMA) * np.mean([v[s] for s, _ in EXPERT])
        penalty = np.mean([reward(*pair) ** 2 for pair in (EXPERT + REPLAY if regularize == "both" else EXPERT)])
        return -(first - second - penalty / (4 * 0.5))

    steps = np.eye(4).reshape(4, 2, 2) * 1e-5
    numeric = np.array([(written_out(table + step) - written_out(table - step)) / 2e-5 for step in steps])
    np.testing.assert_allclose(float(tabular_loss(torch.tensor(table), objective)), written_out(table), rtol=1e-12)
    np.testing.assert_allclose(given.grad.numpy().ravel(), numeric, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regularize", REGULARIZED)
def test_at_the_optimum_the_recovered_reward_is_what_theory_says(form, regularize):
    """r = 2α (w_E - ρ)/w: w_E the demonstrations, w where r² is taken, ρ the discounted visits of softmax(Q/τ).

    For any change δr of the reward the value term changes by Σ ρ δr, where ρ flows from the states that the term counts:
    ρ(s) = source(s) + γ Σ ρ(s', a') [s' -> s] (section 5.1). So stationarity is w_E - ρ - w r / 2α = 0, pair by pair.
    """
    alpha = 0.6
    objective = IQObjective(form, regularize, alpha, GAMMA)
    table = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [table], lr=1, max_iter=500, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = tabular_loss(table, objective)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert table.grad.abs().max() < 1e-7

    q = table.detach().numpy()
    policy = np.exp(q / TEMPERATURE) / np.exp(q / TEMPERATURE).sum(axis=1, keepdims=True)
    expert, both = weights(EXPERT), weights(EXPERT + REPLAY)
    counted = both if form == "value" else expert
    source = counted.sum(axis=1) - GAMMA * flow(counted)
    if form == "v0":
        source = (1 - GAMMA) * expert.sum(axis=1)
    moves = np.array([[sum(policy[s, a] for a in (0, 1) if NEXT_STATE[s, a] == t) for t in (0, 1)] for s in (0, 1)])
    visits = np.linalg.solve(np.eye(2) - GAMMA * moves.T, source)[:, None] * policy
    v = TEMPERATURE * np.log(np.exp(q / TEMPERATURE).sum(axis=1))
    reward = q - GAMMA * v[NEXT_STATE]
    np.testing.assert_allclose(reward, 2 * alpha * (expert - visits) / (both if regularize == "both" else expert), atol=1e-6)


def weights(pairs):
    counts = np.zeros((2, 2))
    for s, a in pairs:
        counts[s, a] += 1
    return counts / len(pairs)


def flow(pairs):
    """Mass that arrives in each state."""
    arrived = np.zeros(2)
    np.add.at(arrived, NEXT_STATE, pairs)
    return arrived


def test_demonstrated_pairs_are_rewarded_and_replayed_ones_are_not():
    table = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([table], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        tabular_loss(table, IQObjective("value", "both", 0.5, GAMMA), [(0, 1), (1, 0)], [(0, 0), (1, 1)]).backward()
        optimizer.step()
    values = soft_maximum(table.detach(), TEMPERATURE).numpy()
    reward = table.detach().numpy() - GAMMA * values[NEXT_STATE]
    assert reward[0, 1] > 0.1 > -0.1 > reward[0, 0]
    assert reward[1, 0] > 0.1 > -0.1 > reward[1, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "values"}, "loss: unknown 'values'; did you mean 'value'"),
        ({"regularize": "experts"}, "regularize: unknown 'experts'; did you mean 'expert'"),
        ({"chi2_alpha": 0.0}, "chi2_alpha: given 0.0; expected a number above 0"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        IQObjective(**{"form": "value", "regularize": "both", "chi2_alpha": 0.5, "gamma": 0.9, **settings})
