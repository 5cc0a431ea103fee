"""The learned score of a study: fitted when its warm-ups allow it, carried by proposals, kept through a restart."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.guidance.rankings import FEWEST
from fullspectrum.search.protocol.outcome import Outcome
from fullspectrum.search.protocol.proposal import Proposal
from fullspectrum.search.protocol.result import TrialResult
from fullspectrum.search.scores.learned import shipped
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from ..drivers import OpenStudy


def study(*overrides: str) -> Study:
    settings = {
        "model": "digits_cnn",
        "data": "digits",
        "sparsity": 0.9,
        "objective": "learned",
        "search": {"trials": 60, "sampler": "random", "sources": ["random", "snip"]},
    }
    return parse(with_overrides(copy.deepcopy(settings), overrides))


def result(proposal: Proposal) -> TrialResult:
    """What a trial comes to: accuracy follows its distance, and groups lie far apart in both."""
    generator = np.random.default_rng(proposal.number)
    distance, density = generator.normal(size=2)
    offset = 50.0 * (proposal.distribution.source == "snip")
    scores = {"l2": distance + offset, "log_density": density}
    metrics = {"spectral/l2": scores["l2"], "score/log_density": density, "spectral/imdb": 2.0}
    value = proposal.ranking.value(scores) if proposal.ranking else 0.0
    metrics |= {"score/learned": value, "spectral/objective": value}
    return TrialResult(metrics, "d", 100, 0.5 + 0.05 * distance)


def run(opened: OpenStudy, trials: int) -> list[Proposal]:
    """Proposes and ends so many trials: a few are stopped at the gate, at a rung, or diverge."""
    proposals = []
    for _ in range(trials):
        proposal = opened.propose()
        proposals.append(proposal)
        ended = result(proposal)
        match proposal.number % 6:
            case 1:
                stopped = replace(ended, iterations=0, accuracy=None)
                opened.finish(proposal.number, proposal.attempt, Outcome.STOPPED_BY_GATE, stopped)
            case 3 if ended.accuracy < 0.5:
                # Where it was stopped it looks better than where it would have come to.
                ended = replace(ended, accuracy=0.9)
                stopped = replace(ended, iterations=50)
                opened.finish(proposal.number, proposal.attempt, Outcome.STOPPED_EARLY, stopped)
            case 5:
                diverged = replace(ended, iterations=20, accuracy=None)
                opened.finish(proposal.number, proposal.attempt, Outcome.DIVERGED, diverged)
            case _:
                opened.finish(proposal.number, proposal.attempt, Outcome.FINISHED, ended)
    return proposals


@pytest.fixture(scope="module")
def proposals() -> list[Proposal]:
    return run(OpenStudy(study()), 60)


def test_the_ranking_is_the_packages_until_16_warm_ups_have_ended(proposals):
    fitted = [proposal.ranking.masks for proposal in proposals]
    # Of six trials four warm-ups end: those of trials 0 to 22 are the first 16.
    first = next(number for number, masks in enumerate(fitted) if masks)
    assert sum(number % 6 not in (1, 5) for number in range(first)) == FEWEST == fitted[first]
    assert all(proposal.ranking.terms == shipped().terms for proposal in proposals[:first])
    # And anew when there are half as many more.
    assert sorted(set(fitted)) == [0, 16, 24, 36]


def test_it_learns_what_accuracy_follows_within_groups(proposals):
    terms = proposals[-1].ranking.terms
    assert terms["l2"].weight > 0.4
    assert abs(terms["log_density"].weight) < 0.3
    assert "imdb" not in terms


def test_scores_by_another_ranking_stay_where_they_were_in_each_group(proposals):
    for number in (i for i in range(1, 60) if proposals[i].ranking.masks != proposals[i - 1].ranking.masks):
        for source in ("random", "snip"):
            before = [p for p in proposals[:number] if p.distribution.source == source]
            ranking = next(p.ranking for p in proposals[number:] if p.distribution.source == source)
            scores = [result(p).scores for p in before]
            old = [p.ranking.value(given) for p, given in zip(before, scores, strict=True)]
            assert np.mean([ranking.value(given) for given in scores]) == pytest.approx(np.mean(old))


def test_a_proposal_carries_its_ranking_to_the_worker_and_to_the_next_attempt(proposals):
    for proposal in (proposals[0], proposals[-1]):
        assert Proposal.from_json(proposal.to_json()) == proposal
        assert proposal.again().ranking == proposal.ranking


@pytest.mark.parametrize("restart", [5, 23, 30, 40])
def test_a_restart_keeps_the_rankings_and_goes_on_as_if_it_had_not_been(tmp_path, proposals, restart):
    journal = tmp_path / "journal"
    run(OpenStudy(study(), JournalStorage(JournalFileBackend(str(journal)))), restart)
    again = OpenStudy(study(), JournalStorage(JournalFileBackend(str(journal))))
    assert [record.proposal.ranking for record in again.trials()] == [p.ranking for p in proposals[:restart]]
    assert run(again, 60 - restart) == proposals[restart:]


def test_other_studies_carry_no_ranking():
    assert [proposal.ranking for proposal in run(OpenStudy(study("objective=l2")), 24)] == [None] * 24
    storage = InMemoryStorage()
    run(OpenStudy(study("objective=l2"), storage), 1)
    assert "ranking" not in OpenStudy(study("objective=l2"), storage).trials()[0].proposal.to_dict()


def test_it_can_be_one_of_several_objectives():
    assert run(OpenStudy(study("objective=['l2', 'learned']")), 40)[-1].ranking.masks == 24


def test_a_study_that_trains_nothing_keeps_to_the_packages():
    opened = OpenStudy(study("warmup.iterations=0"))
    for _ in range(30):
        proposal = opened.propose()
        opened.finish(proposal.number, 1, Outcome.FINISHED, replace(result(proposal), iterations=0, accuracy=None))
    assert opened.propose().ranking.masks == 0
