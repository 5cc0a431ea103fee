"""The findings of an audit beside its verdict, a sentence each."""

from .audit import FEWEST, Audit
from .verdict import called


def findings(audit: Audit) -> list[str]:
    """Return sentences on what so many trainings can show, the gate, over-optimisation, and the best mask.

    There is none on what there is nothing to say of, and none at all where no mask trained better than guessing.
    """
    if not audit.table.learned:
        return []
    found = [_power(audit), _gate(audit), _top(audit), _best(audit)]
    return [sentence for sentence in found if sentence]


def _power(audit: Audit) -> str | None:
    if audit.trainings < FEWEST:
        return None
    return (
        f"With {audit.trainings:,} trainings a correlation under {audit.power.told:.2f} cannot be told from 0, and "
        f"a true one of {audit.power.found:.2f} is told from 0 four times in five."
    )


def _gate(audit: Audit) -> str | None:
    if audit.gate is None:
        return None
    passed, control = audit.gate.counts
    does = {1: "train better than", -1: "train worse than", 0: "are not shown to train better than"}[audit.gate.sign]
    return (
        f"The {passed:,} masks that passed the gate {does} the {control:,} of its control group: a difference of "
        f"{audit.gate.difference:+.4f} ± {audit.gate.error:.4f} in {audit.table.reached_described}."
    )


def _top(audit: Audit) -> str | None:
    each = audit.worths.get(audit.judged or "")
    if each is None or each.top is None:
        return None
    top, middle = each.top.counts
    score = called(audit.judged or "")
    does = {
        1: "train better than",
        -1: "train worse than",
        0: "are level with",
    }[each.top.sign]
    warns = ": climbing it further does harm" if each.top.sign < 0 else ""
    return (
        f"The tenth of the masks with the highest {score.removeprefix('the ')} ({top:,}) {does} the middle half "
        f"({middle:,}){warns}: a difference of {each.top.difference:+.4f} ± {each.top.error:.4f}."
    )


def _best(audit: Audit) -> str | None:
    best = audit.best
    if best is None:
        return None
    cost = f" for {best.cost:,.0f} optimizer steps in all" if best.cost is not None else ""
    return f"The best mask is {best.mask}, number {best.place:,} of {best.masks:,}: accuracy {best.accuracy:.4f}{cost}."
