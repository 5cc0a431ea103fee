"""The weights of an ONNX file, found before anything in it is parsed."""

from collections.abc import Iterator

from ..errors import InputError

#: Fields at most that are looked at: one of two bytes would become an object of more than a hundred.
MOST = 300_000

#: Numbers of fields in onnx.proto: of ModelProto, of GraphProto, and the two tensors of SparseTensorProto.
_GRAPH, _METADATA = 7, 14
_DENSE, _SPARSE = 5, 15
_VALUES, _INDICES = 1, 2

#: The kind of a field that holds bytes of a given length, a message among them.
_MESSAGE = 2


def weights_alone(content: bytes) -> bytes:
    """Return the ONNX model `content` without what is neither an initializer nor metadata.

    Raises `InputError` for what is no message of protobuf, and for one of more than `MOST` fields.
    """
    fields = _Fields(content)
    kept = []
    for number, start, inside, end in fields.of(0, len(content)):
        if number == _METADATA:
            kept.append(content[start:end])
        elif number == _GRAPH:
            graph = b"".join(_initializers(fields, inside, end))
            kept += [bytes([_GRAPH << 3 | _MESSAGE]), _varint(len(graph)), graph]
    return b"".join(kept)


def _initializers(fields: "_Fields", start: int, end: int) -> Iterator[bytes]:
    for number, begin, inside, stop in fields.of(start, end):
        if number in (_DENSE, _SPARSE):
            for part, _, within, last in fields.of(inside, stop):
                if number == _SPARSE and part in (_VALUES, _INDICES):
                    # Counted, too.
                    for _ in fields.of(within, last):
                        pass
            yield fields.content[begin:stop]


class _Fields:
    """The fields of a message of protobuf and of those in it, counted."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._count = 0

    def of(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield number, start, start of the value and end of each field between two places."""
        at = start
        while at < end:
            begin = at
            self._count += 1
            if self._count > MOST:
                raise InputError(f"has more than {MOST:,} entries, more than weights need")
            key, at = self._read(at, end)
            inside = at
            match key & 7:
                case 0:
                    _, at = self._read(at, end)
                case 1:
                    at += 8
                case 5:
                    at += 4
                case 2:
                    length, inside = self._read(at, end)
                    at = inside + length
                case _:
                    raise InputError("not a readable ONNX model (a field of unknown kind)")
            if at > end:
                raise InputError("not a readable ONNX model (it is truncated)")
            yield key >> 3, begin, inside, at

    def _read(self, at: int, end: int) -> tuple[int, int]:
        """Return a number of variable length, and where it ends."""
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                break
            byte = self.content[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
        raise InputError("not a readable ONNX model (it is truncated)")


def _varint(value: int) -> bytes:
    """Return a number as protobuf writes lengths."""
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
