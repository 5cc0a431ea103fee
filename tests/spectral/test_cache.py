"""The cache of spectra: what it drops, and that copies begin empty."""

import pickle

import numpy as np
from fullspectrum.spectral import SpectralCache, evaluation, full_spectrum
from fullspectrum.spectral.cache import LruCache
from fullspectrum.spectral.coordinate import full_spectra

MASKS = {"a.weight": np.random.default_rng(0).random((12, 30)) < 0.5}


def _counted(monkeypatch) -> list[int]:
    """Return a list that grows by the number of matrices that each later call solves."""
    solved: list[int] = []
    solve = evaluation.two_largest_of
    monkeypatch.setattr(evaluation, "two_largest_of", lambda given, run: solved.append(len(given)) or solve(given, run))
    return solved


def test_the_least_recently_used_entry_is_dropped():
    cache = LruCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_calls_share_spectra_through_a_cache_and_not_otherwise(monkeypatch):
    solved, cache = _counted(monkeypatch), SpectralCache()
    for given in (None, None, cache, cache):
        full_spectrum(MASKS, None, cache=given)
    assert [count > 0 for count in solved] == [True, True, True, False]


def test_candidates_of_one_call_share_spectra(monkeypatch):
    solved = _counted(monkeypatch)
    one, other = full_spectra([MASKS, MASKS], None)
    assert one.to_dict() == other.to_dict()
    full_spectrum(MASKS, None)
    assert solved[0] == solved[1]


def test_a_copy_of_a_cache_begins_empty_and_works(monkeypatch):
    cache = SpectralCache()
    full_spectrum(MASKS, None, cache=cache)
    copy, solved = pickle.loads(pickle.dumps(cache)), _counted(monkeypatch)
    for _ in range(2):
        full_spectrum(MASKS, None, cache=copy)
    assert [count > 0 for count in solved] == [True, False]
