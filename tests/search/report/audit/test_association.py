"""What is planted in a table is found, what density explains is not, and what is not there is rarely seen."""

import numpy as np
import pytest
from fullspectrum.search.report.audit.association import Association, associate
from scipy.stats import binom

from .tables import confounded, planted, table


def l2(**columns) -> Association:
    return associate(table(**columns))["l2"]


def test_a_planted_correlation_is_found_raw_and_given_density():
    # Spearman's correlation of normal numbers with correlation r is 6/π · asin(r/2): 0.79 of 0.8.
    found = l2(**planted(200, 0))
    for estimate in (found.raw, found.given["layer_density"], found.lead):
        assert estimate.low > 0.5
        assert estimate.low < 0.786 < estimate.high
    assert found.count == 200


def test_what_density_explains_is_gone_once_density_is_given():
    found = l2(**confounded(400, 1))
    assert found.raw.low > 0.5
    # Ranks of normal numbers that are independent given a third are nearly so given its ranks.
    given = found.given["layer_density"]
    assert given.low < 0 < given.high
    assert abs(given.value) < 0.15
    assert found.lead.high < 0


TABLES = 250


@pytest.mark.parametrize(("masks", "groups"), [(14, 1), (40, 1), (60, 6)])
def test_intervals_of_nothing_hold_0_at_about_their_rate(masks, groups, monkeypatch):
    # Fewer resamples, as only whether 0 is inside counts.
    monkeypatch.setattr("fullspectrum.search.report.audit.interval.DRAWS", 600)
    held = np.zeros(2)
    for seed in range(TABLES):
        accuracy, score, density = np.random.default_rng(seed).normal(size=(3, masks))
        task = np.arange(masks) % groups
        found = l2(accuracy=accuracy, l2=score, layer_density=density, task=task.astype(str), group=["task"])
        held += [each.low < 0 < each.high for each in (found.raw, found.given["layer_density"])]
    # With a true rate between 0.92 and 0.98, as percentiles have, each count is within these but once in a thousand.
    least, most = binom.ppf(0.0005, TABLES, 0.92), binom.ppf(0.9995, TABLES, 0.98)
    assert all(least <= count <= most for count in held)


def test_a_score_is_looked_at_where_all_is_known():
    columns = planted(40, 2)
    columns["l2"][:5] = np.nan
    columns["layer_density"][4:8] = np.nan
    columns["accuracy"][30:] = np.nan
    found = associate(table(**columns, other=np.arange(40.0)))
    assert (found["l2"].count, found["other"].count) == (22, 26)


def test_the_source_that_carries_a_correlation_is_named():
    generator = np.random.default_rng(3)
    source = np.repeat(["random", "snip", "synflow"], 10)
    score = generator.normal(size=30) + 50 * (source == "synflow")
    accuracy = generator.normal(size=30) + 50 * (source == "synflow")
    found = l2(accuracy=accuracy, l2=score, source=source)
    assert found.raw.low > 0
    assert found.carrier == "synflow"
    assert found.without.keys() == {"random", "snip", "synflow"}
    assert min(found.without.values()) == found.without["synflow"] < 0.4
    # Like is compared with like: within sources nothing is left.
    assert found.within.low < 0 < found.within.high


def test_a_correlation_within_sources_is_found_though_sources_run_the_other_way():
    generator = np.random.default_rng(4)
    level = np.repeat([0, 10, 20], 12)
    score = generator.normal(size=36)
    found = l2(accuracy=score - level, l2=score + level, source=level.astype(str))
    assert found.raw.high < 0
    assert found.within.value == pytest.approx(1)


def test_without_sources_groups_are_left_out():
    columns = planted(30, 5)
    found = l2(**columns, task=np.repeat(["a", "b", "c"], 10), group=["task"])
    assert found.without.keys() == {"a", "b", "c"}
    assert found.within is None
    assert l2(**columns).without == {}


def test_a_control_is_not_given_to_itself():
    columns = planted(30, 6) | {"log_density": np.arange(30.0)}
    found = associate(table(**columns))
    assert found["l2"].given.keys() == {"layer_density", "log_density"}
    assert found["layer_density"].given.keys() == {"log_density"}
    assert found["layer_density"].lead is None


def test_controls_are_given_also_where_they_are_not_audited():
    found = associate(table(**planted(30, 6), scores=["l2"]))
    assert found.keys() == {"l2"}
    assert found["l2"].given.keys() == {"layer_density"}


def test_scores_known_of_other_masks_have_the_intervals_that_they_have_alone():
    columns = planted(40, 7)
    alone = associate(table(**columns))["l2"]
    beside = np.where(np.arange(40) < 20, np.nan, np.arange(40.0))
    assert associate(table(**columns, beside=beside))["l2"] == alone


def test_an_association_is_the_same_every_time():
    assert l2(**planted(30, 8)) == l2(**planted(30, 8))


def test_draws_in_which_a_column_is_constant_are_left_out():
    # One mask differs: a third of all draws miss it, and have no correlation.
    columns = {"accuracy": np.arange(8.0), "l2": np.array([1.0] + [0.0] * 7)}
    found = l2(**columns)
    assert -1 <= found.raw.low < found.raw.high <= 1


def test_a_score_that_is_constant_ranks_nothing():
    found = l2(accuracy=np.arange(8.0), l2=np.zeros(8), layer_density=np.arange(8.0))
    assert np.isnan([found.raw.value, found.raw.low, found.given["layer_density"].value]).all()
    assert found.raw.sign == 0
