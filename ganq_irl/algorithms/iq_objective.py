"""IQ-Learn's objective as a pure function of values: no network, no environment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganq_irl.errors import ConfigurationError, nearest

FORMS = ("value", "value_expert", "v0")
REGULARIZED = ("expert", "both")


@dataclass(frozen=True)
class IQObjective:
    """-J(π, Q) of inverse soft-Q learning (Garg et al., 2021) with a χ² divergence, to be minimized over Q.

    With r = Q(s, a) - γ (1 - d) V(s') (their equation 11), φ(x) = x - x²/4α (section 5.3) and ρ_E the demonstrations, their
    equations 9 (V by a log-sum-exp, discrete actions) and 10 (V by an actor, continuous ones) are

        max_Q  E_ρE[φ(r)] - (1 - γ) E_ρ0[V(s0)].

    The last term can be estimated from any states of an occupancy, since E[V(s) - γ V(s')] is the same under each of them
    (section 5.1), which is what ``form`` chooses:

    | form | instead of (1 - γ) E_ρ0[V(s0)] |
    |---|---|
    | ``value`` | mean of V(s) - γ (1 - d) V(s') over demonstrations and replay, half each: section 5.1, online |
    | ``value_expert`` | the same over demonstrations alone: section 5.1, offline; with it the objective is equation 12 |
    | ``v0`` | (1 - γ) times the mean of V(s) over demonstrated states, as the authors' code estimates it |

    With V(s') from a target network, without gradient, the first two press on V(s) with weight 1 where the identity leaves
    1 - γ, and ``v0`` has just that weight.

    The regularizer x²/4α is taken under the demonstrations (``expert``, as in the equations), or under demonstrations and
    replay in equal parts (``both``): what the authors run where actions are continuous, since r is otherwise unbounded where
    no demonstration has been. Its optimum is then r = 2α (ρ_E - ρ) / ((ρ_E + ρ)/2), and under the demonstrations alone
    r = 2α (1 - ρ/ρ_E).

    Attributes:
        form: one of ``FORMS``.
        regularize: one of ``REGULARIZED``.
        chi2_alpha: α of φ, above 0: the scale of the recovered reward.
        gamma: discount.

    Raises:
        ConfigurationError: a setting is not one of these.
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
    """V*(s) = τ log Σ_a exp(Q(s, a)/τ), ``(batch, n_actions) -> (batch,)``: equation 9's, at a temperature τ."""
    return temperature * torch.logsumexp(q_values / temperature, dim=1)


def chosen_values(q_values: Tensor, actions: Tensor) -> Tensor:
    """Return Q(s, a) of Discrete actions, ``(batch, n_actions) -> (batch,)``."""
    return q_values.gather(1, actions.reshape(-1, 1).long()).squeeze(1)


def smallest(q_values: tuple[Tensor, ...]) -> Tensor:
    """min_i Q_i(s, a) of several critics, each ``(batch, 1)`` -> ``(batch,)``."""
    return torch.cat(q_values, dim=1).min(dim=1).values
