"""What a wheel of the project holds."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(180)
def test_a_wheel_holds_every_module_and_data_file_and_nothing_at_the_top(tmp_path):
    # A copy, so that the build leaves nothing in the tree.
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    names = [name for name in tracked.split("\0") if name]
    for name in names:
        target = tmp_path / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*command, str(tmp_path / "tree")], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("fullspectrum-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    rooms = ("clusters/", "models/", "search/", "spectral/")
    expected = {f"fullspectrum/{name}" for name in names if name.startswith(rooms)}
    assert {name for name in held if name.startswith("fullspectrum/")} == expected
    assert {name.split("/")[0] for name in held} == {"fullspectrum", wheel.name.rpartition("-py3")[0] + ".dist-info"}
