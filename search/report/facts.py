"""The facts of a study that its pictures and its report are made from, wherever they were read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import cast

from ..config.study import Study
from ..files import JsonObject, StudyFolder
from ..names import Artifact
from ..protocol.network import NetworkListing, images_of
from ..sampling.allocation import AllocationError, Layers, allocate
from ..sampling.dense import kept_dense
from ..store.records import FinalRecord, TrialRecord
from .audit.audit import Audit
from .leaderboard import Row
from .optunaplots import Searched


@dataclass(frozen=True)
class StudyFacts:
    """What is known of a study; what is not known is empty."""

    study: Study
    rows: Sequence[Row]
    """The leaderboard, best first."""
    network: NetworkListing | None = None
    trials: Sequence[TrialRecord] = ()
    finals: Sequence[FinalRecord] = ()
    audit: Audit | None = None
    searched: Searched | None = None
    """What was searched and what it came to, for Optuna's own pictures."""
    sparsities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of the best masks: the sparsity of each layer."""

    @property
    def title(self) -> str:
        """The study in a few words."""
        return title_of(self.study)

    @property
    def best(self) -> Row | None:
        """The best mask."""
        return next((row for row in self.rows if not row.is_baseline), None)

    @property
    def classes(self) -> int | None:
        """The number of classes."""
        return self.network["task"]["classes"] if self.network else None

    def images(self, split: str) -> int | None:
        """Return the number of images of a split; None where it is not known."""
        return (images_of(self.network) or {}).get(split)

    @cached_property
    def erk(self) -> dict[str, float]:
        """The sparsity that ERK gives each layer, by name; empty where the layers are not known."""
        if self.network is None:
            return {}
        shapes = {name: tuple(layer["shape"]) for name, layer in self.network["layers"].items()}
        search = self.study.search
        layers = Layers(
            shapes, search.min_kept_per_output, _outputs(self.network), kept_dense(list(shapes), search.keep_dense)
        )
        try:
            counts = allocate(layers, self.study.global_sparsity)
        except AllocationError:
            return {}
        return {name: 1 - counts[name] / layer["weights"] for name, layer in self.network["layers"].items()}


def title_of(study: Study) -> str:
    """Return a study in a few words."""
    return f"{study.model} on {study.data}, sparsity {study.sparsity:.4g}"


def _outputs(network: NetworkListing) -> dict[str, int]:
    """Return the outputs of the layers that have their inputs on the first axis, as embeddings do, by name."""
    return {
        name: layer["shape"][1] * layer["groups"]
        for name, layer in network["layers"].items()
        if (layer["left"], layer["right"])
        != (layer["weights"] * layer["groups"] // layer["shape"][0], layer["shape"][0])
    }


def network_of(folder: StudyFolder) -> NetworkListing | None:
    """Return the network of a study as its folder holds it; None before the search has begun."""
    return cast(NetworkListing | None, read_json(folder.report / Artifact.NETWORK))


def layer_sparsities(coordinate: Path) -> dict[str, float]:
    """Return the sparsity of each layer of a mask by the file of its coordinate; empty where there is none."""
    table = read_json(coordinate)
    if not table:
        return {}
    layer, sparsity = (table["columns"].index(name) for name in ("layer", "sparsity"))
    return {row[layer]: row[sparsity] for row in table["data"]}


def read_json(path: Path) -> JsonObject | None:
    """Return what a JSON file holds; None where it is not there, or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
