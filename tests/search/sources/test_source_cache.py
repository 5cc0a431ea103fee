"""The scores that a workbench keeps: as many as there is room for, those used last."""

import numpy as np
import pytest
from fullspectrum.models.data import load
from fullspectrum.models.networks import build
from fullspectrum.search.config.studyfile import parse
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.worker import workbench as candidates
from fullspectrum.search.worker.workbench import Workbench


@pytest.fixture
def bench() -> Workbench:
    data = load("digits")
    study = parse({"model": "digits_cnn", "data": "digits", "sparsity": 0.9, "search": {"sources": ["random"]}})
    return Workbench(study, build("digits_cnn", data.task, 0), data)


def batch(number: int) -> MaskDistribution:
    return MaskDistribution("random", 0.0, number, {})


#: Of one batch of scores: 504,048 doubles.
BYTES = 8 * 504_048


def test_the_least_recently_used_scores_make_room(bench, monkeypatch):
    monkeypatch.setattr(candidates, "SCORE_BYTES", 2 * BYTES)
    first, second = bench.scores(batch(0)), bench.scores(batch(1))
    assert bench.scores(batch(0)) is first
    third = bench.scores(batch(2))
    assert bench.scores(batch(0)) is first and bench.scores(batch(2)) is third
    again = bench.scores(batch(1))
    assert again is not second
    assert all(np.array_equal(again[name], second[name]) for name in second)


def test_the_last_scores_are_kept_however_large(bench, monkeypatch):
    monkeypatch.setattr(candidates, "SCORE_BYTES", BYTES - 1)
    first = bench.scores(batch(0))
    assert bench.scores(batch(0)) is first
    bench.scores(batch(1))
    assert bench.scores(batch(0)) is not first
