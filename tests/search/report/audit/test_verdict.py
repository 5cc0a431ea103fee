"""The sentences of an audit say what its numbers show, and no more."""

from dataclasses import replace

import numpy as np
import pytest
from fullspectrum.search.report.audit.audit import FEWEST, Audit, audit
from fullspectrum.search.report.audit.findings import findings
from fullspectrum.search.report.audit.verdict import verdict

from .tables import planted, table

RISING = np.linspace(0.1, 0.9, 60)
NOISE = np.random.default_rng(0).permutation(RISING)
OTHER = np.random.default_rng(1).permutation(RISING)


def judged(score, density, accuracy=RISING, objective="l2", **more) -> Audit:
    return audit(table(accuracy=accuracy, l2=score, layer_density=density, objective=objective, **more))


@pytest.mark.parametrize(
    ("score", "density", "said"),
    [
        (RISING, NOISE, "On this task the distance ranks masks better than layer density ("),
        (NOISE, RISING, "On this task the distance ranks masks worse than layer density ("),
        (RISING, RISING, "On this task the distance ranks masks no better than layer density ("),
        # The sign counts: a distance that ranks backwards is worse than one that does not rank.
        (-RISING, NOISE, "On this task the distance ranks masks worse than layer density ("),
        (NOISE, OTHER, "On this task it cannot be told whether the distance ranks masks better than layer density ("),
    ],
)
def test_the_objective_is_compared_with_layer_density(score, density, said):
    sentence = verdict(judged(score, density))
    assert sentence.startswith(said)
    assert "60 trainings" in sentence
    assert sentence.endswith(").") and "\n" not in sentence and "nan" not in sentence


def test_no_better_is_said_only_where_a_lead_that_matters_is_excluded():
    said = []
    for masks in (12, 600):
        truth, *noise = np.random.default_rng(2).normal(size=(4, masks))
        # Two scores of the same worth.
        accuracy, score, density = (truth + 0.5 * each for each in noise)
        said.append(verdict(judged(score, density, accuracy)))
    assert "it cannot be told whether the distance ranks masks better" in said[0]
    assert "the distance ranks masks no better than layer density (" in said[1]


def test_the_verdict_gives_both_correlations_and_the_interval_of_their_difference():
    found = judged(RISING, NOISE)
    association = found.associations["l2"]
    lead = association.lead
    numbers = f"+1.00 against {found.associations['layer_density'].raw.value:+.2f}, 95 % interval of the difference"
    assert f"{numbers} {lead.low:+.2f} to {lead.high:+.2f}" in verdict(found)


def test_where_layer_density_is_the_objective_it_is_not_compared_with_itself():
    sentence = verdict(judged(NOISE, RISING, objective="layer_density"))
    assert sentence.startswith("On this task the layer density, the control itself, ranks masks (Spearman +1.00, 95 %")
    assert "is not shown to rank masks" in verdict(judged(RISING, NOISE, objective="layer_density"))


def test_without_layer_density_a_score_is_judged_by_itself():
    found = audit(table(accuracy=RISING, mine=-RISING, objective="mine"))
    assert verdict(found).startswith("On this task mine ranks masks backwards (Spearman -1.00, 95 % interval")


@pytest.mark.parametrize("trainings", [0, 1, 2, FEWEST - 1])
def test_too_few_trainings_are_not_judged(trainings):
    accuracy = np.where(np.arange(20) < trainings, np.arange(20.0), np.nan)
    found = audit(table(accuracy=accuracy, l2=np.arange(20.0), layer_density=np.arange(20.0), objective="l2"))
    # A single training has none to be compared with.
    count = trainings if trainings > 1 else 0
    assert verdict(found) == (
        f"Whether the distance can be trusted cannot be told with {count} trainings to compare; it takes at least 8."
    )
    assert found.metrics == {}


@pytest.mark.parametrize("constant", ["l2", "accuracy"])
def test_a_constant_column_ranks_nothing(constant):
    columns = {"accuracy": RISING, "l2": NOISE, "layer_density": OTHER} | {constant: np.full(60, 0.3)}
    found = audit(table(**columns, objective="l2"))
    assert verdict(found) == "All masks are alike in distance or in accuracy: nothing can be ranked."


