"""A prefix in an object store, or a folder, by its URI: whole files in and out, retried while the store is away."""

import contextlib
import errno
import functools
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from ...models.errors import InputError, first_line
from ...models.files import open_atomically
from .retries import retrying

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

Value = TypeVar("Value")

#: The URIs that are taken, by their schemes.
EXPECTED = "expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER"

#: Tries of one request to S3 by its client, of some seconds where nobody answers: `retrying` tries again, and can be
#: told to give up.
_ATTEMPTS = 1

#: Bytes that are copied at a time.
_PIECE = 1 << 20

#: What S3 says, in the user's terms, with the way out.
_REFUSALS = {
    "NO_SUCH_BUCKET": "there is no such bucket; make it, or name another one",
    "ACCESS_DENIED": "access is denied; are the keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) those of this bucket?",
    "INVALID_ACCESS_KEY_ID": "the store does not know the key; is AWS_ACCESS_KEY_ID right?",
    "SIGNATURE_DOES_NOT_MATCH": "the key is wrong; is AWS_SECRET_ACCESS_KEY right?",
    "EXPIRED_TOKEN": "the session has expired; log in again",
}


class StoreError(Exception):
    """The store did not answer, or refused: the reason in a clause."""

    def __init__(self, error: Exception):
        text = first_line(error)
        found = re.search(r"AWS Error (\w+)", text)
        code = found[1] if found else ""
        self.refused = code in _REFUSALS
        """Whether trying again will not help."""
        unreachable = "nobody answers at its endpoint; is AWS_ENDPOINT_URL right?"
        super().__init__(_REFUSALS.get(code) or (unreachable if code == "NETWORK_CONNECTION" else text))


class ObjectStore:
    """The files below a URI, by their names from there on.

    A name is there with all of its content or not at all. While the store is away each method tries again, for five
    minutes at most and no longer than `give_up` lets it; then it raises OSError, as a file system does that cannot be
    written to. It can be used by several threads.
    """

    def __init__(self, uri: str):
        """Open the store. Raises InputError for a URI that is none; nobody is asked yet."""
        self.uri = uri
        self.give_up: Callable[[], bool] = lambda: False
        """Returns true when retries are to end."""
        self._files, self._root = _opened(uri)
        self._local = self._files.type_name == "local"

    def __reduce__(self) -> tuple[object, ...]:
        """Another process connects by itself, with the keys of its own environment."""
        return store_at, (self.uri,)

    def put(self, file: Path, name: str) -> None:
        """Write the content of `file` under `name`."""
        path = self._path(name)

        def write() -> None:
            # In a folder a file is there as soon as it is begun; an object is when it is ended.
            target = f"{path}.{secrets.token_hex(4)}.tmp" if self._local else path
            with file.open("rb") as source, _translated():
                if self._local:
                    self._files.create_dir(str(PurePosixPath(path).parent), recursive=True)
                with self._files.open_output_stream(target) as sink:
                    shutil.copyfileobj(source, sink, _PIECE)
                if target != path:
                    self._files.move(target, path)

        self._retried(write)

    def get(self, name: str, file: Path) -> bool:
        """Write what is there under `name` into `file`, and make its folder; return whether it is there."""
        path = self._path(name)

        def read() -> bool:
            with _translated():
                try:
                    source = self._files.open_input_stream(path)
                except FileNotFoundError:
                    return False
            file.parent.mkdir(parents=True, exist_ok=True)
            with source, open_atomically(file) as target:
                while piece := _ask(source.read, _PIECE):
                    target.write(piece)
            return True

        return self._retried(read)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes in bytes of all files below a folder by their names; it need not be there."""
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._path(folder), recursive=True, allow_not_found=True)
        found = self._retried(lambda: _ask(self._files.get_file_info, selector))
        start = len(self._root) + 1
        return {info.path[start:]: info.size for info in found if info.is_file and not info.path.endswith(".tmp")}

    def exists(self, name: str) -> bool:
        """Return whether there is a file called `name`. Asks once: raises StoreError where the store is away."""
        return bool(_ask(self._files.get_file_info, self._path(name)).is_file)

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all below it; it need not be there."""
        path = self._path(name)
        kind = self._retried(lambda: _ask(self._files.get_file_info, path)).type.name
        if kind != "NotFound":
            method = self._files.delete_dir if kind == "Directory" else self._files.delete_file
            self._retried(lambda: _unless_gone(method, path))

    def check(self, wait: bool) -> None:
        """Write, read and remove a file. Raise InputError, in one line, where that cannot be done.

        A store that is away is waited for where `wait` is true, as it is while a search runs.
        """
        probe = self._path(f".fullspectrum-{secrets.token_hex(4)}")

        def use() -> None:
            with _translated():
                if self._local:
                    self._files.create_dir(self._root, recursive=True)
                with self._files.open_output_stream(probe) as sink:
                    sink.write(b"here")
                with self._files.open_input_stream(probe) as source:
                    source.read()
                self._files.delete_file(probe)

        try:
            self._retried(use, refusals=True) if wait else use()
        except (StoreError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"cannot use tracking.files = {self.uri!r}: {reason}") from None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _retried(self, operation: Callable[[], Value], refusals: bool = False) -> Value:
        """Return the value of `operation`, tried again while the store is away; with `refusals`, they end it."""

        def away(error: Exception) -> str | None:
            return str(error) if isinstance(error, StoreError) and not (refusals and error.refused) else None

        def lost(clause: str) -> OSError:
            return OSError(errno.EIO, clause)

        return retrying(operation, away, f"the store of the study's files ({self.uri})", lost, give_up=self.give_up)


