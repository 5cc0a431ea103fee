"""The trials of a study as a table: which accuracies, scores and decisions count."""

from dataclasses import replace

import numpy as np
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.report import Measured
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.report.audit.audit import audit
from fullspectrum.search.report.audit.findings import findings
from fullspectrum.search.report.audit.ofstudy import study_table
from fullspectrum.search.report.audit.verdict import verdict
from fullspectrum.search.sampling.distribution import MaskDistribution

from ...conftest import tiny_study
from ...records import final, trial

STUDY = tiny_study("warmup.iterations=100", "warmup.grace_period=50", "warmup.report_every=50")


def scored(number: int, distance: float, *arguments, gate="passed", source="snip", **keywords):
    made = trial(number, distance, *arguments, **keywords)
    metrics = {**made.result.metrics, "spectral/l2": distance}
    measured = {50: Measured(50, 0.3 + number / 100, 1.0)} if made.result.iterations else {}
    proposal = replace(made.proposal, distribution=MaskDistribution(source, 1.0, 0, {}))
    return replace(made, proposal=proposal, result=replace(made.result, metrics=metrics, gate=gate), measured=measured)


TRIALS = [
    scored(0, 3.0, 100, 0.8),
    scored(1, 2.0, 50, 0.3, Outcome.STOPPED_EARLY, source="erk"),
    scored(2, 1.0, outcome=Outcome.STOPPED_BY_GATE, gate="stopped"),
    scored(3, 0.5, 100, 0.7, gate="control", source="erk"),
    scored(4, 9.0, 70, 0.1, Outcome.DIVERGED),
    replace(trial(5, 0.0), outcome=Outcome.REJECTED, result=TrialResult(reason="collapsed")),
]


def test_only_warm_ups_that_came_to_their_end_have_an_accuracy():
    table = study_table(STUDY, TRIALS, [])
    assert table.masks.tolist() == [f"trial {number}" for number in range(5)]
    assert table.accuracy.tolist() == pytest.approx([0.8, np.nan, np.nan, 0.7, np.nan], nan_ok=True)
    assert table.described == "validation accuracy after 100 iterations, of the warm-ups that came to their end"
    assert table.gates.tolist() == ["passed", "passed", "stopped", "control", "passed"]
    assert {name: values.tolist() for name, values in table.scores.items()} == {
        "l2": [3, 2, 1, 0.5, 9],
        "layer_density": [0.5] * 5,
    }
    assert (table.objective, table.quantile) == ("l2", 0.5)


def test_the_gate_is_judged_where_early_stopping_has_chosen_nothing_yet():
    table = study_table(STUDY, TRIALS, [])
    assert table.reached.tolist() == pytest.approx([0.3, 0.31, np.nan, 0.33, 0.34], nan_ok=True)
    assert (
        table.reached_described
        == "validation accuracy after 50 iterations, where early stopping has chosen nothing yet"
    )
    whole = study_table(tiny_study("warmup.iterations=100", "warmup.early_stopping=false"), TRIALS, [])
    assert whole.reached.tolist() == pytest.approx(whole.accuracy.tolist(), nan_ok=True)


def test_a_mask_that_the_gate_stopped_has_no_accuracy_however_far_it_ran_before_it_heard_of_it():
    early = replace(TRIALS[2], measured={50: Measured(50, 0.6, 1.0)})
    assert np.isnan(study_table(STUDY, [*TRIALS[:2], early], []).reached[2])


def test_the_gate_is_judged_within_what_it_chose_within():
    within = study_table(STUDY, TRIALS, [])
    assert within.judged_within.tolist() == within.alike.tolist() and len({*within.judged_within}) == 2
    whole = study_table(tiny_study("gate.within=study"), TRIALS, [])
    assert {*whole.judged_within} == {""}


def test_final_accuracies_are_those_of_the_masks_that_had_a_full_training():
    finals = [final("trial 0", 0.9, 0.85), final("dense", 0.99, 0.98)]
    table = study_table(STUDY, TRIALS, finals, "final")
    assert table.accuracy.tolist() == pytest.approx([0.85] + [np.nan] * 4, nan_ok=True)
    assert table.described == "test accuracy after full training, of the masks that had one"


def test_a_study_without_a_warm_up_is_audited_by_its_full_trainings():
    study = tiny_study("warmup.iterations=0")
    table = study_table(study, [scored(0, 1.0), scored(1, 2.0)], [final("trial 1", 0.9, 0.8)])
    assert table.accuracy.tolist() == pytest.approx([np.nan, 0.8], nan_ok=True)
    assert table.reached is None


def test_masks_of_one_kind_share_source_allocation_and_pretraining():
    trials = [scored(n, n, 100, 0.5, source=source) for n, source in enumerate(["snip", "snip", "erk"])]
    table = study_table(STUDY, trials, [])
    assert table.sources.tolist() == ["snip", "snip", "erk"]
    assert len(set(table.alike)) == 2
    assert study_table(STUDY, trials, [], group=["source"]).groups.tolist() == ["snip", "snip", "erk"]


def test_what_a_fit_to_the_others_says_of_each_mask_is_a_column():
    trials = [scored(n, float(n), 100, 0.5 + n / 100) for n in range(12)]
    table = study_table(STUDY, trials, [])
    assert np.isfinite(table.scores["learned_loo"]).all()
    # Accuracy rises with the one score there is: so does what the others say.
    assert (np.diff(table.scores["learned_loo"]) > 0).all()
    assert "learned_loo" not in study_table(STUDY, trials[:7], []).scores


def test_a_score_that_was_not_recorded_is_named():
    with pytest.raises(InputError, match='no column "imdb"'):
        study_table(STUDY, TRIALS, [], scores=["imdb"])


def test_a_study_without_a_trial_is_audited_too():
    found = audit(study_table(STUDY, [], []))
    assert verdict(found).startswith("Whether masks can be trusted cannot be told with 0 trainings")
    assert found.metrics == {}


NETWORK = {
    "task": {"channels": 1, "size": 8, "classes": 10},
    "dataset": {"name": "digits", "digest": "0", "splits": {"train": 1000, "val": 400, "test": 400}},
}


@pytest.mark.parametrize(("best", "learned"), [(0.13, False), (0.2, True)])
def test_where_no_mask_is_better_than_guessing_no_score_is_judged(best, learned):
    # Of 400 images and 10 classes 13 % are two standard deviations above a tenth, as the best of 12 may be; 20 % six.
    trials = [scored(number, float(number), 100, best - number / 1000) for number in range(12)]
    found = audit(study_table(STUDY, trials, [], network=NETWORK))
    said = [verdict(found), *findings(found)]
    assert said[0].startswith("No score can be judged: no mask trained better than guessing") is not learned
    assert any("warmup.iterations" in sentence for sentence in said) is not learned
    assert (len(said) == 1) is not learned


def test_without_the_number_of_images_nothing_is_said_of_guessing():
    trials = [scored(number, float(number), 100, 0.1) for number in range(12)]
    for network in (None, {key: value for key, value in NETWORK.items() if key != "dataset"}):
        assert study_table(STUDY, trials, [], network=network).learned
