"""Digests of arrays, by which a cache finds the values that were computed of them."""

import hashlib
from typing import Any

import numpy as np

#: Entries of a tensor that are mixed at a time: bounds the memory.
MIXED_ENTRIES = 2**24

#: The odd multipliers of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), as signed numbers of 64 bits.
GOLDEN, FIRST, SECOND = (factor - 2**64 for factor in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def fingerprint(array: Any) -> bytes:
    """Return a digest of an array's type and values, in the order of their places, the same in every process.

    A numpy array's is by SHA-256. A tensor's is computed where it lies, and 16 bytes come to the host: two sums of
    mixed bits, which tell arrays apart that were not made to deceive.
    """
    if not isinstance(array, np.ndarray):
        return str(array.dtype).encode() + _mixed(array)
    array = np.ascontiguousarray(array)
    return bytes(array.dtype.str.encode()) + hashlib.sha256(array).digest()


def _mixed(tensor: Any) -> bytes:
    import torch  # here, as arrays of numpy need none

    sums = torch.zeros(2, dtype=torch.int64, device=tensor.device)
    flat = tensor.detach().reshape(-1)
    for first in range(0, len(flat), MIXED_ENTRIES):
        part = flat[first : first + MIXED_ENTRIES]
        if part.is_floating_point():
            part = part.contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[part.element_size()])
        places = torch.arange(first + 1, first + 1 + len(part), device=tensor.device)
        for number, factor in enumerate((FIRST, SECOND)):
            # Products of integers wrap; a sum of them does not depend on its order.
            mixed = (part.to(torch.int64) + places * GOLDEN) * factor
            mixed = (mixed ^ (mixed >> 29)) * GOLDEN
            sums[number] += (mixed ^ (mixed >> 32)).sum()
    return bytes(sums.cpu().numpy().tobytes())
