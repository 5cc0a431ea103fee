"""Which file systems have locks that exclude drivers on other machines."""

import os
import subprocess
from pathlib import Path

import pytest
from fullspectrum.search.store import filesystem
from fullspectrum.search.store.filesystem import FileSystem, lock_warning


def mounted(monkeypatch, tmp_path: Path, *lines: str) -> None:
    file = tmp_path / "mounts"
    file.write_text("\n".join(["overlay / overlay rw,relatime 0 0", *lines]) + "\n")
    monkeypatch.setattr(filesystem, "_MOUNTS", file)


@pytest.mark.parametrize(
    ("kind", "options", "found"),
    [
        ("ext4", "rw", None),
        ("fuseblk", "rw", None),
        ("nfs4", "rw,vers=4.2,local_lock=none", None),
        ("nfs", "rw,vers=3,local_lock=none", None),
        ("nfs", "rw,vers=3,nolock", "nfs with nolock"),
        ("nfs", "rw,vers=3,local_lock=flock", "nfs with local_lock=flock"),
        ("lustre", "rw,flock", None),
        ("lustre", "rw,localflock", "lustre with localflock"),
        ("cifs", "rw,vers=3.1.1", None),
        ("cifs", "rw,nobrl", "cifs with nobrl"),
        ("fuse.s3fs", "rw", "fuse.s3fs"),
        ("fuse.sshfs", "rw", "fuse.sshfs"),
        ("fuse.juicefs", "rw", None),
        ("9p", "rw", "9p"),
    ],
)
def test_a_home_whose_locks_hold_on_one_machine_alone_is_named(monkeypatch, tmp_path, kind, options, found):
    mounted(monkeypatch, tmp_path, f"server:/export /mnt/my\\040share {kind} {options} 0 0")
    warning = lock_warning(Path("/mnt/my share/runs"))
    assert (warning is None) == (found is None)
    assert warning is None or f"'/mnt/my share/runs' lies on {found}, whose locks" in warning
    # Beside the mount, not in it.
    assert lock_warning(Path("/mnt/my shares/runs")) is None


def test_what_is_mounted_last_over_a_folder_is_what_it_lies_on(monkeypatch, tmp_path):
    mounted(monkeypatch, tmp_path, "a /data fuse.s3fs rw 0 0", "b /data ext4 rw 0 0", "c /data/in fuse.gcsfuse rw 0 0")
    assert FileSystem.of(Path("/data/runs")).kind == "ext4"
    assert lock_warning(Path("/data/in/runs")) is not None


def test_a_system_that_does_not_say_what_is_mounted_warns_of_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "none")
    assert lock_warning(tmp_path) is None


def test_the_file_system_of_this_machine_is_found(tmp_path):
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"uid={os.geteuid()}", "tmpfs", tmp_path / "disk"], check=True)
    try:
        assert FileSystem.of(tmp_path / "disk" / "runs").kind == "tmpfs"
        assert lock_warning(tmp_path / "disk") is None
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)
