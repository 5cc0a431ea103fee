import numpy as np
import pytest
from fullspectrum.models.augmentation import centre_box, random_box
from hypothesis import given
from hypothesis import strategies as st

sides = st.integers(1, 2000)


@given(sides, sides, st.integers(0, 2**32))
def test_a_random_part_lies_inside_the_image_with_the_aspect_ratio_and_area_asked_for(width, height, seed):
    left, top, right, bottom = random_box(width, height, np.random.default_rng(seed))
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    wide, high = right - left, bottom - top
    assert 3 / 4 - 1e-9 < wide / high < 4 / 3 + 1e-9
    # An image longer than 4/3 : 0.08 holds no part of that area and ratio.
    if max(width, height) / min(width, height) < 16:
        assert 0.08 - 1e-9 < wide * high / (width * height) <= 1


def test_the_area_of_a_random_part_is_uniform_where_every_draw_fits():
    generator = np.random.default_rng(0)
    boxes = np.array([random_box(400, 300, generator) for _ in range(4000)])
    share = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / (400 * 300)
    # Parts of up to 9/16 of the area fit whatever their ratio: those are uniform from 0.08 to 9/16.
    small = share[share < 9 / 16]
    spread = (9 / 16 - 0.08) / np.sqrt(12)
    # The mean of n uniform values has the standard deviation spread / sqrt(n): 6 of them allowed.
    assert abs(small.mean() - (0.08 + 9 / 16) / 2) < 6 * spread / np.sqrt(len(small))


@pytest.mark.parametrize(("size", "box"), [((10, 1000), (0, 493.333, 10, 506.667)), ((1000, 9), (494, 0, 506, 9))])
def test_an_image_too_long_for_any_draw_gives_its_middle(size, box):
    assert random_box(*size, np.random.default_rng(0)) == pytest.approx(box, abs=1e-3)


@given(sides, sides, st.sampled_from([1.0, 8 / 7]))
def test_the_middle_of_an_image_is_a_centred_square(width, height, margin):
    left, top, right, bottom = centre_box(width, height, margin)
    assert right - left == pytest.approx(min(width, height) / margin) == bottom - top
    assert left + right == pytest.approx(width) and top + bottom == pytest.approx(height)