@functools.cache
def store_at(uri: str) -> ObjectStore:
    """Return the store at a URI, one for all of a process. Raises InputError for a URI that is none."""
    return ObjectStore(uri)


def _opened(uri: str) -> tuple["FileSystem", str]:
    """Return the file system of a URI, and the path in it."""
    from pyarrow.fs import FileSystem, S3FileSystem

    parts = urlsplit(uri)
    if parts.scheme not in ("s3", "gs", "file") or not (parts.netloc or parts.scheme == "file"):
        raise InputError(f"tracking.files = {uri!r}: {EXPECTED}")
    if "@" in parts.netloc and not parts.netloc.startswith("anonymous@"):
        # Not repeated: it is a secret.
        raise InputError(
            "tracking.files holds a key; leave it out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    try:
        files, path = FileSystem.from_uri(urlunsplit(parts._replace(path=quote(parts.path, safe="/%"))))
        if isinstance(files, S3FileSystem):
            files = _s3(files.region, {name: values[0] for name, values in parse_qs(parts.query).items()})
    except (ValueError, OSError) as error:
        raise InputError(f"tracking.files = {uri!r}: {first_line(error)}; {EXPECTED}") from None
    return files, path.rstrip("/")


def _s3(region: str, options: dict[str, str]) -> "FileSystem":
    """Return S3 with few tries of its own, and with one request for a small file."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    named: dict[str, Any] = {name: options[name] for name in ("scheme", "endpoint_override") if name in options}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and "endpoint_override" not in named:
        # The scheme is not read from there by itself.
        parts = urlsplit(endpoint)
        named = {"scheme": parts.scheme, "endpoint_override": parts.netloc + parts.path.rstrip("/")}
    patience = AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS)
    return S3FileSystem(region=region, retry_strategy=patience, allow_delayed_open=True, **named)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Raise StoreError for what the store does not do; a file that is missing, or a full disk, stays what it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        raise StoreError(error) from error


def _ask(method: Callable[..., Any], *arguments: Any) -> Any:
    with _translated():
        return method(*arguments)


def _unless_gone(method: Callable[[str], None], path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        _ask(method, path)
