"""Several studies side by side: what each came to, what differs in their settings, and what differs in seed alone."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.study import RUNNING, Study
from ..files import JsonObject
from ..protocol.label import ERK_RANDOM, ERK_RANDOM_EQUAL_COST
from .audit.verdict import brief, verdict
from .comparison import Comparison, compare_pairs, interval, is_chance
from .facts import StudyFacts
from .leaderboard import Row


@dataclass(frozen=True)
class Overview:
    """What one study came to."""

    facts: StudyFacts
    state: str

    @property
    def study(self) -> Study:
        """The study."""
        return self.facts.study

    @property
    def winner(self) -> Row | None:
        """Its best mask; None where it has none."""
        return self.facts.best

    @property
    def trained(self) -> bool:
        """Whether its best mask was trained in full."""
        return self.winner is not None and self.winner.accuracy_final is not None

    @property
    def random(self) -> Row | None:
        """The random mask that it is held against: at equal cost, where that is another; None where none trained."""
        rows = {row.label: row for row in self.facts.rows if row.accuracy_final is not None}
        return rows.get(ERK_RANDOM_EQUAL_COST, rows.get(ERK_RANDOM))

    @property
    def difference(self) -> Comparison | None:
        """The test accuracy of the winner beside that of the random mask; None where one is not known."""
        return compared([self], self.images)

    @property
    def images(self) -> int | None:
        """The number of test images; None where it is not known."""
        return self.facts.images("test")

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the winner's test accuracy; None where it is not known."""
        return interval_of(self.winner, self.images)

    @property
    def at_chance(self) -> bool:
        """Whether the winner is no better than guessing; false where that is not known."""
        row, images, classes = self.winner, self.images, self.facts.classes
        known = row is not None and row.accuracy_final is not None and images and classes
        return bool(known and row and is_chance(row.accuracy_final or 0.0, images or 1, classes or 1))

    @property
    def judgement(self) -> str:
        """The audit's verdict in a few words."""
        return brief(self.facts.audit) if self.facts.audit else "not audited"

    def to_dict(self, settings: Mapping[str, Any]) -> JsonObject:
        """Return plain values, with the `settings` in which it differs from the others."""
        row, random, beside = self.winner, self.random, self.difference
        return {
            "study": self.study.id,
            "state": self.state,
            "model": self.study.model,
            "data": self.study.data,
            "sparsity": self.study.sparsity,
            "settings": dict(settings),
            "winner": row.label if row else None,
            "source": row.source if row else None,
            "accuracy_val": row.accuracy_val if row else None,
            "accuracy_final": row.accuracy_final if row else None,
            "interval": list(self.interval) if self.interval else None,
            "cost": row.cost if row else None,
            "at_chance": self.at_chance,
            "random": _random(random) if random else None,
            "difference": beside.difference if beside else None,
            "error": beside.error if beside else None,
            "audit": verdict(self.facts.audit) if self.facts.audit else None,
        }

    def named(self, settings: Mapping[str, Any]) -> str:
        """Return how the study is called beside others that differ from it in these `settings`."""
        return ", ".join([self.study.id, f"sparsity {self.study.sparsity:g}", *_words(settings)])

    def cells(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return a line of a table by its headings, with the `settings` in which the study differs from the others."""
        row, random, ends, beside = self.winner, self.random, self.interval, self.difference
        difference = f"{beside.difference:+.3f} ± {beside.error:.3f}" if beside else ""
        return {
            "study": self.study.id,
            "settings": " ".join(_words(settings)),
            "sparsity": f"{self.study.sparsity:g}",
            "best": row.label if row else "",
            "source": row.source if row else "",
            "val acc.": _accuracy(row.accuracy_val if row else None),
            "test acc.": _accuracy(row.accuracy_final if row else None),
            "95 % interval": f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "",
            "steps": f"{row.cost:,}" if row and row.cost is not None else "",
            "random": _accuracy(random.accuracy_final if random else None),
            "difference": "at chance level" if self.at_chance else difference,
            "audit": self.judgement,
            "state": self.state,
        }


#: Headings of `cells` that hold words, and no numbers.
WORDS = ("study", "settings", "best", "source", "audit", "state")


def _words(settings: Mapping[str, Any]) -> list[str]:
    """Return settings as they are given."""
    return [f"{name}={value}" for name, value in settings.items()]


def _accuracy(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.4f}"


@dataclass(frozen=True)
class Pool:
    """Studies that differ in nothing but their seed."""

    members: Sequence[Overview]
    difference: Comparison
    """The winners beside their random masks, with the spread over seeds in the error."""
    interval: tuple[float, float]
    """Of the winners' mean accuracy."""

    def to_dict(self) -> JsonObject:
        """Return plain values."""
        return {
            "studies": [each.study.id for each in self.members],
            "accuracy_final": self.difference.ours,
            "interval": list(self.interval),
            "random": self.difference.theirs,
            "difference": self.difference.difference,
            "error": self.difference.error,
        }

    def sentence(self) -> str:
        """Return what the winners come to together."""
        beside, ids = self.difference, ", ".join(each.study.id for each in self.members)
        return (
            f"Over {len(self.members)} seeds at sparsity {self.members[0].study.sparsity:g} ({ids}) the winner "
            f"{beside.verb} a random mask at equal cost: {beside.ours:.4f} against {beside.theirs:.4f}, a difference "
            f"of {beside.difference:+.4f} ± {beside.error:.4f}."
        )


def interval_of(row: Row | None, images: int | None) -> tuple[float, float] | None:
    """Return the 95 % interval of a test accuracy; None where it or the number of images is not known."""
    return interval([row.accuracy_final], images) if row and row.accuracy_final is not None and images else None


def compared(overviews: Sequence[Overview], images: int | None) -> Comparison | None:
    """Return the winners' test accuracies beside those of their random masks; None where none is known."""
    pairs = [
        (one.accuracy_final, other.accuracy_final)
        for one, other in ((each.winner, each.random) for each in overviews)
        if one and other and one.accuracy_final is not None and other.accuracy_final is not None
    ]
    return compare_pairs(pairs, images) if pairs and images else None


def differing(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """Return the settings of each study, by their whole names, that are not the same in all; sparsity is left out.

    So are the tables that only say where and how a study runs.
    """
    flat = [dict(_flat(study.model_dump(mode="json"))) for study in studies]
    names = dict.fromkeys(name for each in flat for name in each)
    varied = [name for name in names if len({json.dumps(each.get(name)) for each in flat}) > 1 and name != "sparsity"]
    return [{name: each[name] for name in varied if name in each} for each in flat]


def pools(overviews: Sequence[Overview]) -> list[Pool]:
    """Return the sets of two or more studies that differ in their seed alone and whose winners were trained in full."""
    alike: dict[str, list[Overview]] = {}
    for each in overviews:
        settings = dict(_flat(each.study.model_dump(mode="json"), ("seed", *RUNNING)))
        if each.trained and each.random is not None and each.images:
            alike.setdefault(json.dumps(settings), []).append(each)
    found = []
    for members in alike.values():
        beside = compared(members, members[0].images)
        if len({each.study.seed for each in members}) > 1 and beside is not None:
            ours = [each.winner.accuracy_final or 0.0 for each in members if each.winner]
            found.append(Pool(members, beside, interval(ours, members[0].images or 1)))
    return found


def notes(overviews: Sequence[Overview]) -> list[str]:
    """Return sentences on what cannot be compared."""
    found = []
    for what, values in (
        ("data", sorted({each.study.data for each in overviews})),
        ("networks", sorted({each.study.model for each in overviews})),
    ):
        if len(values) > 1:
            found.append(
                f"These studies are of different {what} ({', '.join(values)}): compare each with its own random mask."
            )
    guessing = [each.study.id for each in overviews if each.at_chance]
    if guessing:
        found.append(f"Nothing was learned in {', '.join(guessing)}: the best mask is at chance level.")
    unknown = [each.study.id for each in overviews if not each.images]
    if unknown:
        found.append(f"How many test images there were is not known of {', '.join(unknown)}: errors are left out.")
    return found


def document(overviews: Sequence[Overview]) -> JsonObject:
    """Return all of it as plain values."""
    settings = differing([each.study for each in overviews])
    return {
        "studies": [each.to_dict(own) for each, own in zip(overviews, settings, strict=True)],
        "seeds": [pool.to_dict() for pool in pools(overviews)],
        "notes": notes(overviews),
    }


def _random(row: Row) -> JsonObject:
    return {"mask": row.label, "accuracy_final": row.accuracy_final, "cost": row.cost}


def _flat(settings: Mapping[str, Any], without: Sequence[str] = RUNNING, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield settings by their whole names."""
    for name, value in settings.items():
        if not prefix and name in without:
            continue
        if isinstance(value, Mapping) and not {"choices", "low"} & value.keys():
            yield from _flat(value, without, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
