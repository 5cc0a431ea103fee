"""Seeds for every random draw of a study, derived from its one seed by name."""

import hashlib


def derive(seed: int, *labels: str | int) -> int:
    """The seed of the draw called `labels` in a study seeded with `seed`: an integer in [0, 2**63).

    A hash and not a running generator, so that a draw's seed depends on its name alone: neither the number of workers
    nor the order in which trials end, nor a restart, changes it.
    """
    key = "\x1f".join([str(seed), *map(str, labels)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1
