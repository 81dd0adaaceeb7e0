import numpy as np
import pytest
import torch

from ganq_irl.discriminator.layers import MinibatchDiscrimination, VirtualBatchNorm


def random_rows(n, dim, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def closeness_by_hand(layer, row, others):
    """mean_j exp(-‖M_i,b - M_j,b‖₁) for each kernel b."""
    weight = layer.project.weight.detach().numpy()
    shape = (layer.kernels, layer.kernel_dim)
    own = (weight @ row).reshape(shape)
    return np.mean([np.exp(-np.abs(own - (weight @ other).reshape(shape)).sum(axis=1)) for other in others], axis=0)


def test_minibatch_discrimination_by_hand():
    layer = MinibatchDiscrimination(5, kernels=3, kernel_dim=2, n_reference=4)
    x = random_rows(6, 5)
    found = layer(x).detach()
    assert found.shape == (6, 5 + 3)
    assert torch.equal(found[:, :5], x)
    for i in range(6):
        others = [x[j].numpy() for j in range(6) if j != i]
        assert found[i, 5:].numpy() == pytest.approx(closeness_by_hand(layer, x[i].numpy(), others), abs=1e-5)


def test_a_collapsed_batch_is_seen_at_once():
    """Identical rows have closeness 1, the tell-tale of mode collapse; spread rows have less."""
    layer = MinibatchDiscrimination(5)
    assert torch.allclose(layer(torch.ones(8, 5))[:, 5:], torch.ones(8, 8))
    assert (layer(10 * random_rows(8, 5))[:, 5:] < 0.5).float().mean() > 0.5


@pytest.mark.parametrize("n", [3, 4, 9])
def test_in_evaluation_rows_are_compared_with_the_last_training_batch(n):
    layer = MinibatchDiscrimination(5, kernels=3, kernel_dim=2, n_reference=4)
    layer(random_rows(7, 5, seed=1))
    training = random_rows(n, 5, seed=2)
    layer(training)
    layer.eval()
    x = random_rows(2, 5, seed=3)
    reference = [training[j % n].numpy() for j in range(4)]
    expected = closeness_by_hand(layer, x[0].numpy(), reference)
    assert layer(x)[0, 5:].detach().numpy() == pytest.approx(expected, abs=1e-5)
    assert layer(x[:1])[0, 5:].detach().numpy() == pytest.approx(expected, abs=1e-5)


def test_a_single_training_row_has_no_neighbors():
    assert torch.allclose(MinibatchDiscrimination(5)(random_rows(1, 5))[:, 5:], torch.zeros(1, 8), atol=1e-6)


def test_virtual_batch_norm_by_hand():
    """Each live row by the mean and deviation of the reference and itself, the reference by its own alone."""
    layer = VirtualBatchNorm(3, n_reference=5)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        layer.bias.copy_(torch.tensor([0.5, 0.0, -0.5]))
    x = random_rows(5 + 2, 3).numpy()
    found = layer(torch.from_numpy(x)).detach().numpy()
    for i in range(7):
        seen = x[:5] if i < 5 else np.vstack([x[:5], x[i : i + 1]])
        standard = (x[i] - seen.mean(axis=0)) / np.sqrt(seen.var(axis=0) + 1e-5)
        assert found[i] == pytest.approx(standard * [1, 2, 3] + [0.5, 0, -0.5], abs=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_virtual_batch_norm_keeps_rows_apart(training):
    layer = VirtualBatchNorm(3, n_reference=5).train(training)
    x = random_rows(9, 3)
    changed = x.clone()
    changed[6:] = 100.0
    assert torch.equal(layer(x)[5], layer(changed)[5])
