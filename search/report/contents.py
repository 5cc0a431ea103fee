"""What a report of a study says, before it is laid out: facts, answers, and where its pictures lie."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files import JsonObject
from .comparison import interval
from .facts import StudyFacts


@dataclass(frozen=True)
class Contents:
    """What a report is made from, wherever the study was found."""

    facts: StudyFacts
    state: str
    """A sentence on a study that has not come to its end; empty of one that has."""
    verdicts: Sequence[str]
    """Sentences on the best mask beside the baselines."""
    audit: JsonObject
    """The audit as the record keeps it; empty where it is not known."""
    environment: Mapping[str, str]
    outcomes: Mapping[str, int]
    """Ended trials by their outcome; empty where they are not known."""
    commands: Sequence[str]
    """Command lines that write the best mask, and that show more; none where there is no mask."""
    place: str
    """Where the study was read."""
    pictures: Mapping[str, Path] = field(default_factory=dict)
    """Pictures that are there already, by the names of their files."""
    missing: Sequence[str] = ()
    """What could not be read, a few words each."""
    pareto: Sequence[str] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    """What the network costs under the best mask, by the fields of `models.cost.LayerCost`, as far as known."""

    @property
    def best(self) -> str:
        """A sentence on the best mask: what it is, and what it reaches at which cost."""
        row, study = self.facts.best, self.facts.study
        if row is None:
            return "There is no mask yet."
        name = f"{row.label}, of source {row.source}" if row.source else row.label
        cost = f" for {row.cost:,} optimizer steps in all" if row.cost is not None else ""
        if row.accuracy_final is None:
            reached = "was trained neither in full nor in a warm-up"
            if row.accuracy_warmup is not None:
                reached = f"reaches {row.accuracy_warmup:.4f} on the validation split after its warm-up{cost}"
            return f"The best mask so far is {name}: it {reached}, at sparsity {study.sparsity:g}."
        images, error = self.facts.images("test"), ""
        if images:
            low, high = interval([row.accuracy_final], images)
            error = f" (95 % interval {low:.4f} to {high:.4f}, {images:,} images)"
        return (
            f"The best mask is {name}: after full training it reaches {row.accuracy_final:.4f} on the test "
            f"split{error}{cost}, at sparsity {study.sparsity:g}."
        )

    @property
    def network_cost(self) -> str:
        """A sentence on what the network costs under the best mask; empty where that is not known."""
        known = self.costs
        if not {"parameters", "parameters_dense", "bytes_csr", "bytes_dense"} <= known.keys():
            return ""
        flops = ""
        if {"flops", "flops_dense"} <= known.keys():
            flops = f", {known['flops']:,.0f} of {known['flops_dense']:,.0f} floating point operations an image"
        return (
            f"With it the network has {known['parameters']:,.0f} of {known['parameters_dense']:,.0f} parameters{flops}"
            f"; as compressed sparse rows they take {known['bytes_csr']:,.0f} bytes, dense {known['bytes_dense']:,.0f}."
        )

    @property
    def trust(self) -> str:
        """A sentence on whether the score can be trusted."""
        return str(self.audit.get("verdict", "It is not known whether the score can be trusted: there is no audit."))

    @property
    def findings(self) -> Sequence[str]:
        """Sentences on what else the audit found."""
        return list(self.audit.get("findings", ()))


def export_commands(run: str, options: str) -> list[str]:
    """Return the command lines that write the best mask of a study, `run` as `export` takes it."""
    shared = f"fullspectrum export {shlex.quote(run)}{options}"
    return [f"{shared} --format torch-prune -o best.pt", f"{shared} --format fullspectrum -o best.safetensors"]
