"""Files of torch.save that hold tensors: the same bytes for the same content, and nothing trusted on reading."""

import io
import os
import stat
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from pickle import UnpicklingError
from pickletools import genops
from typing import BinaryIO, TypeVar

import torch

from .errors import InputError, first_line
from .files import write_atomically
from .sharing import copied, memory_of
from .tensorfile import ELEMENT_LIMIT, check_booleans

#: Bytes of the file's pickle at most: names, shapes and dtypes of the tensors.
PICKLE_LIMIT = 10_000_000

#: Operations of the pickle at most, and those more for each part of the archive: a tensor takes about 40. torch runs
#: 200,000 a second.
_OPERATIONS, _OPERATIONS_OF_PART = 20_000, 100

#: Keys under which a checkpoint keeps its state dict beside an epoch, an optimizer and the like.
_CHECKPOINT = ("state_dict", "model_state_dict")

Content = TypeVar("Content")


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Return whether a file begins as those of `torch.save` do; False where it cannot be read."""
    try:
        # Not opened where it is no file: a pipe would block.
        return Path(path).is_file() and Path(path).open("rb").read(4) == b"PK\x03\x04"
    except OSError:
        return False


def write(path: Path, content: object) -> Path:
    """Write `content` to `path`, whole or not at all, as `torch.load(weights_only=True)` reads it.

    It holds tensors in dicts and lists, a state dict for example. Names of one tensor have one in the file.
    """
    # A copy, because torch.save writes a view's whole storage; through memory, because it writes the file's own name.
    buffer = io.BytesIO()
    torch.save(_copied(content), buffer)
    return write_atomically(path, buffer.getvalue())


def read(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict as `state_of` returns it. Raises `InputError` as `read_content` does."""
    return read_content(path, state_of)


def read_content(path: Path, take: Callable[[object], Content]) -> Content:
    """Return what `take` makes of the content of a file: tensors, on the CPU, in dicts, lists and tuples.

    Only what `torch.save` writes since version 1.6, and no more elements than the file has room for: neither
    compression nor a stride of 0 makes a small file take much memory. Raises `InputError`, naming the file.
    """

    def load(file: BinaryIO) -> object:
        return torch.load(file, map_location="cpu", weights_only=True)

    return _read(path, load, lambda content: take(_checked(content)))


def peek(path: Path, look: Callable[[object], Content]) -> Content:
    """Return what `look` sees in the content of a file, of whose tensors only those values are read that it looks at.

    Raises `InputError` as `read_content` does.
    """

    def load(file: BinaryIO) -> object:
        return torch.load(file.name, map_location="cpu", weights_only=True, mmap=True)

    return _read(path, load, look)


def state_of(content: object) -> dict[str, torch.Tensor]:
    """Return the state dict that `content` is, or that it has as a checkpoint has one, with memory of its own.

    Names that were saved with one tensor have one. Raises `InputError` for anything else.
    """
    state = unwrapped(content)
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise InputError("holds no state dict: tensors by name")
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            raise InputError(f"holds something else than a dense tensor under {name!r}")
    return copied(state)


def unwrapped(content: object) -> object:
    """Return the state dict of a checkpoint, anything else as it is."""
    found = [content[key] for key in _CHECKPOINT if key in content] if isinstance(content, dict) else []
    return found[0] if found and isinstance(found[0], dict) else content


def _read(path: Path, load: Callable[[BinaryIO], object], take: Callable[[object], Content]) -> Content:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError("is a folder or a device; give the path of a file of torch.save")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            _check_archive(file, size)
            file.seek(0)
            with (
                torch.serialization.safe_globals([(_plain_dict, "collections.defaultdict"), dict]),
                warnings.catch_warnings(action="ignore"),
            ):
                content = load(file)
        _check_sizes(content, size)
        return take(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnpicklingError as error:
        raise InputError(
            f"{path}: not a readable file of torch.save (it holds more than tensors, numbers and text, which could run "
            "code; where you trust it, load it and save its state dict alone)"
        ) from error
    except Exception as error:
        raise InputError(f"{path}: not a readable file of torch.save ({first_line(error)})") from error


def _plain_dict(factory: object = None) -> dict[object, object]:
    """Return a dict in the place of a defaultdict, in which NNI keeps its masks."""
    return {}


def _check_archive(file: BinaryIO, size: int) -> None:
    """Refuse an archive that would unpack to more than the file, or whose pickle is a large one."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise InputError("holds compressed data, which torch.save never writes")
        if len({member.filename for member in members}) < len(members):
            raise InputError("corrupted (a part stands twice in it)")
        if sum(member.file_size for member in members) > size:
            raise InputError("corrupted (its parts overlap)")
        pickles = [member for member in members if member.filename.endswith(".pkl")]
        if sum(member.file_size for member in pickles) > PICKLE_LIMIT:
            raise InputError(f"its pickle takes more than {PICKLE_LIMIT} bytes")
        most = _OPERATIONS + _OPERATIONS_OF_PART * len(members)
        operations = chain.from_iterable(genops(archive.read(member)) for member in pickles)
        if next(islice(operations, most, None), None):
            raise InputError(f"its pickle takes more than {most} operations for {len(members)} parts")


def _check_sizes(content: object, size: int) -> None:
    """Refuse tensors that are not dense, and more elements than a file of `size` bytes holds."""
    distinct = {}
    for place, tensor in _tensors(content):
        if tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise InputError(f"holds something else than a dense tensor under {place!r}")
        distinct[memory_of(tensor)] = tensor
    if sum(tensor.numel() for tensor in distinct.values()) > ELEMENT_LIMIT:
        raise InputError(f"holds more than {ELEMENT_LIMIT} elements")
    if sum(tensor.numel() * tensor.element_size() for tensor in distinct.values()) > size:
        raise InputError("declares more elements than it holds")


def _checked(content: object) -> object:
    check_booleans({str(place): tensor for place, tensor in _tensors(content)})
    return content


def _tensors(content: object) -> Iterator[tuple[object, torch.Tensor]]:
    """Yield each tensor in dicts, lists and tuples, with its last key. A container that stands twice counts once."""
    places: list[tuple[object, object]] = [("", content)]
    # By identity: a few lists, each twice in the next, would be met billions of times, one in itself for ever.
    seen = set()
    while places:
        place, each = places.pop()
        if isinstance(each, torch.Tensor):
            yield place, each
        elif isinstance(each, Mapping | list | tuple) and id(each) not in seen:
            seen.add(id(each))
            places.extend(each.items() if isinstance(each, Mapping) else enumerate(each))


def _copied(content: object) -> object:
    """Return `content` with tensors on the CPU that have memory of their own."""
    tensors = {str(id(tensor)): tensor for _, tensor in _tensors(content)}
    copies = copied(tensors)

    def copy(each: object) -> object:
        if isinstance(each, torch.Tensor):
            return copies[str(id(each))]
        if isinstance(each, Mapping):
            return {key: copy(value) for key, value in each.items()}
        return [copy(value) for value in each] if isinstance(each, list) else each

    return copy(content)
