"""Combinations of strange things that a user may put together: each is a few command lines in a folder."""

import random
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten

from . import strange_data, strange_folders, strange_networks, strange_places, strange_studies
from .run import Ended, left_over, run, run_apart

Commands = tuple[tuple[str, ...], ...]

PLAIN, STRIPES = "strange_networks:plain", "strange_data:stripes"

SOURCES = ("random", "magnitude", "snip", "iterative-snip", "grasp", "synflow", "ascent:snip")
ALLOCATIONS = ("global", "uniform", "erk")
FEW = ("--set", "search.rounds=3", "--set", "search.images_per_class=3")


@dataclass(frozen=True)
class Combination:
    """Commands, one after the other as long as they end well, around one thing of a `kind` that is odd."""

    kind: str
    odd: str
    commands: Commands
    study: bytes = strange_studies.FILES["sound"]
    """What `study.toml` holds."""
    images: str | None = None
    """What is odd in the image folder `folder`; None: there is none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    apart: bool = False
    """Whether it needs an interpreter of its own."""

    def __str__(self) -> str:
        said = [*(f"{name}={value!r}" for name, value in self.environment.items()), *filter(None, [self.odd])]
        words = [shorten(repr(word), 80) for command in self.commands for word in (*command, ";")]
        return f"{self.kind} {shorten(', '.join(said), 80)}: {' '.join(words)}"

    def run(self) -> tuple[list[Ended], str | None]:
        """Run the commands; return their ends, and what is wrong with them."""
        ends: list[Ended] = []
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "here"
            folder.mkdir()
            strange_places.prepare(folder)
            for name in ("study.toml", "STUDY.TOML", "größe [x].toml"):
                (folder / name).write_bytes(self.study)
            if self.images is not None:
                strange_folders.write(folder / "folder", self.images)
            for command in self.commands:
                if self.apart:
                    ends.append(run_apart(command, folder, self.environment))
                else:
                    ends.append(run(command, folder, self.environment, self.encoding))
                if ends[-1].fault or not ends[-1].well:
                    break
            fault = ends[-1].fault
            if fault is None and (left := left_over(folder)):
                fault = f"left {left}"
        return ends, fault


def combinations(count: int, seed: int = 0) -> list[Combination]:
    """Return `count` combinations, a function of `seed`, of each kind in turn; no odd thing twice before all came."""
    chance = random.Random(seed)
    decks = {kind: _dealt(things, chance) for kind, (things, _) in KINDS.items()}
    kinds = [kind for kind, (things, _) in KINDS.items() for _ in range(1 + len(things) // 40)]
    made = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        made.append(KINDS[kind][1](next(decks[kind]), chance))
    return made


def apart(seed: int = 0) -> list[Combination]:
    """Return a combination, a function of `seed`, of each environment that Python or Ray read when they start."""
    chance = random.Random(seed)
    return [
        *(_start(environment, chance) for environment in strange_places.AT_THE_START),
        *(_searched(*each) for each in strange_places.SEARCHES),
    ]


def _dealt(things: list, chance: random.Random) -> Iterator:
    """Yield the things in a random order, again and again."""
    while True:
        yield from chance.sample(things, len(things))


def _steps(chance: random.Random, model: str = PLAIN, data: str = STRIPES) -> Commands:
    """Return a few commands that work on a network and a data set."""
    both = ("--model", model, "--data", data)
    sparsity = chance.choice(("0.0", "0.3", "0.5", "0.9"))
    drawn = ("--source", chance.choice(SOURCES), "--allocation", chance.choice(ALLOCATIONS), "--sparsity", sparsity)
    sample = ("sample", *both, *drawn, *FEW, "-o", "mask.safetensors")
    score = ("score", "mask.safetensors", "--chance", "2", *chance.choice(((), ("--model", model), ("--json",))))
    train = ("train", "mask.safetensors", *both, "--set", "final.epochs=1", "-o", "trained.safetensors")
    search = (
        "search",
        "study.toml",
        "--set",
        f"model={model}",
        "--set",
        f"data={data}",
        "--set",
        f"sparsity={sparsity}",
    )
    return chance.choice(((("layers", *both),), (sample, score), (sample, train), (sample, score, train), (search,)))


def _network(name: str, chance: random.Random) -> Combination:
    return Combination("network", name, _steps(chance, model=f"strange_networks:{name}"))


def _data(name: str, chance: random.Random) -> Combination:
    return Combination("data set", name, _steps(chance, data=f"strange_data:{name}"))


def _images(name: str, chance: random.Random) -> Combination:
    reference = "imagefolder:folder" if chance.random() < 0.6 else chance.choice(strange_folders.REFERENCES)
    return Combination("image folder", f"{name}, {reference}", _steps(chance, data=reference), images=name)


def _study(name: str, chance: random.Random) -> Combination:
    file = chance.choice(("study.toml", "./study.toml", "STUDY.TOML", "größe [x].toml"))
    command = chance.choice(("search", "search", "search", "status", "sync", "export"))
    more = {"export": ("--format", "torch-prune", "-o", "best.pt"), "search": chance.choice(((), ("--resume",)))}
    argument = f"best:{file}" if command == "export" else file
    line = (command, argument, *more.get(command, ()))
    return Combination("study file", name, (line,), strange_studies.FILES[name])


def _override(text: str, chance: random.Random) -> Combination:
    commands = chance.choice(((("search", "study.toml"),), (("status", "study.toml"),), _steps(chance)))
    *before, last = commands
    if last[0] in ("layers", "score"):
        last = ("search", "study.toml")
    return Combination("override", repr(text), (*before, (*last, f"--set={text}")))


def _environment(environment: Mapping[str, str], chance: random.Random) -> Combination:
    commands = chance.choice((*_USES_OF_HOME, _steps(chance), _steps(chance), (*_sampled(), _PLOT)))
    return Combination("environment", "", commands, environment=environment)


def _encoding(encoding: str, chance: random.Random) -> Combination:
    commands = chance.choice(
        ((("layers", "--model", "resnet20"),), (*_sampled(), ("score", "mask.safetensors")), *_USES_OF_HOME)
    )
    return Combination("environment", encoding, commands, encoding=encoding)


def _start(environment: Mapping[str, str], chance: random.Random) -> Combination:
    commands = chance.choice(
        ((*_sampled(), ("score", "mask.safetensors", "--chance", "2")), (("search", "größe.toml"),))
    )
    return Combination("interpreter", "", commands, environment=environment, apart=True)


def _searched(home: str, environment: Mapping[str, str]) -> Combination:
    """Return a combination of a whole search with all that is done with one."""
    lines: Commands = (
        ("search", "study.toml"),
        ("status", "study.toml"),
        ("sync", "study.toml"),
        ("export", "best:study.toml", "--format", "torch-prune", "-o", "best.pt"),
    )
    commands = tuple((*line, "--home", home) for line in lines)
    return Combination("search", repr(home), commands, environment=environment, apart=True)


def _path(name: str, chance: random.Random) -> Combination:
    both = ("--model", PLAIN, "--data", STRIPES)
    uses: list[Commands] = [
        (("score", name),),
        (("score", "mask.safetensors", "--weights", name),),
        (("train", name, *both),),
        (("check", name, *both),),
        (("search", f"{name}.toml"),),
        (("search", "study.toml", "--set", f"data=imagefolder:{name}"),),
        (("search", "study.toml", "--set", f'search.sources=["file:{name}"]'),),
        (("layers", "--model", f"{name}:f", "--data", "digits"),),
        (("layers", "--model", "conv-6", "--data", f"imagefolder:{name}"),),
        *(tuple((*line, "--home", name) for line in lines) for lines in _USES_OF_HOME),
        *(tuple((*line, "--home", name) for line in lines) for lines in _USES_OF_HOME),
    ]
    # Nobody overwrites the devices of the machine that the tests run on.
    if not name.startswith(("/", "..")):
        uses += [
            _sampled(name),
            _sampled(name),
            (*_sampled(), ("train", "mask.safetensors", *both, "--set", "final.epochs=1", "-o", name)),
            (*_sampled(), ("score", "mask.safetensors", "--chance", "2", "--plot", f"{name}.png")),
            (("export", "best:study.toml", "--format", "torch-prune", "-o", name),),
        ]
    return Combination("path", repr(name), chance.choice(uses))


def _sampled(output: str = "mask.safetensors") -> Commands:
    both = ("--model", PLAIN, "--data", STRIPES)
    return (("sample", *both, "--source", "random", "--sparsity", "0.5", "-o", output),)


_PLOT = ("score", "mask.safetensors", "--chance", "2", "--plot", "mask.png")

#: What is done with a home: a search up to Ray's start, and what looks at the record of one.
_USES_OF_HOME: tuple[Commands, ...] = (
    (("search", "study.toml"),),
    (("search", "study.toml", "--resume"),),
    (("status", "study.toml"),),
    (("status", ""),),
    (("sync",),),
    (("export", "0" * 32, "--format", "fullspectrum", "-o", "best.safetensors"),),
    (("export", "best:", "--format", "fullspectrum", "-o", "best.safetensors"),),
)


def _functions(module) -> list[str]:
    """Return the names of what a user can name in a module of strange things."""
    own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
    return [*(name for name in own if not name.startswith("_")), "_hidden", "nosuch"]


#: The odd things of each kind, and what makes a combination of one.
KINDS = {
    "network": (_functions(strange_networks), _network),
    "data set": (_functions(strange_data), _data),
    "image folder": ([*strange_folders.IMAGES, *strange_folders.SPLITS], _images),
    "study file": (list(strange_studies.FILES), _study),
    "override": (list(strange_studies.OVERRIDES), _override),
    "environment": (list(strange_places.ENVIRONMENTS), _environment),
    "encoding": (list(strange_places.ENCODINGS), _encoding),
    "path": (list(strange_places.NAMES), _path),
}
