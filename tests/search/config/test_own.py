"""Sources, scores, allocations, samplers and mask rules of a user's own, named in the settings."""

import sys

import numpy as np
import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.search.config.own import import_own
from fullspectrum.search.config.study import Study
from fullspectrum.search.config.studyfile import parse, with_overrides
from fullspectrum.search.guidance.guided import GuidedStudy
from fullspectrum.search.sampling.allocation import allocate
from fullspectrum.search.sampling.layers import AllocationError, Layers
from fullspectrum.search.scores.registry import all_scores, score_called

MODULE = """
import numpy as np
from fullspectrum.models.maskrules.rule import Fixed
from fullspectrum.search.samplers.random import Random
from fullspectrum.search.sources.magnitude import Magnitude
from fullspectrum.spectral.objectives import LayerDensity


class Source(Magnitude):
    pass


class Score(LayerDensity):
    label = "mine"


class Sampler(Random):
    several_objectives = False


class Rule(Fixed):
    pass


class Fails(Magnitude):
    def __init__(self):
        raise RuntimeError("no such file")


def first_layer_dense(share):
    return np.arange(len(share.shapes), 0, -1) ** 2.0


def negative(share):
    return -np.ones(len(share.shapes))


something = 3
"""

#: A setting for each kind, and what the registry calls the kind.
SETTINGS = {
    "search.sources=['own_things:{}']": "Source",
    "search.sources=['random', 'ascent:own_things:{}']": "Source",
    "objective=own_things:{}": "Score",
    "objective=['l2', 'own_things:{}']": "Score",
    "search.sampler=own_things:{}": "Sampler",
    "search.allocation=own_things:{}": "first_layer_dense",
    "search.allocation={{ choices = ['erk', 'own_things:{}'] }}": "first_layer_dense",
    "training.mask=own_things:{}": "Rule",
}


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """A module of the user's in the working directory."""
    (tmp_path / "own_things.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("own_things", None)


def study(*overrides: str) -> Study:
    return parse(with_overrides({"model": "digits_cnn", "data": "digits", "sparsity": 0.9}, overrides))


@pytest.mark.parametrize(("setting", "name"), SETTINGS.items())
def test_a_name_of_the_users_own_is_taken_without_an_import_and_imported_before_a_study_begins(setting, name):
    settings = study(setting.format(name))
    assert parse(settings.settings()) == settings
    assert "own_things" not in sys.modules
    import_own(settings)
    assert "own_things" in sys.modules


@pytest.mark.parametrize("setting", SETTINGS)
def test_one_that_there_is_not_is_named_in_one_line(setting):
    with pytest.raises(InputError, match='"own_things:Nothing": own_things has no "Nothing"') as caught:
        import_own(study(setting.format("Nothing")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("search.sources=['own_things:Score']", '"own_things:Score" must make a Source, but makes a Score'),
        ("search.sources=['own_things:Fails']", '"own_things:Fails" failed: .*no such file'),
        ("objective=own_things:Source", '"own_things:Source" must make a Objective'),
        ("search.sampler=own_things:Rule", "own_things:Rule"),
        ("search.allocation=own_things:something", '"own_things:something" is no function but a int'),
        ("search.sources=['nosuchmodule:Source']", 'cannot import "nosuchmodule"'),
    ],
)
def test_what_is_not_of_its_kind_is_refused(setting, message):
    with pytest.raises(InputError, match=message) as caught:
        import_own(study(setting))
    assert "\n" not in str(caught.value)


def test_a_sampler_of_ones_own_may_take_one_objective_alone():
    import_own(study("search.sampler=own_things:Sampler", "objective=imdb"))
    with pytest.raises(InputError, match='search.sampler = "own_things:Sampler" takes one objective, but objective = '):
        import_own(study("search.sampler=own_things:Sampler", "objective=['l2', 'imdb']"))


def test_a_score_of_ones_own_stands_beside_all_others():
    found = all_scores(("own_things:Score", "l2"), "random", "sum")
    assert found["own_things:Score"].label == score_called("own_things:Score").label == "mine"
    assert found["l2"].reference == "random"
    assert "own_things:Score" not in all_scores(("l2",), "origin", "sum")


def test_an_allocation_of_ones_own_shares_out_the_budget():
    layers = Layers({"a": (10, 10), "b": (10, 10)}, min_kept_per_output=0.0)
    assert allocate(layers, 0.5, "own_things:first_layer_dense") == {"a": 80, "b": 20}
    with pytest.raises(AllocationError, match=r'"own_things:negative" must give 2 layers finite densities'):
        allocate(layers, 0.5, "own_things:negative")


def test_a_sampler_of_ones_own_proposes():
    def suggest(trial) -> float:
        return trial.suggest_float("theta", -1.0, 1.0)

    guided = GuidedStudy("own_things:Sampler", 0)
    drawn = [guided.ask(number, suggest)[0] for number in range(5)]
    assert len(set(drawn)) == 5 and np.all(np.abs(drawn) <= 1)
