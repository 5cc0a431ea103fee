"""Weights of an ONNX model: `sparse_initializer` of what is masked, `initializer` of the rest."""

import json
import os
import stat
from collections.abc import Mapping
from math import prod
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import InputError, first_line, naming
from ..files import write_atomically
from ..masks import MaskSet
from ..sharing import shared_again, shared_names
from ..tensorfile import check_booleans, parse_strict_json
from .format import Format
from .onnxfields import weights_alone
from .sparse import check_expansion, scattered
from .tied import masked_first, under_every_name, under_one_name

if TYPE_CHECKING:
    from onnx import GraphProto, SparseTensorProto, TensorProto

#: The number that ONNX gives each type of tensor (onnx.proto, TensorProto.DataType).
_TYPES = {
    torch.float32: 1,
    torch.uint8: 2,
    torch.int8: 3,
    torch.uint16: 4,
    torch.int16: 5,
    torch.int32: 6,
    torch.int64: 7,
    torch.bool: 9,
    torch.float16: 10,
    torch.float64: 11,
    torch.uint32: 12,
    torch.uint64: 13,
    torch.complex64: 14,
    torch.complex128: 15,
    torch.bfloat16: 16,
    torch.float8_e4m3fn: 17,
    torch.float8_e4m3fnuz: 18,
    torch.float8_e5m2: 19,
    torch.float8_e5m2fnuz: 20,
}
_DTYPES = {number: dtype for dtype, number in _TYPES.items()}

#: Fields of other programs' tensors that keep values one by one.
_FIELDS = {1: "float_data", 6: "int32_data", 7: "int64_data", 11: "double_data"}

#: Versions of the form and of its operators that all runtimes know.
_IR_VERSION, _OPSET = 8, 17

#: Key of the model's metadata: JSON of the names of each tensor that has several.
_SHARED = "fullspectrum.shared"


class ONNX(Format):
    """A model without operators, whose weights take the place of those of an exported network.

    A masked weight is a sparse tensor of the values and the int64 flat indices of what is kept, weights of 0 included.
    """

    description = "ONNX sparse_initializer with int64 indices (needs fullspectrum[onnx])"
    needs_weights = True
    zeroes_removed = True
    template = '''\
"""Put the weights into the ONNX model of a network, sparse where they are masked."""

from pathlib import Path

import onnx

HERE = Path(__file__).parent


def load(model):
    """Return `model`, an onnx.ModelProto exported from the network, with our weights."""
    ours, theirs = onnx.load(HERE / $file).graph, model.graph
    known = {each.name for each in theirs.initializer}
    sparse = {each.values.name for each in ours.sparse_initializer}
    if unknown := sparse - known:
        raise KeyError(f"the model has no initializer {sorted(unknown)}")
    dense = [each for each in ours.initializer if each.name in known]
    replaced = sparse | {each.name for each in dense}
    kept = [each for each in theirs.initializer if each.name not in replaced]
    del theirs.initializer[:]
    theirs.initializer.extend(kept + dense)
    theirs.sparse_initializer.extend(ours.sparse_initializer)
    return model
'''

    def save(self, path: Path, masks: MaskSet, state: Mapping[str, torch.Tensor] | None) -> list[Path]:
        """Write the model. Raises `InputError` where the library onnx is missing, and for a type that it has not."""
        assert state is not None, "the format needs weights"
        onnx = _onnx()
        graph = onnx.GraphProto(name="fullspectrum")
        every = under_every_name(masks, state)
        for name, tensor in masked_first(state, masks).items():
            if name in every:
                graph.sparse_initializer.append(_sparse(onnx, name, every[name], tensor))
            else:
                graph.initializer.append(_tensor(onnx, name, tensor))
        model = onnx.ModelProto(ir_version=_IR_VERSION, producer_name="fullspectrum", graph=graph)
        model.opset_import.add(version=_OPSET)
        if shared := shared_names(state):
            model.metadata_props.add(key=_SHARED, value=json.dumps(shared))
        return [write_atomically(path, model.SerializeToString(deterministic=True))]

    def load(self, path: Path) -> tuple[MaskSet, dict[str, torch.Tensor]]:
        """Read the weights of a model, those that it keeps in other files apart; what is sparse is masked."""
        onnx = _onnx()
        with naming(path):
            content = _content(path)
            needed = weights_alone(content)
            try:
                model = onnx.ModelProto.FromString(needed)
            except Exception as error:  # google.protobuf.message.DecodeError, and what a broken file brings about.
                raise InputError(f"not a readable ONNX model ({first_line(error)})") from error
            if model.ByteSize() == 0 or not model.HasField("graph"):
                raise InputError("not a readable ONNX model (it has no graph)")
            masks, state = _decoded(model.graph, len(content))
            shared = [each.value for each in model.metadata_props if each.key == _SHARED]
            state = shared_again(state, parse_strict_json(shared[0]) if shared else [])
            return MaskSet(under_one_name(masks, state)), state


