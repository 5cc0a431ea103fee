"""Our own package as a wheel whose version holds the hash of its content."""

import base64
import hashlib
import importlib.metadata
import importlib.util
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from packaging.version import Version

#: The package, as it is imported and as it is installed.
PACKAGE = __package__.partition(".")[0]

#: What it is made of.
FOLDERS = ("clusters", "models", "search", "spectral")

#: The time of every file in a wheel: the first that a ZIP file can hold.
_TIME = (1980, 1, 1, 0, 0, 0)


@cache
def package_files() -> Mapping[str, Path]:
    """Return the files of the package that runs, by their names in a wheel, also where it is installed editable."""
    found = {}
    for folder in FOLDERS:
        spec = importlib.util.find_spec(f"{PACKAGE}.{folder}")
        assert spec and spec.submodule_search_locations, f"{PACKAGE}.{folder} is a part of the package"
        root = Path(next(iter(spec.submodule_search_locations)))
        for file in root.rglob("*"):
            name = file.relative_to(root)
            if file.is_file() and "__pycache__" not in name.parts and not any(p.startswith(".") for p in name.parts):
                found[f"{PACKAGE}/{folder}/{name.as_posix()}"] = file
    return dict(sorted(found.items()))


def digest_of(files: Mapping[str, Path]) -> str:
    """Return twelve hexadecimal digits: the hash of names and contents."""
    total = hashlib.sha256()
    for name, file in files.items():
        total.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]


def shipped_version() -> str:
    """Return the version of the package that runs, with the hash of its content: `0.1.0+h0123456789ab`."""
    try:
        version = Version(importlib.metadata.version(PACKAGE))
    except importlib.metadata.PackageNotFoundError:
        version = Version("0")
    # With a letter first: of a local version of digits alone leading zeros are dropped.
    return f"{version.public}+h{digest_of(package_files())}"


def build_wheel(folder: Path) -> Path:
    """Write the package that runs as a wheel into `folder`, the same bytes for the same content; return its file.

    Ray keeps wheels by their file names, so that a content of its own needs a version of its own. The wheel names no
    dependencies: Ray would install them anew for each job, and the nodes have them.
    """
    version = shipped_version()
    info = f"{PACKAGE}-{version}.dist-info"
    contents = {name: file.read_bytes() for name, file in package_files().items()}
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {version}\n".encode()
    contents[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: {PACKAGE}\nRoot-Is-Purelib: true\nTag: py3-none-any\n".encode()
    )
    record = f"{info}/RECORD"
    contents[record] = (
        "".join(f"{name},sha256={_hash(content)},{len(content)}\n" for name, content in contents.items())
        + f"{record},,\n"
    ).encode()
    wheel = folder / f"{PACKAGE}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return wheel


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
