"""What is trained in full, at what cost, and which random mask the winner is held against."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from fullspectrum.models.data import load
from fullspectrum.models.masks import MaskSet
from fullspectrum.models.networks import build
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.files import StudyFolder
from fullspectrum.search.final.entries import finalist_entries, winner_entries
from fullspectrum.search.protocol.label import CHECKS, DENSE, ERK_RANDOM, ERK_RANDOM_EQUAL_COST, INVERTED
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.training import TrainingEnd
from fullspectrum.search.sampling.distribution import MaskDistribution
from fullspectrum.search.store.records import FinalRecord
from fullspectrum.search.worker.workbench import Workbench

from ..records import FakeLedger, trial

SETTINGS = {
    "model": "digits_cnn",
    "data": "digits",
    "sparsity": 0.98,
    "pretraining": {"iterations": {"choices": [0, 150]}},
    "search": {"sources": ["snip", "random", "imp"], "rounds": 9, "round_iterations": 60},
}
LENGTH = 680

#: A distribution, and the steps before a training under its masks.
PLAIN = MaskDistribution("random", float("inf"), 0, {}), 0
PRETRAINED = MaskDistribution("random", float("inf"), 0, {}, pretraining=150), 150
TRAINED = MaskDistribution("imp", 0.0, 0, {}, "erk", 150, 9, 60), 690


@pytest.fixture(scope="module")
def bench() -> Workbench:
    data = load("digits")
    return Workbench(parse(SETTINGS), build("digits_cnn", data.task, 0), data)


@pytest.fixture
def entries_of(bench, tmp_path):
    """Returns the entries of both stages of a study whose only finalist was drawn from a distribution."""

    def entries(distribution: MaskDistribution, checks: bool = True) -> list:
        folder = StudyFolder(tmp_path / "study")
        record = trial(0, 1.0, 100, 0.5)
        training = {"learning_rate": 0.05}
        record = replace(record, proposal=replace(record.proposal, distribution=distribution, training=training))
        masks = MaskSet(bench.draw(PLAIN[0], bench.counts(PLAIN[0]), 7), bench.metadata(distribution, 7))
        folder.trial(0).mkdir(parents=True)
        masks.save(folder.trial(0) / "mask.safetensors")
        study = parse(with_overrides(SETTINGS, [f"final.checks={str(checks).lower()}"]))
        # The scores of the inverted check are computed by a worker; it stands in the ledger already.
        end = TrainingEnd(Outcome.FINISHED, LENGTH, 0.9, 0.9)
        finals = [FinalRecord(record.label, end), FinalRecord(INVERTED, end, of=record.label)]
        search = SimpleNamespace(study=study, workbench=bench, folder=folder, ledger=FakeLedger([record], finals))
        return [*finalist_entries(search, [record]), *winner_entries(search)]

    return entries


@pytest.mark.parametrize(("distribution", "before"), [PLAIN, PRETRAINED, TRAINED])
def test_a_mask_and_its_checks_cost_pretraining_and_source_and_baselines_nothing_before(
    entries_of, distribution, before
):
    costs = {entry.label: entry.cost for entry in entries_of(distribution)}
    assert costs.pop("trial 0") == before
    assert costs.pop(DENSE) == costs.pop(ERK_RANDOM) == costs.pop(ERK_RANDOM_EQUAL_COST, 0) == 0
    assert costs == {label: before for label in CHECKS if label != INVERTED}


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize(("distribution", "before"), [PRETRAINED, TRAINED])
def test_the_random_mask_at_equal_cost_is_that_of_erk_random_trained_from_the_start_as_long_as_all_of_the_winner(
    entries_of, distribution, before, checks
):
    entries = {entry.label: entry for entry in entries_of(distribution, checks)}
    random, equal = entries[ERK_RANDOM], entries[ERK_RANDOM_EQUAL_COST]
    assert equal.iterations == before + LENGTH and random.iterations is None
    assert equal.cost_of(TrainingEnd(Outcome.FINISHED, equal.iterations)) == before + LENGTH
    assert equal.masks == random.masks and MaskSet.load(equal.file) == random.masks and equal.file != random.file
    assert (equal.weights, equal.init_seed, equal.pretraining) == (None, None, 0)
    assert (equal.of, equal.training) == ("trial 0", {"learning_rate": 0.05})
    assert any(label in entries for label in CHECKS) is checks


def test_a_winner_whose_last_training_is_all_of_its_cost_is_held_against_erk_random_alone(entries_of):
    assert ERK_RANDOM_EQUAL_COST not in [entry.label for entry in entries_of(PLAIN[0])]