def test_a_source_that_carries_the_correlation_is_named():
    generator = np.random.default_rng(3)
    source = np.repeat(["random", "snip", "synflow"], 20)
    score, accuracy, density = generator.normal(size=(3, 60))
    carried = 5 * (source == "synflow")
    found = judged(score + carried, density, accuracy + carried, source=source)
    rest = found.associations["l2"].without["synflow"]
    assert verdict(found).endswith(f"; without the masks of synflow its correlation is {rest:+.2f}.")
    # A correlation that every source shares is carried by none.
    assert "without the masks" not in verdict(judged(RISING, NOISE, source=np.tile(["a", "b", "c"], 20)))


def test_without_an_objective_the_strongest_score_is_judged_as_one_of_many():
    generator = np.random.default_rng(7)
    scores = {f"score_{number}": generator.normal(size=14) for number in range(20)}
    found = audit(table(accuracy=generator.normal(size=14), **scores))
    # By itself the best of twenty would pass for a score; of twenty it does not.
    best = found.associations[found.judged]
    assert abs(best.raw.value) > found.power.told
    assert verdict(found).startswith(f"Of 20 scores the strongest: {found.judged} is not shown to rank masks (")
    assert " by luck)" in verdict(found)


def test_a_lead_is_widened_for_the_choice_among_scores():
    columns = planted(60, 2)
    alone, among = verdict(audit(table(**columns, objective="l2"))), verdict(audit(table(**columns)))
    assert "ranks masks better" in alone and "ranks masks better" in among
    assert "widened for the choice among 2" in among and "widened" not in alone


def test_findings_say_what_can_be_told_and_what_the_gate_and_the_best_mask_came_to():
    gates = ["passed"] * 40 + ["control"] * 10 + ["stopped"] * 10
    accuracy = np.where(np.arange(60) < 50, RISING[::-1], np.nan)
    found = audit(table(accuracy=accuracy, l2=NOISE, gate=gates, cost=np.full(60, 6770.0), objective="l2"))
    power, gate, top, best = findings(found)
    assert power == (
        "With 50 trainings a correlation under 0.29 cannot be told from 0, and a true one of 0.40 is told from 0 four "
        "times in five."
    )
    assert gate.startswith("The 40 masks that passed the gate train better than the 10 of its control group: ")
    assert top.startswith("The tenth of the masks with the highest distance (1) ")
    assert best == "The best mask is line 2, number 1 of 60: accuracy 0.9000 for 6,770 optimizer steps in all."


def test_findings_of_which_there_is_nothing_to_say_are_left_out():
    assert findings(audit(table(accuracy=np.full(5, np.nan), l2=np.arange(5.0)))) == []
    grouped = audit(table(**planted(40, 1), task=np.repeat(["a", "b"], 20), group=["task"]))
    assert not any("best mask" in sentence for sentence in findings(grouped))


def test_the_document_and_the_record_hold_the_numbers_of_each_score():
    gates = ["passed"] * 40 + ["control"] * 20
    columns = {"accuracy": RISING, "l2": NOISE, "layer_density": OTHER, "gate": gates, "objective": "l2"}
    found = audit(table(**columns, source=np.tile(["a", "b"], 30)))
    document, each = found.to_dict(), found.associations["l2"]
    assert document["scores"]["l2"]["rho"] == each.raw.to_dict()
    assert document["scores"]["l2"]["given"]["layer_density"] == each.given["layer_density"].to_dict()
    assert document["gate"]["scores"]["l2"] == found.worths["l2"].to_dict()
    assert found.metrics == {
        "audit/trainings": 60,
        "audit/rho_l2": each.raw.value,
        "audit/rho_l2_given_layer_density": each.given["layer_density"].value,
        "audit/rho_l2_within_sources": each.within.value,
        "audit/gain_l2": found.worths["l2"].gain,
        "audit/rho_layer_density": found.associations["layer_density"].raw.value,
        "audit/rho_layer_density_within_sources": found.associations["layer_density"].within.value,
        "audit/gain_layer_density": found.worths["layer_density"].gain,
        "audit/gate_benefit": found.gate.difference,
        "audit/gate_benefit_error": found.gate.error,
    }


def test_an_audit_is_the_same_every_time():
    masks = table(**planted(30, 1), objective="l2")
    assert audit(masks).to_dict() == audit(replace(masks)).to_dict()
