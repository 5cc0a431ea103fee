"""The per-layer values that the ICLR 2023 authors published for random ERK masks on a ResNet-34, sparsity 0.95."""

import numpy as np
import pytest
from fullspectrum.spectral import full_spectrum

DRAWS = 20
#: A published value is one more draw: it lies within 5 · std · sqrt(1 + 1/20) of the mean of 20 of ours but for a
#: chance of about 1e-4 (Student's t, 19 degrees of freedom).
SPREADS = 5 * np.sqrt(1 + 1 / DRAWS)
#: The layer sparsities are published to four digits.
ROUNDING = 5e-5

#        out, left, sparsity,  sigma1, sigma2,  gap,   imdb
RANDOM = [
    (64, 576, 0.7690, 45.67, 13.142, 2.064, 0.889),  # layer1.0.conv1
    (128, 1152, 0.8817, 46.93, 14.513, 0.880, 0.368),  # layer2.0.conv2
    (256, 128, 0.2315, 139.34, 11.297, 12.562, 8.783),  # layer3.0.downsample.0
    (512, 4608, 0.9715, 45.46, 15.129, -0.018, -0.152),  # layer4.1.conv2
]
DENSE = [(128, 64, 90.51, 19.207), (10, 512, 71.55, 25.605)]  # layer2.0.downsample.0, fc


def _draw(out: int, left: int, sparsity: float, seed: int) -> tuple[float, ...]:
    mask = np.zeros(out * left, dtype=bool)
    kept = round((1 - sparsity) * mask.size)
    mask[np.random.default_rng(seed).choice(mask.size, kept, replace=False)] = True
    layer = full_spectrum({"layer": mask.reshape(out, left)}, None).layers["layer"]
    return layer.sigma1, layer.sigma2, layer.ramanujan_gap, layer.imdb


@pytest.mark.parametrize("row", RANDOM)
def test_random_masks_reproduce_the_published_values_within_their_spread(row):
    out, left, sparsity, *published = row
    draws = np.array([_draw(out, left, sparsity, seed) for seed in range(DRAWS)])
    # Rounding shifts sigma1 (near density · sqrt(m·n)) in proportion to the density, sigma2 and the bound by half of
    # that, and the last published digit by half a unit.
    shift = ROUNDING / (1 - sparsity) * draws.mean(axis=0)[[0, 1, 1, 1]] + [0.005, 0.0005, 0.0005, 0.0005]
    bound = SPREADS * draws.std(axis=0, ddof=1) + shift
    assert (np.abs(published - draws.mean(axis=0)) <= bound).all()
    assert (bound < [0.6, 0.9, 0.9, 0.7]).all()  # the comparison is one: the bound is small against the values


@pytest.mark.parametrize(("out", "left", "sigma1", "gap"), DENSE)
def test_dense_layers_have_the_published_values_to_their_last_digit(out, left, sigma1, gap):
    layer = full_spectrum({"layer": np.ones((out, left), dtype=bool)}, None).layers["layer"]
    assert layer.sigma1 == pytest.approx(sigma1, abs=0.005)
    assert layer.sigma2 == 0.0
    assert (layer.ramanujan_gap, layer.imdb) == pytest.approx((gap, gap), abs=1e-3)
