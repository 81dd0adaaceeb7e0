"""IQ-Learn's objective as a pure function of values, without networks or environments."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ganq_irl.errors import ConfigurationError, nearest

FORMS = ("value", "value_expert", "v0")
REGULARIZED = ("expert", "both")


@dataclass(frozen=True)
class IQObjective:
    """The loss -J(π, Q) of inverse soft-Q learning (Garg et al., 2021) with a χ² divergence, to be minimized over Q.

    Let r = Q(s, a) - γ (1 - d) V(s') (their equation 11), φ(x) = x - x²/4α (section 5.3), and ρ_E the demonstrations. Their
    equations 9 (discrete actions, V as a log-sum-exp) and 10 (continuous actions, V from an actor) are

        max_Q  E_ρE[φ(r)] - (1 - γ) E_ρ0[V(s0)].

    The last term can be estimated from states of any occupancy, since E[V(s) - γ V(s')] is the same for all of them (section
    5.1). ``form`` chooses the states:

    | form | estimate of (1 - γ) E_ρ0[V(s0)] |
    |---|---|
    | ``value`` | mean of V(s) - γ (1 - d) V(s') over demonstrations and replay, half each (section 5.1, online) |
    | ``value_expert`` | the same over demonstrations only (section 5.1, offline); the objective is then equation 12 |
    | ``v0`` | (1 - γ) times the mean of V(s) over demonstrated states, as in the authors' code |

    If V(s') comes from a target network without gradient, the gradient of the first two has weight 1 on V(s), while the
    identity implies 1 - γ, which is the weight in ``v0``.

    The regularizer x²/4α is averaged over the demonstrations (``expert``, as in the equations), or over demonstrations and
    replay in equal parts (``both``). The authors use ``both`` for continuous actions, since r is otherwise unbounded away
    from the demonstrations. Its optimum is r = 2α (ρ_E - ρ) / ((ρ_E + ρ)/2), and with demonstrations only r = 2α (1 -
    ρ/ρ_E).

    Attributes:
        form: one of ``FORMS``.
        regularize: one of ``REGULARIZED``.
        chi2_alpha: α of φ, above 0, which scales the recovered reward.
        gamma: discount factor.

    Raises:
        ConfigurationError: a setting is invalid.
    """

    form: str
    regularize: str
    chi2_alpha: float
    gamma: float

    def __post_init__(self) -> None:
        for what, given, known in (("loss", self.form, FORMS), ("regularize", self.regularize, REGULARIZED)):
            if given not in known:
                raise ConfigurationError(f"{what}: unknown {given!r}; {nearest(str(given), known)}")
        if not (isinstance(self.chi2_alpha, int | float) and self.chi2_alpha > 0):
            raise ConfigurationError(f"chi2_alpha: given {self.chi2_alpha!r}; expected a number above 0")

    @property
    def bound(self) -> float:
        """Bound of V(s'): none."""
        return math.inf

    def __call__(self, q_values: Tensor, values: Tensor, continuations: Tensor, n_expert: int) -> Tensor:
        """Return the loss, a scalar.

        Args:
            q_values: Q(s, a), ``(batch,)``; the first ``n_expert`` rows are demonstrated, the others from replay.
            values: V(s), ``(batch,)``.
            continuations: γ (1 - d) V(s'), ``(batch,)``.
            n_expert: number of demonstrated rows.
        """
        rewards = q_values - continuations
        regularized = rewards if self.regularize == "both" else rewards[:n_expert]
        chi2 = regularized.square().mean() / (4 * self.chi2_alpha)
        return self._value_term(values, continuations, n_expert) - rewards[:n_expert].mean() + chi2

    def _value_term(self, values: Tensor, continuations: Tensor, n_expert: int) -> Tensor:
        if self.form == "v0":
            return (1 - self.gamma) * values[:n_expert].mean()
        rows = slice(None) if self.form == "value" else slice(n_expert)
        return (values - continuations)[rows].mean()


def soft_maximum(q_values: Tensor, temperature: float) -> Tensor:
    """Return V*(s) = τ log Σ_a exp(Q(s, a)/τ), ``(batch, n_actions) -> (batch,)``: equation 9 with a temperature τ."""
    return temperature * torch.logsumexp(q_values / temperature, dim=1)


def chosen_values(q_values: Tensor, actions: Tensor) -> Tensor:
    """Return Q(s, a) for Discrete actions, ``(batch, n_actions) -> (batch,)``."""
    return q_values.gather(1, actions.reshape(-1, 1).long()).squeeze(1)


def smallest(q_values: tuple[Tensor, ...]) -> Tensor:
    """Return min_i Q_i(s, a) of several critics, each ``(batch, 1)`` -> ``(batch,)``."""
    return torch.cat(q_values, dim=1).min(dim=1).values
