"""Studies by file or by name, with overrides from the command line."""

import hashlib
import json
import os
import stat
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from ...models.errors import nearest
from ...models.files import write_atomically
from ..files import Home, StudyFolder
from .help import one_line
from .secrets import check_file, without_secret
from .study import ConfigError, Study

#: The study file that is read from stdin.
STDIN = "-"


def bundled() -> list[str]:
    """Return the names of the studies that come with the package."""
    folder = resources.files(f"{__package__.rpartition('.')[0]}.studies")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_study(study: str, overrides: Iterable[str] = ()) -> Study:
    """Return the study of a study file or of a bundled name, with overrides `KEY=VALUE` (TOML, or bare words).

    Raises ConfigError naming the first setting that cannot be used, what was given and what was expected.
    """
    if names_file(study):
        text = _read(study)
    elif study in bundled():
        text = (resources.files(f"{__package__.rpartition('.')[0]}.studies") / f"{study}.toml").read_text()
    else:
        raise ConfigError(
            f"unknown study {study!r}{nearest(study, bundled())}; "
            f"give a .toml file or one of the bundled studies: {', '.join(bundled())}"
        )
    return _study_of_text(study, text, overrides)


def names_file(study: str) -> bool:
    """Return whether `study` names a study file: a .toml file, or what can be read only once, as stdin (-)."""
    return study.lower().endswith(".toml") or is_stream(study)


def is_stream(study: str) -> bool:
    """Return whether the study file can be read only once: stdin (-), a pipe, what a shell makes of `<(command)`."""
    try:
        mode = os.stat(study).st_mode
    except OSError:
        mode = 0
    return study == STDIN or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def keep_study(study: str, overrides: Iterable[str], home: Home) -> str:
    """Read a study file that can be read only once; return the path of a copy in the home folder, named by its content.

    A driver that is started again, and whoever resumes the study, read the copy. Raises ConfigError as `load_study`
    does, and then nothing is written.
    """
    text = _read(study)
    _study_of_text(study, text, overrides)
    kept = home.create().path / f"study-{hashlib.sha256(text.encode()).hexdigest()[:12]}.toml"
    write_atomically(kept, text.encode())
    # As all that says how services are reached, it is for its owner alone.
    kept.chmod(0o600)
    return str(kept)


def _read(study: str) -> str:
    """Return the text of a study file. Raises ConfigError for one that is missing, or no text."""
    if study == STDIN and sys.stdin is None:
        raise ConfigError(f"the study {STDIN!r} is read from stdin, which is closed")
    try:
        content = sys.stdin.buffer.read() if study == STDIN else Path(study).read_bytes()
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"no study file {study!r}; the bundled studies are {', '.join(bundled())}") from None
    except OSError as error:
        raise ConfigError(f"cannot read the study file {study!r}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read the study file {study!r} as text: {error}; save it as UTF-8") from None


def _study_of_text(study: str, text: str, overrides: Iterable[str]) -> Study:
    """Return the study that the text of the file `study` holds, with overrides."""
    try:
        settings = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Of a number of too many digits and of tables nested too deeply Python complains, and not its TOML reader.
        raise ConfigError(f"{study} is not valid TOML: {error}") from None
    check_file(study, settings)
    return parse(with_overrides(settings, overrides))


def find_study(name: str, overrides: Iterable[str], home: Home) -> tuple[Study, StudyFolder]:
    """Return the study under `home` that `name` means, with the settings that it ran with last, and its folder.

    `name` is as in `find_members`. Raises InputError where there is no such study, or several.
    """
    found = find_members(name, overrides, home)
    _check_only(name, [study for study, _ in found])
    return found[0]


def _check_only(name: str, members: Sequence[Study]) -> None:
    """Raise ConfigError where `name` means several studies."""
    if len(members) > 1:
        listed = ", ".join(f"{study.id} (sparsity {study.sparsity:g}, seed {study.seed})" for study in members)
        raise ConfigError(f"{name} is a family of {len(members)} studies; name one of them: {listed}")


def find_members(name: str, overrides: Iterable[str], home: Home) -> list[tuple[Study, StudyFolder]]:
    """Return the studies under `home` that `name` means, with the settings that each ran with last, and its folder.

    `name` is the id of a study or how it begins; or a bundled name or a study file, with the overrides that the search
    was given, apart from those that only say where and how it runs: of a family, the members that have been begun.
    Raises InputError where there is no such study.
    """
    if not (names_file(name) or name in bundled()):
        folder = home.find(name)
        return [(_kept_study(folder), folder)]
    members = load_study(name, overrides).members()
    found = [(member, folder) for member in members if (folder := home.study(member.id)).settings.exists()]
    # Where there is none, it says which studies there are.
    found = found or [(members[0], home.find(members[0].id))]
    return [(_with_password(_kept_study(folder), member), folder) for member, folder in found]


def _kept_study(folder: StudyFolder) -> Study:
    """Return the study of a folder, with the settings that it ran with last, but for passwords."""
    return parse(json.loads(folder.settings.read_text()))


def _with_password(kept: Study, given: Study) -> Study:
    """Return the study as it was kept, in the same storage with the password that is given now."""
    storage = given.tracking.storage
    if storage is None or without_secret(storage) != kept.tracking.storage:
        return kept
    return kept.model_copy(update={"tracking": kept.tracking.model_copy(update={"storage": storage})})


def study_id(name: str, overrides: Iterable[str]) -> str:
    """Return the id of the study that `name` means, as `find_study` takes it, or how it begins."""
    if not (names_file(name) or name in bundled()):
        return name
    members = load_study(name, overrides).members()
    _check_only(name, members)
    return members[0].id


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
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        parsed = {}
    # Several lines may be several settings, of which this is one value.
    value = parsed["value"] if list(parsed) == ["value"] else text.strip()
    *tables, last = key.strip().split(".")
    for table in tables:
        inner = settings.setdefault(table, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {table} is a value, not a table of settings")
        settings = inner
    settings[last] = value
