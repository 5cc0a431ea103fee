"""The wheel of the package: its version follows its content, and installs what runs here."""

import hashlib
import subprocess
import sys
import time
import zipfile

import pytest
from fullspectrum.clusters.shipping import wheel as shipping
from fullspectrum.clusters.shipping.wheel import build_wheel, package_files, shipped_version


def test_the_same_content_makes_the_same_bytes(tmp_path):
    (tmp_path / "first").mkdir()
    first = build_wheel(tmp_path / "first").read_bytes()
    # A ZIP file counts time in pairs of seconds.
    time.sleep(2)
    assert build_wheel(tmp_path).read_bytes() == first


def test_another_content_is_another_version_and_file_name(tmp_path, monkeypatch):
    before = build_wheel(tmp_path)
    changed = tmp_path / "changed.py"
    changed.write_text("MARK = 2\n")
    files = {**package_files(), "fullspectrum/spectral/mark.py": changed}
    monkeypatch.setattr(shipping, "package_files", lambda: files)
    after = build_wheel(tmp_path)
    assert after.name != before.name
    assert shipped_version() in after.name


def test_pip_installs_all_files_and_nothing_else(tmp_path):
    # Ray installs it by this very command, dependencies included: the wheel must name none.
    wheel = build_wheel(tmp_path)
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--quiet", str(wheel), f"--target={target}"]
    subprocess.run(command, check=True)
    installed = {str(file.relative_to(target)) for file in (target / "fullspectrum").rglob("*") if file.is_file()}
    assert {name for name in installed if "__pycache__" not in name} == set(package_files())
    assert (target / f"fullspectrum-{shipped_version()}.dist-info").is_dir()
    for name, file in package_files().items():
        assert (target / name).read_bytes() == file.read_bytes()


def test_what_the_package_needs_at_run_time_is_in_it():
    names = set(package_files())
    assert {"fullspectrum/search/cli.py", "fullspectrum/search/studies/digits.toml"} <= names
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)


@pytest.mark.parametrize("name", ["RECORD", "METADATA", "WHEEL"])
def test_the_record_of_a_wheel_is_right(tmp_path, name):
    with zipfile.ZipFile(build_wheel(tmp_path)) as archive:
        (found,) = [each for each in archive.namelist() if each.endswith(f".dist-info/{name}")]
        lines = archive.read(found.replace(name, "RECORD")).decode().splitlines()
        (line,) = [each for each in lines if each.startswith(f"{found},")]
        assert line == f"{found},," or line.split(",")[1] == f"sha256={_hash(archive.read(found))}"


def _hash(content: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
