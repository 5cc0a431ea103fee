"""Studies by file or by name, with overrides from the command line."""

import json
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from ...models.errors import nearest
from ..files import Home, StudyFolder
from .help import one_line
from .study import ConfigError, Study


def bundled() -> list[str]:
    """Return the names of the studies that come with the package."""
    folder = resources.files(f"{__package__.rpartition('.')[0]}.studies")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_study(study: str, overrides: Iterable[str] = ()) -> Study:
    """Return the study of a .toml file or of a bundled name, with overrides `KEY=VALUE` (TOML, or bare words).

    Raises ConfigError naming the first setting that cannot be used, what was given and what was expected.
    """
    if study.endswith(".toml"):
        path = Path(study)
        if not path.is_file():
            raise ConfigError(f"no study file {study!r}; the bundled studies are {', '.join(bundled())}")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {study!r} as text: {error}") from None
    elif study in bundled():
        text = (resources.files(f"{__package__.rpartition('.')[0]}.studies") / f"{study}.toml").read_text()
    else:
        raise ConfigError(
            f"unknown study {study!r}{nearest(study, bundled())}; "
            f"give a .toml file or one of the bundled studies: {', '.join(bundled())}"
        )
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{study} is not valid TOML: {error}") from None
    return parse(with_overrides(settings, overrides))


def find_study(name: str, overrides: Iterable[str], home: Home) -> tuple[Study, StudyFolder]:
    """Return the study under `home` that `name` means, with the settings that it ran with last, and its folder.

    `name` is the id or how it begins; or a bundled name or a .toml file, with the overrides that the search was given,
    apart from those that only say where and how it runs. Raises InputError where there is no such study, or several.
    """
    if name.endswith(".toml") or name in bundled():
        studies = load_study(name, overrides).each_sparsity()
        if len(studies) > 1:
            raise ConfigError(f"{name} makes {len(studies)} studies; name one: {', '.join(s.id for s in studies)}")
        folder = home.find(studies[0].id)
    else:
        folder = home.find(name)
    return parse(json.loads(folder.settings.read_text())), folder


def study_of(own: dict[str, object], overrides: Iterable[str]) -> Study:
    """Return the study of a command whose options say `own`, with overrides of the other settings.

    Raises ConfigError for an override of what they say.
    """
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key in own and not isinstance(own[key], dict):
            raise ConfigError(f"--set {override}: here {key} is {own[key]!r}, as the options and the mask file say")
    return parse(with_overrides(own, overrides))


def with_overrides(settings: dict[str, object], overrides: Iterable[str]) -> dict[str, object]:
    """Put overrides `KEY=VALUE` into `settings` and return them. Raises ConfigError for one that has another form."""
    for override in overrides:
        _override(settings, override)
    return settings


def parse(settings: dict[str, object]) -> Study:
    """Return the study of nested plain values. Raises ConfigError naming the first setting that cannot be used."""
    try:
        return Study.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(one_line(error)) from None


def _override(settings: dict[str, object], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: expected KEY=VALUE, for example --set search.trials=50")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    *tables, last = key.strip().split(".")
    for table in tables:
        inner = settings.setdefault(table, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {table} is a value, not a table of settings")
        settings = inner
    settings[last] = value
