"""Mistakes are reported before anything is imported that takes seconds."""

import json
import subprocess
import sys

import pytest

#: Packages that no mistake in a setting, a name or a file need wait for.
SLOW = ("torch", "torchvision", "ray", "mlflow", "optuna", "sqlalchemy", "scipy", "sklearn", "matplotlib", "pandas")

ON_DIGITS = ("--model", "digits_cnn", "--data", "digits")
SAMPLE = ("sample", *ON_DIGITS, "--sparsity", "0.9", "-o", "mask.safetensors")

MISTAKES = [
    ("search", "digits", "--set", "sparsity=1.0"),
    ("search", "digits", "--set", "search.trails=5"),
    ("search", "digits", "--set", "model=digits_cn"),
    ("search", "digits", "--set", "data=digit"),
    ("search", "digits", "--set", "search.sources=['snap']"),
    ("search", "digits", "--set", "search.sources=['ascent:snap']"),
    ("search", "digits", "--set", "search.sources=['file:nosuch']"),
    ("search", "digits", "--set", "search.sources=['ascent:file:nosuch']"),
    ("search", "digits", "--set", "search.allocation={ choices = ['erk', 'ergk'] }"),
    ("search", "digits", "--set", "search.sampler=tpa"),
    ("search", "digits", "--set", "search.sampler=cmaes", "--set", "objective=['l2', 'imdb']"),
    ("search", "digits", "--set", "objective=l1"),
    ("search", "digits", "--set", "training.mask=rugl"),
    ("search", "nosuch"),
    ("search", "nosuch.toml"),
    ("search",),
    ("status", "nosuch"),
    ("audit", "nosuch"),
    ("audit", "nosuch.csv"),
    ("audit", "empty.csv"),
    ("audit", "empty.csv", "--plot", "picture.txt"),
    ("audit", "digits", "--accuracy", "val"),
    ("sync", "nosuch"),
    ("export", "best:nosuch", "--format", "torch-prune", "-o", "best.pt"),
    ("export", "best:digits", "--format", "torch_prune", "-o", "best.pt"),
    ("export", "best:digits", "--format", "torch-prune", "-o", "nowhere/best.pt"),
    ("export", "0123456789abcdef", "--format", "torch-prune", "-o", "best.pt"),
    ("convert", "nosuch", "o.pt", "--to", "nni"),
    ("convert", "mask", "o.pt", "--to", "nny"),
    ("convert", "mask", "o.pt", "--to", "nni", "--model", "nosuch"),
    ("convert", "mask", "nowhere/o.pt", "--to", "nni"),
    ("ui",),
    ("layers", "--model", "nosuch"),
    ("layers", "--model", "digits_cnn", "--data", "nosuch"),
    (*SAMPLE, "--source", "snipp"),
    (*SAMPLE, "--source", "file:nosuch"),
    (*SAMPLE, "--source", "snip", "--allocation", "ekr"),
    (*SAMPLE, "--source", "snip", "--temperature", "-1"),
    (*SAMPLE, "--source", "snip", "-o", "nowhere/mask.safetensors"),
    ("score", "nosuch"),
    ("score", "."),
    ("score", "empty"),
    ("score", "mask", "--reference", "orgin"),
    ("score", "mask", "--model", "nosuch"),
    ("score", "mask", "--weights", "nosuch"),
    ("train", "nosuch", *ON_DIGITS),
    ("train", "mask", *ON_DIGITS, "--weights", "empty"),
    ("train", "mask", *ON_DIGITS, "-o", "nowhere/trained"),
    ("train", "mask", *ON_DIGITS, "--set", "training.momentum=2"),
    ("train", "mask", *ON_DIGITS, "--set", "training.momentum={ low = 0.1, high = 0.2 }"),
    ("train", "mask", "--model", "digits_cnn", "--data", "digit"),
    ("check", ".", *ON_DIGITS),
    ("check", "mask", *ON_DIGITS, "--set", "final.epochs=0"),
]

FACES = [
    ("--help",),
    ("--version",),
    ("search", "--list-settings"),
    *((name, "--help") for name in ("search", "train")),
]

#: Runs each of several command lines in one process; prints its exit status and what it has loaded.
PROGRAM = f"""
import contextlib, io, json, sys
from fullspectrum.search.cli import main

for arguments in json.load(sys.stdin):
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        status = main(arguments)
    loaded = [name for name in {SLOW} if name in sys.modules]
    print(json.dumps([arguments, status, told.getvalue().splitlines(), loaded]))
"""


def run(lines: list[tuple[str, ...]], folder) -> list[tuple[tuple[str, ...], int, list[str], list[str]]]:
    """Runs the command lines in a folder; returns each with its status, its lines on stderr, and the slow packages."""
    (folder / "empty").touch()
    (folder / "empty.csv").touch()
    (folder / "mask").write_bytes(b"not read before the settings are known to be right")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(lines), cwd=folder, capture_output=True, text=True, check=True
    )
    return [(tuple(arguments), *rest) for arguments, *rest in map(json.loads, done.stdout.splitlines())]


@pytest.mark.timeout(120)
def test_no_mistake_waits_for_what_is_slow_to_import(tmp_path):
    found = run(MISTAKES, tmp_path)
    assert [arguments for arguments, *_ in found] == MISTAKES
    assert [(arguments, told) for arguments, status, told, _ in found if status != 2 or len(told) != 1] == []
    assert [(arguments, loaded) for arguments, _, _, loaded in found if loaded] == []


@pytest.mark.timeout(120)
def test_help_and_version_and_settings_wait_for_nothing_slow(tmp_path):
    assert [(arguments, status, loaded) for arguments, status, _, loaded in run(FACES, tmp_path)] == [
        (arguments, 0, []) for arguments in FACES
    ]


@pytest.mark.timeout(120)
def test_the_layers_of_a_network_need_torch_alone(tmp_path):
    ((_, status, _, loaded),) = run([("layers", "--model", "resnet20")], tmp_path)
    assert (status, loaded) == (0, ["torch"])
