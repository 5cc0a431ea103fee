"""Seeds for every random draw, derived from one seed by name."""

import hashlib


def derive(seed: int, *labels: str | int) -> int:
    """Return the seed of the draw called `labels` where everything is seeded with `seed`: an integer in [0, 2**63).

    Two generators with one seed draw the same numbers: a mask drawn from the stream that also drew the weights keeps
    the largest weights only, and the network is dead before it is trained. And as a hash, not a running generator, a
    draw's seed depends on its name alone: neither the number of workers, nor the order in which trials end, nor a
    restart changes it.
    """
    key = "\x1f".join([str(seed), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
