import numpy as np
import pytest

from examples.ring import ring_centers, ring_quality, sample_ring


def test_true_data_cover_all_modes_with_the_quality_of_a_normal():
    samples = sample_ring(20_000, np.random.default_rng(0))
    assert samples.shape == (20_000, 2)
    assert samples.dtype == np.float32
    covered, quality = ring_quality(samples)
    assert covered == 8
    assert quality == pytest.approx(1 - np.exp(-4.5), abs=0.003)  # within three deviations, in two dimensions


@pytest.mark.parametrize("n_modes", [0, 1, 5])
def test_collapse_and_blur_are_counted(n_modes):
    samples = np.concatenate([np.repeat(ring_centers()[:n_modes], 100, axis=0), np.zeros((1000 - 100 * n_modes, 2))])
    assert ring_quality(samples) == (n_modes, pytest.approx(0.1 * n_modes))


def test_a_stray_sample_covers_no_mode():
    samples = np.concatenate([np.repeat(ring_centers()[:1], 990, axis=0), np.repeat(ring_centers()[1:2], 10, axis=0)])
    assert ring_quality(samples) == (1, 1.0)


def test_the_modes_lie_evenly_on_the_circle():
    centers = ring_centers()
    assert np.allclose(np.linalg.norm(centers, axis=1), 2.0)
    assert np.allclose(np.linalg.norm(centers - np.roll(centers, 1, axis=0), axis=1), 4 * np.sin(np.pi / 8))
