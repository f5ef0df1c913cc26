"""Feature maps as a picture: where each channel is, and how its values become grey."""

import numpy as np
import pytest

from trainers.feature_maps import draw_maps, grid_of


@pytest.mark.parametrize(
    ("channels", "rows", "columns"),
    [(64, 8, 8), (32, 4, 8), (1, 1, 1), (2, 1, 2), (7, 3, 3), (24, 4, 6), (61, 8, 8)],
)
def test_the_grid_is_near_a_square(channels: int, rows: int, columns: int):
    grid = grid_of(5, 4, channels)
    assert (grid.rows, grid.columns) == (rows, columns)
    assert (grid.height, grid.width) == (5, 4)


def test_each_channel_is_stretched_by_itself_and_a_pixel_lies_between():
    maps = np.random.default_rng(0).normal(size=(5, 4, 6)).astype(np.float32)
    maps *= 10.0 ** np.arange(6)
    picture = draw_maps(maps)
    assert picture.shape == (2 * 5 + 1, 3 * 4 + 2)
    for channel in range(6):
        row, column = divmod(channel, 3)
        found = picture[row * 6 : row * 6 + 5, column * 5 : column * 5 + 4]
        one = maps[:, :, channel].astype(np.float64)
        expected = 255 * (one - one.min()) / (one.max() - one.min())
        np.testing.assert_allclose(found, expected, atol=0.5001)
        assert (found.min(), found.max()) == (0, 255)
    assert (picture[5] == 255).all()
    assert (picture[:, [4, 9]] == 255).all()


def test_a_constant_channel_is_black_and_so_is_what_is_not_finite():
    maps = np.zeros((2, 2, 4), np.float32)
    maps[:, :, 0] = 3.5
    maps[:, :, 1] = [[0, 1], [2, np.nan]]
    maps[:, :, 2] = [[-np.inf, 1], [2, np.inf]]
    maps[:, :, 3] = np.nan
    picture = draw_maps(maps)
    assert picture[:2, :2].tolist() == [[0, 0], [0, 0]]
    assert picture[:2, 3:].tolist() == [[0, 128], [255, 0]]
    assert picture[3:, :2].tolist() == [[0, 0], [255, 0]]
    assert picture[3:, 3:].tolist() == [[0, 0], [0, 0]]


@pytest.mark.slow
def test_large_maps_are_shown_smaller():
    grid = grid_of(512, 256, 64)
    assert (grid.height, grid.width) == (112, 56)
    maps = np.zeros((512, 256, 64), np.float32)
    maps[256:] = 1
    picture = draw_maps(maps)
    assert picture.shape == (8 * 112 + 7, 8 * 56 + 7)
    assert (picture[:56, :56] == 0).all()
    assert (picture[56:112, :56] == 255).all()
    assert max(grid_of(112, 112, 64).height, grid_of(113, 90, 64).height) == 112
