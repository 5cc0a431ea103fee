"""Clusters by file or by name, with overrides from the command line."""

import tomllib
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ClusterError, nearest
from .cluster import Cluster
from .mistakes import one_line


def bundled() -> list[str]:
    """Return the names of the clusters that come with the package: one of each kind."""
    return sorted(file.name.removesuffix(".toml") for file in _examples().iterdir() if file.name.endswith(".toml"))


def example(name: str) -> str:
    """Return the text of a cluster file that comes with the package. Raise ClusterError for an unknown name."""
    if name not in bundled():
        raise ClusterError(
            f"unknown cluster {name!r}{nearest(name, bundled())}; "
            f"give a .toml file or one of the bundled clusters: {', '.join(bundled())}"
        )
    return (_examples() / f"{name}.toml").read_text(encoding="utf-8")


def load_cluster(name_or_path: str, overrides: Iterable[str] = ()) -> Cluster:
    """Return the cluster of a .toml file or of a bundled name, with overrides `KEY=VALUE` (TOML, or bare words).

    Raise ClusterError naming the first setting that cannot be used, what was given and what was expected.
    """
    text = _read(name_or_path) if name_or_path.lower().endswith(".toml") else example(name_or_path)
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Of a number of too many digits and of tables nested too deeply Python complains, and not its TOML reader.
        raise ClusterError(f"{name_or_path} is not valid TOML: {error}") from None
    for override in overrides:
        _override(settings, override)
    try:
        return Cluster.model_validate(settings)
    except ValidationError as error:
        raise ClusterError(f"{name_or_path}: {one_line(error)}") from None


def _examples() -> Traversable:
    return resources.files(f"{__package__.rpartition('.')[0]}.examples")


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ClusterError(
            f"no cluster file {path!r}; `fullspectrum clusters new KIND > {path}` writes one: {', '.join(bundled())}"
        ) from None
    except OSError as error:
        raise ClusterError(f"cannot read the cluster file {path!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ClusterError(f"cannot read the cluster file {path!r} as text: {error}; save it as UTF-8") from None


def _override(settings: dict[str, Any], override: str) -> None:
    """Put an override `KEY=VALUE` into `settings`; a number is a place in a list, as in `workers.0.most`."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ClusterError(f"--cluster-set {override}: expected KEY=VALUE, for example --cluster-set workers.0.most=8")
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {}
    # Several lines may be several settings, of which this is one value.
    value = parsed["value"] if list(parsed) == ["value"] else text.strip()
    place: Any = settings
    *tables, last = key.strip().split(".")
    for name in [*tables, last]:
        if isinstance(place, list) and not (name.isdecimal() and int(name) < len(place)):
            raise ClusterError(f"--cluster-set {override}: expected a number below {len(place)} in place of {name!r}")
        if not isinstance(place, dict | list):
            raise ClusterError(f"--cluster-set {override}: what stands before {name!r} is a value, not a table")
        index: Any = int(name) if isinstance(place, list) else name
        if name is last:
            place[index] = value
        elif isinstance(place, dict):
            place = place.setdefault(index, {})
        else:
            place = place[index]