def _onnx() -> ModuleType:
    try:
        import onnx
    except ImportError:
        raise InputError(
            'the format onnx needs the library onnx, which is not installed; run pip install "fullspectrum[onnx]"'
        ) from None
    return onnx


def _content(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError("is a folder or a device; give the path of an ONNX model")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error


def _tensor(onnx: ModuleType, name: str, tensor: torch.Tensor) -> "TensorProto":
    if tensor.dtype not in _TYPES:
        raise InputError(f"ONNX has no {tensor.dtype}, the type of {name}")
    raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    made: TensorProto = onnx.TensorProto(name=name, data_type=_TYPES[tensor.dtype], dims=tensor.shape, raw_data=raw)
    return made


def _sparse(onnx: ModuleType, name: str, mask: np.ndarray, weight: torch.Tensor) -> "SparseTensorProto":
    values = _tensor(onnx, name, weight.detach().cpu().reshape(-1)[torch.tensor(mask.reshape(-1))])
    places = _tensor(onnx, "", torch.from_numpy(np.flatnonzero(mask)))
    made: SparseTensorProto = onnx.SparseTensorProto(values=values, indices=places, dims=mask.shape)
    return made


def _decoded(graph: "GraphProto", size: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return masks and weights of a graph of `size` bytes, sparse ones first."""
    if not graph.sparse_initializer:
        raise InputError("is dense: no weight of the ONNX model is a sparse_initializer")
    check_expansion([tuple(each.dims) for each in graph.sparse_initializer], size)
    masks, state = {}, {}
    for each in graph.sparse_initializer:
        name = each.values.name
        if name in state:
            raise InputError(f"corrupted (the weight {name!r} stands twice in it)")
        places = _flat(name, _values(each.indices).numpy(), tuple(each.dims))
        masks[name], state[name] = scattered(name, places, _values(each.values), tuple(each.dims))
    for tensor in graph.initializer:
        if tensor.name in state:
            raise InputError(f"corrupted (the weight {tensor.name!r} stands twice in it)")
        state[tensor.name] = _values(tensor)
    check_booleans(state)
    return masks, state


def _flat(name: str, places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return flat indices: ONNX has those, or one for each axis."""
    if places.ndim != 2:
        return places
    try:
        flat: np.ndarray = np.ravel_multi_index(tuple(places.T), shape)
    except (ValueError, TypeError) as error:
        raise InputError(f"the indices of {name} do not lie in its shape {shape}") from error
    return flat


def _values(tensor: "TensorProto") -> torch.Tensor:
    """Return a tensor. Raises `InputError` for values in other files, strings, and what does not fill the shape."""
    dtype, shape, kind = _DTYPES.get(tensor.data_type), tuple(tensor.dims), tensor.data_type
    if tensor.data_location or tensor.external_data:
        raise InputError(f"keeps the values of {tensor.name!r} in another file; save the model as one file")
    if dtype is None or (not tensor.HasField("raw_data") and kind not in _FIELDS):
        raise InputError(f"holds {tensor.name!r} in a type that is not read (number {kind})")
    if tensor.HasField("raw_data"):
        count, rest = divmod(len(tensor.raw_data), dtype.itemsize)
    else:
        count, rest = len(getattr(tensor, _FIELDS[kind])), 0
    if rest or min(shape, default=0) < 0 or prod(shape) != count:
        raise InputError(f"corrupted (the values of {tensor.name!r} do not fill its shape {shape})")
    if not tensor.HasField("raw_data"):
        return torch.tensor(list(getattr(tensor, _FIELDS[kind])), dtype=dtype).reshape(shape)
    # frombuffer takes no empty ones.
    flat = torch.frombuffer(bytearray(tensor.raw_data), dtype=dtype) if count else torch.empty(0, dtype=dtype)
    return flat.reshape(shape)
