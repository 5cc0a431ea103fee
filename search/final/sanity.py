"""The result of a sanity check: the accuracies of a mask and of its baselines, compared."""

from dataclasses import dataclass, field

from ..names import Metric
from ..protocol.label import CHECKS, ERK_RANDOM, SHUFFLED, Label
from ..protocol.training import Entry, TrainingEnd
from ..report.comparison import Comparison, compare
from ..report.verdicts import against_shuffle

#: The label of the mask itself.
MASK = Label("mask")

#: Labels of all that is trained, the mask first.
LABELS = (MASK, *CHECKS, ERK_RANDOM)


@dataclass
class SanityCheck:
    """The results of the trainings of a mask and of its baselines."""

    repeats: int
    images: int
    """Test images."""
    missing: dict[Label, str]
    """The reason why a baseline was not trained, or why its last training failed, by label."""
    finished: dict[Label, dict[int, dict[str, float]]] = field(default_factory=dict)
    """Metrics of each training that ended well, by label and number of the repetition."""

    def add(self, entry: Entry, end: TrainingEnd) -> None:
        """Add the end of a training."""
        if end.accuracy_final is not None:
            self.finished.setdefault(entry.label, {})[entry.repeat] = end.metrics
        else:
            self.missing[entry.label] = end.reason or ""

    def accuracies(self, label: Label, metric: str = Metric.ACCURACY_FINAL) -> list[float]:
        """Return the accuracies of trainings that ended well, on the test split or by another metric of the record."""
        return [values[metric] for _, values in sorted(self.finished.get(label, {}).items())]

    def comparisons(self) -> dict[Label, Comparison]:
        """Return the mask beside each baseline of which, as of the mask, a training ended well."""
        ours = self.accuracies(MASK)
        theirs = {label: self.accuracies(label) for label in LABELS if label != MASK}
        return {label: compare(ours, those, self.images) for label, those in theirs.items() if ours and those}

    def verdict(self) -> str:
        """Return whether the mask beats its own shuffle, and how many of their trainings do not count."""
        found = self.comparisons()
        if SHUFFLED not in found:
            return f"Nothing can be said of the mask: {self.missing.get(MASK) or self.missing.get(SHUFFLED)}."
        sentences = [against_shuffle("The mask", found)]
        for label, name in ((MASK, "the mask"), (SHUFFLED, "its shuffle")):
            if lost := self.repeats - len(self.accuracies(label)):
                sentences.append(f"{lost} of {self.repeats} trainings of {name} did not end well and do not count.")
        return " ".join(sentences)

    def to_dict(self) -> dict[str, object]:
        """Return plain values, with a row for the mask and each baseline."""
        rows = [self._row(label) for label in LABELS]
        return {"repeats": self.repeats, "test_images": self.images, "rows": rows, "verdict": self.verdict()}

    def _row(self, label: Label) -> dict[str, object]:
        row: dict[str, object] = {
            "trained": label,
            Metric.ACCURACY_VAL_FINAL: self.accuracies(label, Metric.ACCURACY_VAL_FINAL),
            Metric.ACCURACY_FINAL: self.accuracies(label),
        }
        if beside := self.comparisons().get(label):
            row |= {"difference": beside.difference, "error": beside.error, "verdict": f"mask {beside.verb} it"}
        if label in self.missing:
            row["missing"] = self.missing[label]
        return row
