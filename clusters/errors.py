"""What can go wrong with a cluster, in one line."""


class ClusterError(ValueError):
    """A cluster that cannot be used or reached, or a Ray that does not start here: what was found, and the way out."""
