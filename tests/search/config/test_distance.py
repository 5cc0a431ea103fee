"""The words of the distance's settings are those that the distance takes."""

from fullspectrum.search.config import distance
from fullspectrum.spectral import coordinate


def test_the_settings_of_the_distance_take_the_words_that_it_takes():
    assert distance.REFERENCES == coordinate.REFERENCES
    assert distance.AGGREGATES == coordinate.AGGREGATES
    assert tuple(coordinate.VARIANTS) == distance.VARIANTS
