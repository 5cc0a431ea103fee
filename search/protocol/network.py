"""The list of a network's prunable parameters, as it is recorded and printed."""

from typing import NotRequired, TypedDict


class TaskListing(TypedDict):
    """The images and the classes that a network is built for."""

    channels: int
    size: int
    """Pixels of each side."""
    classes: int


class DatasetListing(TypedDict):
    """The data set that a study trains on."""

    name: str
    digest: str
    """Of the labels and of some images."""
    splits: dict[str, int]
    """Numbers of images by the names of the splits."""


class LayerListing(TypedDict):
    """One prunable parameter."""

    kind: str
    """The class of its layer, as torch names it."""
    shape: list[int]
    groups: int
    left: int
    """Input positions of its bipartite graph."""
    right: int
    """Outputs of its bipartite graph."""
    weights: int
    share: float
    """Its share of all prunable weights, in (0, 1]."""


class NetworkListing(TypedDict):
    """The prunable parameters of a network, and the others."""

    model: str
    task: TaskListing
    parameters: int
    """All of them, prunable or not."""
    weights: int
    """Those that are prunable."""
    layers: dict[str, LayerListing]
    """By the names of the parameters."""
    never_pruned: dict[str, str]
    """Reasons by the names of the parameters."""
    adaptations: list[str]
    """Changes against the published network."""
    dataset: NotRequired[DatasetListing]
    precision: NotRequired[dict[str, str]]
    """The precision of the network in the sources that differentiate it, by their names."""


def images_of(network: NetworkListing | None) -> dict[str, int] | None:
    """Return the number of images in each split, train, val and test; None where the listing does not say them."""
    return network["dataset"]["splits"] if network and "dataset" in network else None
