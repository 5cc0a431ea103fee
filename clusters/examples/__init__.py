"""Cluster files that come with the package, one of each kind."""
