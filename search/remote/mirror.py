"""The files of a study where every machine finds them: in a folder that all of them see, or in an object store."""

import contextlib
import functools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from ..files import StudyFolder
from .objectstore import ObjectStore, store_at

Item = TypeVar("Item")

#: Seconds between two questions to the store whether a marker is there.
_ASKED_EVERY = 2.0

#: Seconds after which nobody has looked at a marker for so long that the store is not asked any more.
_FORGOTTEN_AFTER = 60.0

#: Files that are copied at once: a trial has four.
_AT_ONCE = 8


class Marker(Protocol):
    """A file without content, which says something by being there."""

    def exists(self) -> bool:
        """Return whether it is there."""

    def touch(self) -> None:
        """Make it."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it."""


class Mirror:
    """The files of a study in a folder that all machines see: there is nothing to copy.

    Whoever wrote a file pushes it, and whoever reads what another machine wrote pulls it before.
    """

    def push(self, *paths: Path) -> None:
        """Copy files, and folders with all below them, to where other machines find them."""

    def push_first(self, file: Path) -> None:
        """Copy a file to where other machines find it, unless one of them was first: then copy theirs to here."""

    def pull(self, *files: Path) -> None:
        """Copy files that other machines pushed to here; what nobody pushed stays as it is."""

    def pull_all(self, folder: Path) -> None:
        """Copy all that other machines pushed below a folder to here."""

    def restore(self, folder: Path, passed_over: Iterable[str] = ()) -> None:
        """Copy what is missing below `folder` to here, but for the names `passed_over` that stand in it."""

    def complete(self, folder: Path) -> None:
        """Copy what is missing elsewhere below `folder` from here."""

    def names(self, folder: Path) -> set[str]:
        """Return the names of what stands in a folder, here or elsewhere."""
        return set(os.listdir(folder)) if folder.is_dir() else set()

    def remove(self, path: Path) -> None:
        """Remove a file or a folder, here and elsewhere; it need not be there."""
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def forget(self, *paths: Path) -> None:
        """Remove the copies that this machine does not need any more."""

    def marker(self, path: Path) -> Marker:
        """Return the marker at `path`, the same for all machines."""
        return path

    def check(self, wait: bool) -> None:
        """Raise InputError where files cannot be copied; `wait` for a store that is away."""

    def give_up_when(self, give_up: Callable[[], bool]) -> None:
        """Stop waiting for a store that is away where `give_up` returns true."""


#: The mirror of files that have no other place than their folder.
NO_COPIES = Mirror()


class StoredMirror(Mirror):
    """The files of a study in an object store, of which `root` is a copy on this machine."""

    def __init__(self, store: ObjectStore, root: Path):
        self._store = store
        self._root = root

    def _name(self, path: Path) -> str:
        # The root has the study's id for its name, here and there.
        return path.relative_to(self._root.parent).as_posix()

    def _file(self, name: str) -> Path:
        return self._root.parent / name

    def push(self, *paths: Path) -> None:
        files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
        _together(lambda file: self._store.put(file, self._name(file)), [file for file in files if file.is_file()])

    def push_first(self, file: Path) -> None:
        if not self._store.get(self._name(file), file):
            self.push(file)

    def pull(self, *files: Path) -> None:
        _together(self._pull, [self._name(file) for file in files])

    def pull_all(self, folder: Path) -> None:
        _together(self._pull, list(self._store.sizes(self._name(folder))))

    def _pull(self, name: str) -> None:
        self._store.get(name, self._file(name))

    def restore(self, folder: Path, passed_over: Iterable[str] = ()) -> None:
        prefix, without = self._name(folder), set(passed_over)
        missing = []
        for name in self._store.sizes(prefix):
            file = self._file(name)
            if file.relative_to(folder).parts[0] not in without and not file.exists():
                missing.append(name)
        _together(self._pull, missing)

    def complete(self, folder: Path) -> None:
        known = self._store.sizes(self._name(folder))
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        self.push(*(file for file in files if known.get(self._name(file)) != file.stat().st_size))

    def names(self, folder: Path) -> set[str]:
        stored = map(self._file, self._store.sizes(self._name(folder)))
        return super().names(folder) | {path.relative_to(folder).parts[0] for path in stored}

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._store.remove(self._name(path))

    def forget(self, *paths: Path) -> None:
        for path in paths:
            super().remove(path)

    def marker(self, path: Path) -> Marker:
        return _stored_marker(self._store, self._name(path), path)

    def check(self, wait: bool) -> None:
        self._store.check(wait)

    def give_up_when(self, give_up: Callable[[], bool]) -> None:
        self._store.give_up = give_up


class StoredMarker:
    """A marker in an object store: a thread asks for it every other second, so that nobody waits for the answer."""

    def __init__(self, store: ObjectStore, name: str, here: Path):
        self._store = store
        self._name = name
        self._here = here
        """The same marker for this machine, which `fullspectrum status` reads."""
        self._there = False
        self._looked = 0.0
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Another process asks by itself."""
        return _stored_marker, (self._store, self._name, self._here)

    def exists(self) -> bool:
        """Return whether it was there when the store was last asked; where it did not answer, whether it was before."""
        self._looked = time.monotonic()
        with self._lock:
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, name="marker", daemon=True)
                self._asking.start()
        return self._there

    def _ask(self) -> None:
        while time.monotonic() - self._looked < _FORGOTTEN_AFTER:
            # Whatever keeps it from answering: a store that is away, a process that is just ending.
            with contextlib.suppress(Exception):
                self._there = self._store.exists(self._name)
            time.sleep(_ASKED_EVERY)

    def touch(self) -> None:
        """Make it, in a thread of its own: a signal's handler does not wait for a store that is away."""
        self._here.touch()
        threading.Thread(target=self._touch, name="marker", daemon=True).start()

    def _touch(self) -> None:
        nothing = Path(os.devnull)
        try:
            self._store.put(nothing, self._name)
        except OSError:
            # The workers do not learn of it, and are left behind after the grace period.
            return

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove it."""
        self._here.unlink(missing_ok=True)
        self._store.remove(self._name)
        self._there = False


@functools.cache
def _stored_marker(store: ObjectStore, name: str, here: Path) -> StoredMarker:
    return StoredMarker(store, name, here)


def mirror_of(folder: StudyFolder) -> Mirror:
    """Return the mirror of a study's files."""
    return NO_COPIES if folder.files is None else StoredMirror(store_at(folder.files), folder.path)


def _together(copy: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Copy several files at once; raise the first error."""
    with ThreadPoolExecutor(_AT_ONCE) as copying:
        for done in [copying.submit(copy, item) for item in items]:
            done.result()
