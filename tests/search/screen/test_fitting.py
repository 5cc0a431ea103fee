"""A table on a narrow screen: fewer columns, and every number as it is."""

import io

import pytest
from fullspectrum.search.protocol.label import ERK_RANDOM_EQUAL_COST, Label
from fullspectrum.search.report.leaderboard import Row
from fullspectrum.search.screen.fitting import FittingTable
from fullspectrum.search.screen.tables import screen_table
from rich.box import SIMPLE_HEAD
from rich.console import Console

NAME = "features.block1.conv1"
NUMBERS = {"left × right": "27 × 16", "weights": "2,304", "share": "12.50%", "gap": "-0.123"}


def table(**settings) -> FittingTable:
    made = FittingTable(spare=("share", "gap", "left × right"), box=SIMPLE_HEAD, **settings)
    made.add_column("parameter", overflow="fold")
    for heading in NUMBERS:
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_row(NAME, *NUMBERS.values())
    return made


def shown(made: FittingTable, width: int, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    Console(file=file, width=width).print(made)
    file.seek(0)
    return file.read()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", range(26, 90))
def test_no_number_is_cut_and_no_line_too_long_whatever_the_width(width, encoding):
    found = shown(table(), width, encoding)
    assert "2,304" in found and "…" not in found
    for heading, number in NUMBERS.items():
        number, heading = (word.encode(encoding, "replace").decode(encoding) for word in (number, heading))
        assert (number in found) == (heading in found)
    assert max(map(len, found.splitlines())) <= width


def test_the_columns_go_in_the_order_in_which_they_can_be_done_without():
    left = [[heading for heading in NUMBERS if heading in shown(table(), width)] for width in range(90, 25, -1)]
    assert [each for number, each in enumerate(left) if each != left[number - 1]] == [
        ["left × right", "weights", "share", "gap"],
        ["left × right", "weights", "gap"],
        ["left × right", "weights"],
        ["weights"],
    ]


def test_a_wide_screen_shows_the_table_as_it_is():
    assert NAME in shown(table(), 90)


def test_brackets_in_a_cell_are_no_markup():
    made = FittingTable(spare=())
    made.add_column("source")
    made.add_row("file:/masks/[red]/one[/]")
    assert "file:/masks/[red]/one[/]" in shown(made, 80)


ROWS = [Row(Label("trial 12"), "snip", {"objective": 12.345}, 0.9721, 0.9777, 0.9722, "digest", 12)]
SCORED = [Row(Label("trial 12"), "snip", {"objective": 12.345}, None, None, None, "digest", 12)]


@pytest.mark.parametrize(
    ("rows", "numbers"), [(ROWS, ["0.9777", "0.9722"]), (SCORED, ["12.345"])], ids=["trained", "scored alone"]
)
def test_the_best_masks_on_forty_columns_keep_what_is_known_of_them(rows, numbers):
    found = shown(screen_table(rows, "l2"), 40)
    assert all(number in found for number in ["trial 12", *numbers]) and "…" not in found


def test_eighty_columns_show_every_column_of_the_best_masks_and_no_name_is_cut():
    baseline = Row(ERK_RANDOM_EQUAL_COST, accuracy_val=0.91, accuracy_final=0.9111, cost=1_234_400)
    row = Row(Label("trial 12"), "magnitude", {"objective": 12.345}, 0.97, 0.97, 0.97, "digest", 12, 1_234_400)
    found = shown(screen_table([row, baseline], "l2"), 80)
    assert all(heading in found for heading in ("source", "distance", "warm-up", "val", "test", "steps"))
    assert found.count("1,234,400") == 2 and "…" not in found
    # Folded at a hyphen.
    assert [line.split()[1] for line in found.splitlines() if "random" in line or "cost" in line] == [
        "erk-random-",
        "equal-cost",
    ]
