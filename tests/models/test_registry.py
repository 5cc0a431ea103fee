"""One way to find things by name, and one message where there is none."""

import sys

import pytest
from fullspectrum.models.errors import InputError
from fullspectrum.models.registry import Prefix, Registry

THINGS = Registry(
    "thing",
    "fullspectrum.models",
    {"nearest": ".errors:nearest", "derive": ".seeds:derive"},
    {"seed:": Prefix(".seeds:derive", "NUMBER")},
)


def test_a_thing_is_found_by_its_name_and_only_then_imported():
    from fullspectrum.models import errors

    assert THINGS.find("nearest") is errors.nearest
    assert list(THINGS) == ["nearest", "derive"]


def test_nothing_is_imported_to_check_a_name():
    far = Registry("thing", "fullspectrum.models", {"far": ".nowhere:thing"})
    far.check("far")
    with pytest.raises(ModuleNotFoundError):
        far.find("far")
    assert "fullspectrum.models.nowhere" not in sys.modules


def test_the_rest_of_a_prefixed_name_is_the_first_argument():
    from fullspectrum.models.seeds import derive

    assert THINGS.find("seed:7").args == ("7",)
    assert THINGS.find("seed:7").func is derive


def test_a_users_own_is_imported_by_module_and_name(tmp_path, monkeypatch):
    (tmp_path / "own_thing.py").write_text("def make():\n    return 3\n")
    monkeypatch.chdir(tmp_path)
    assert THINGS.is_users("own_thing:make")
    assert THINGS.find("own_thing:make")() == 3


def test_a_prefix_is_nobodys_module():
    assert not THINGS.is_users("seed:7")
    assert not THINGS.is_users("nearest")


@pytest.mark.parametrize("name", ["neerest", "seed:", ":x", "x:", ""])
def test_an_unknown_name_gets_one_line_with_all_that_are_known(name):
    with pytest.raises(InputError) as caught:
        THINGS.find(name)
    assert str(caught.value).startswith(f'unknown thing "{name}"')
    assert str(caught.value).endswith("(known: nearest, derive, seed:NUMBER, module:function)")


def test_the_nearest_name_is_suggested():
    with pytest.raises(InputError, match='did you mean "nearest"'):
        THINGS.check("neerest")


def test_a_hint_goes_before_the_nearest_name():
    hinted = Registry("thing", "fullspectrum.models", {"fat": ".errors:nearest"}, hints={"far": "seed:far"})
    for refuse in (hinted.check, hinted.find):
        with pytest.raises(InputError, match='did you mean "seed:far"'):
            refuse("far")


def test_a_prefix_can_check_what_follows_it_and_that_something_does():
    def even(rest: str) -> None:
        if not rest or int(rest) % 2:
            raise InputError(f'"{rest}" is no even number')

    checked = Registry("thing", "fullspectrum.models", {}, {"even-": Prefix(".seeds:derive", "NUMBER", even)})
    checked.check("even-2")
    for name in ("even-3", "even-"):
        with pytest.raises(InputError, match="is no even number"):
            checked.find(name)


def test_what_a_thing_makes_is_of_the_kind_asked_for(tmp_path, monkeypatch):
    assert THINGS.make("derive", int, 1, "a") == THINGS.find("derive")(1, "a")
    (tmp_path / "own_maker.py").write_text("def make(): return 3\ndef fail(): raise KeyError('lost')\n")
    monkeypatch.chdir(tmp_path)
    assert THINGS.make("own_maker:make", int) == 3
    with pytest.raises(InputError, match='"own_maker:make" must make a str, but makes a int'):
        THINGS.make("own_maker:make", str)
    with pytest.raises(InputError, match="\"own_maker:fail\" failed: KeyError: 'lost'"):
        THINGS.make("own_maker:fail", int)


def test_a_kind_that_users_cannot_add_to_takes_no_module():
    closed = Registry("thing", "fullspectrum.models", {"derive": ".seeds:derive"}, users=None)
    assert not closed.is_users("own_thing:make")
    with pytest.raises(InputError, match=r"\(known: derive\)"):
        closed.check("own_thing:make")
