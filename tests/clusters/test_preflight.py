"""What is looked at on a node; that a node which fails is named, `tests/faults/test_machines.py` shows on real ones."""

import pytest
from fullspectrum.clusters.preflight import _look, _marked, _versions


def test_a_node_that_sees_and_has_the_same_is_fit(tmp_path):
    with _marked(tmp_path) as mark:
        assert _look(mark, [str(tmp_path), __file__], ["json"], False, _versions()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_or_another_is_told(tmp_path):
    (tmp_path / "other").mkdir()
    with _marked(tmp_path) as (file, text):
        name = file.rpartition("/")[2]
        (line,) = _look((str(tmp_path / "other" / name), text), [], [], False, _versions())
        assert "it is not the same folder there; put the home folder on storage that all nodes see" in line
        (line,) = _look((str(tmp_path / "missing" / name), text), [], [], False, _versions())
        assert "it is not there (No such file or directory)" in line
        (line,) = _look((file, "another"), [], [], False, _versions())
        assert line.startswith(f"sees another '{tmp_path}' than the driver")


def test_what_cannot_be_read_or_imported_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_here.py").write_text("raise SystemExit('no\\nmore')\n")
    lines = _look(None, ["/not/there"], ["broken_here", "absent_here"], False, _versions())
    assert lines[0].startswith("cannot read '/not/there'")
    assert lines[1] == "cannot import 'broken_here': SystemExit: no"
    assert lines[2].startswith("cannot import 'absent_here': ModuleNotFoundError")


def test_what_cannot_be_reached_is_told():
    def reach() -> None:
        raise ValueError("cannot use tracking.files\nat all")

    assert _look(None, [], [], False, _versions(), reach) == ["cannot use tracking.files"]
    assert _look(None, [], [], False, _versions(), lambda: None) == []


@pytest.mark.parametrize("name", ["Python", "fullspectrum", "ray", "torch"])
def test_another_version_is_told_with_both(name):
    here = _versions()
    assert _look(None, [], [], False, here | {name: "0"}) == [
        f"has {name} {here[name]}, but the driver has 0; install the same"
    ]


def test_a_gpu_that_torch_does_not_see_is_told(monkeypatch):
    monkeypatch.setattr("fullspectrum.clusters.preflight._sees_gpus", lambda: False)
    assert _look(None, [], [], True, _versions()) == [
        "has a GPU, but torch sees none; install a torch that is built for it"
    ]
