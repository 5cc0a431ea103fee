"""The facts that a report is made from."""

import pytest
from fullspectrum.models.masks import MaskSet
from fullspectrum.search.protocol.label import ERK_RANDOM
from fullspectrum.search.report.facts import StudyFacts, layer_sparsities, network_of
from fullspectrum.search.report.fromfolder import facts_of_folder
from fullspectrum.search.report.leaderboard import rows_of_table, split_table
from fullspectrum.search.store.ledger import Ledger
from fullspectrum.search.store.storage import open_storage


def facts_of(result) -> StudyFacts:
    folder = result.folder
    return facts_of_folder(result.study, folder, Ledger(result.study, open_storage(None, folder.journal, create=False)))


def test_erk_is_what_the_random_baseline_has(finished):
    masks = MaskSet.load(finished.folder.baseline(ERK_RANDOM))
    expected = {name: 1 - mask.mean() for name, mask in masks.items()}
    assert facts_of(finished).erk == pytest.approx(expected)


def test_the_layer_sparsities_are_those_of_the_masks(finished):
    facts = facts_of(finished)
    best = finished.rows[0]
    masks = MaskSet.load(finished.folder.trial(best.number) / "mask.safetensors")
    assert facts.sparsities[best.label] == pytest.approx({name: 1 - mask.mean() for name, mask in masks.items()})


def test_the_images_of_each_split_are_recorded(finished, digits):
    facts = facts_of(finished)
    assert {split: facts.images(split) for split in digits.splits} == {k: len(v) for k, v in digits.splits.items()}
    assert facts.classes == 10


def test_a_leaderboard_is_read_back_as_it_was_recorded(finished):
    read = rows_of_table(split_table(finished.rows))
    assert [row.values() for row in read] == [row.values() for row in finished.rows]
    assert [(row.number, row.is_baseline) for row in read] == [(row.number, row.is_baseline) for row in finished.rows]


def test_files_that_are_not_there_or_not_whole_hold_nothing(tmp_path, finished):
    assert layer_sparsities(tmp_path / "coordinate.json") == {}
    (tmp_path / "coordinate.json").write_text('{"columns": [')
    assert layer_sparsities(tmp_path / "coordinate.json") == {}
    assert network_of(type(finished.folder)(tmp_path)) is None
