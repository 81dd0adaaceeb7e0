"""``mode="paper"``: what the papers' own algorithms say, and the defaults do not."""

import pytest
import torch
from torch import nn

from ganq_irl.algorithms import AIRL, ALGORITHMS, GAIL
from ganq_irl.errors import ConfigurationError
from tests.scripted import demonstrations_for, generator


def made(cls, name="trpo", **options):
    return cls(generator(name), demonstrations_for(name), batch_size=16, **options)


def parts(run):
    return [stabilizer.name for stabilizer in run.learner.stabilizers]


def test_gails_paper_pays_the_negative_of_the_papers_cost():
    """Algorithm 1 of Ho & Ermon (2016): D rises on the policy, and the policy minimizes log D."""
    run = made(GAIL, mode="paper", seed=1)
    rows = run._demonstrations
    with torch.no_grad():
        papers = 1 - torch.sigmoid(run.learner.scorer(rows))  # D of the paper: the probability of the policy
    torch.testing.assert_close(run.price(rows), -torch.log(papers))
    assert run.learner.loss.name == "bce"
    assert parts(run) == []
    assert run._values is None
    assert run.n_updates == 1
    layers = list(run.learner.discriminator.network.layers)
    assert [layer.out_features for layer in layers if isinstance(layer, nn.Linear)] == [100, 100, 1]
    assert sum(isinstance(layer, nn.Tanh) for layer in layers) == 2


def test_gails_paper_takes_one_step_of_logistic_regression_a_round():
    run = made(GAIL, mode="paper", seed=1)
    seen, update = [], run.learner.update

    def watched(real, fake, **options):
        with torch.no_grad():
            scores = [
                run.learner.discriminator.train().score(run.learner.discriminator.encode(side)) for side in (real, fake)
            ]
        d_real, d_fake = (1 - torch.sigmoid(each) for each in scores)
        seen.append((-(torch.log(1 - d_real).mean() + torch.log(d_fake).mean()), update(real, fake, **options)))
        return seen[-1][1]

    run.learner.update = watched
    run._pool = lambda batch: batch
    run.learn(64)
    ((expected, metrics),) = seen
    torch.testing.assert_close(metrics["loss"], expected)


def test_airls_paper_pays_f_less_log_pi():
    """Algorithm 1 of Fu et al. (2018): r = log D - log(1 - D), D = exp(f) / (exp(f) + pi)."""
    run = made(AIRL, mode="paper")
    rows = run._with_log_probs(run._demonstrations)
    with torch.no_grad():
        f = run.learner.scorer.shaped_reward(run.learner.scorer.encode(rows))
    d = torch.exp(f) / (torch.exp(f) + torch.exp(rows.log_probs))
    torch.testing.assert_close(run.price(rows), torch.log(d) - torch.log(1 - d), atol=1e-4, rtol=1e-4)
    assert run.learner.loss.name == "bce"
    assert parts(run) == []
    assert run._values is None
    assert run.settings.entropy_weight == 0


@pytest.mark.parametrize("cls", [GAIL, AIRL])
def test_the_default_is_another_algorithm_and_what_is_given_overrides_a_mode(cls):
    default, paper, given = made(cls), made(cls, mode="paper"), made(cls, mode="paper", stabilizers=["spectral-norm"])
    assert parts(default) == parts(given) == ["spectral-norm"]
    assert default.reward_form != paper.reward_form == given.reward_form
    assert default._values is not None
    assert paper._values is None
    paper.learn(64)
    assert paper.learner.n_updates > 0


@pytest.mark.parametrize("mode", ["papers", None, 3, ["paper"]])
def test_other_modes_are_refused(mode):
    with pytest.raises(ConfigurationError, match=r"mode: unknown .*paper"):
        made(AIRL, mode=mode)
    with pytest.raises(ConfigurationError, match="mode"):
        made(GAIL, mode=mode)


@pytest.mark.parametrize("name", ["fairl", "wail", "vail", "gaifo"])
def test_relatives_of_gail_have_no_mode(name):
    with pytest.raises(ConfigurationError, match="mode: unknown 'paper'"):
        made(ALGORITHMS[name], mode="paper")
