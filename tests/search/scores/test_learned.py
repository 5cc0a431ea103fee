"""The learned score: a linear combination of other scores, whose ranking comes with the package or with a proposal."""

import json
import math
import pickle
from importlib import resources

import pytest
from fullspectrum.search.protocol.ranking import OTHERS, Ranking, Term
from fullspectrum.search.scores.learned import LEARNED, SHIPPED, Learned, shipped
from fullspectrum.search.scores.registry import all_scores, score_called
from fullspectrum.spectral.objectives import IMDB, L2, LAYER_DENSITY, LOG_DENSITY, Distance
from fullspectrum.spectral.testing import ScoreContract
from fullspectrum.spectral.testing.score import mixed_coordinate, undefined_coordinate

RANKING = Ranking(
    {"log_density": Term(0.6, 0.5, -2.0), "l2": Term(-0.3, 4.0, 7.0), "imdb": Term(1.5, 0.1, 0.2)}, 20, 0.7
)
PARTS = {"log_density": LOG_DENSITY, "l2": L2, "imdb": IMDB, "layer_density": LAYER_DENSITY}


@pytest.fixture
def coordinate():
    return mixed_coordinate()


class TestContract(ScoreContract):
    @pytest.fixture(params=[LEARNED, Learned(RANKING).of(PARTS)], ids=["shipped", "fitted"])
    def score(self, request):
        return request.param


def test_it_is_the_sum_of_slopes_times_scores(coordinate):
    expected = (
        0.7
        + 1.2 * (LOG_DENSITY.value(coordinate) + 2)
        - 0.075 * (L2.value(coordinate) - 7)
        + 15 * (IMDB.value(coordinate) - 0.2)
    )
    assert Learned(RANKING).of(PARTS).value(coordinate) == pytest.approx(expected)


def test_its_terms_add_up_to_it_but_for_a_constant(coordinate):
    score = Learned(RANKING).of(PARTS)
    terms = math.fsum(term for term in score.terms(coordinate).values() if not math.isnan(term))
    constant = 0.7 - 1.2 * -2 + 0.075 * 7 - 15 * 0.2
    assert score.value(coordinate) == pytest.approx(terms + constant)


def test_an_undefined_score_counts_as_its_centre():
    undefined = undefined_coordinate()
    known = 0.7 + 1.2 * (LOG_DENSITY.value(undefined) + 2) - 0.075 * (0 - 7)
    assert Learned(RANKING).of(PARTS).value(undefined) == pytest.approx(known)
    assert math.isnan(Learned(Ranking({"imdb": Term(1.0, 1.0)})).of(PARTS).value(undefined))


def test_a_group_has_its_own_level_and_any_other_that_of_others():
    ranking = Ranking({"l2": Term(1.0, 1.0)}, levels={"snip erk": 5.0, OTHERS: 1.0})
    levels = [ranking.within(group).value({"l2": 0.0}) for group in ("snip erk", "random erk")]
    assert levels == [5.0, 1.0]
    # What a trial of one group carries knows the levels of all.
    assert ranking.within("snip erk").within("random erk") == ranking.within("random erk")


def test_a_ranking_survives_json():
    ranking = Ranking(RANKING.terms, 20, 0.7, {"snip erk": 1.5})
    assert Ranking.from_dict(json.loads(json.dumps(ranking.to_dict()))) == ranking


def test_the_shipped_table_reproduces_its_file_and_says_where_it_comes_from():
    table = json.loads((resources.files("fullspectrum.search.scores") / SHIPPED).read_text())
    provenance = table.pop("provenance")
    assert shipped().to_dict() == table
    assert set(provenance) == {"data", "masks", "groups", "date", "command"}
    assert shipped().masks == 0
    # A score of every study, and higher is better.
    assert shipped().terms.keys() <= LEARNED.parts.keys()
    assert shipped().terms["log_density"].weight > 0


def test_it_ranks_by_what_it_was_shipped_with_what_has_no_other_ranking(coordinate):
    assert score_called("learned") is LEARNED
    term = shipped().terms["log_density"]
    assert LEARNED.value(coordinate) == pytest.approx(term.slope * (LOG_DENSITY.value(coordinate) - term.centre))


def test_it_combines_the_scores_of_the_study_and_neither_itself_nor_another_variant():
    parts = all_scores(("l2",), "random", "sum")["learned"].parts
    assert parts["l2"] == Distance("random", "sum")
    assert parts.keys().isdisjoint({"learned", "l2_authors"})


def test_a_copy_by_another_ranking_leaves_it_as_it_was(coordinate):
    before = LEARNED.value(coordinate)
    copy = pickle.loads(pickle.dumps(LEARNED.by(RANKING)))
    assert copy.ranking == RANKING
    assert LEARNED.value(coordinate) == before != copy.value(coordinate)
