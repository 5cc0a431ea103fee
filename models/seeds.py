"""Seeds of one study that must not share a stream of random numbers."""

import hashlib


def derive(purpose: str, *seeds: int) -> int:
    """Return a seed in [0, 2**63) that depends on the purpose and on every seed.

    Two generators with one seed draw the same numbers: a mask drawn from the stream that also drew the weights keeps
    the largest weights only, and the network is dead before it is trained.
    """
    text = ":".join([purpose, *map(str, seeds)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
