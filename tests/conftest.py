"""Fixtures that several folders share."""

import hashlib
import os
import pickle
import re

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

PER_FILE = 40

#: Those that lose machines and servers of their own.
MACHINES = re.compile(r"tests/(faults/test_(autoscaling|files|machines|secrets|slurm)|clusters/(services|targets)/)")
#: Where the tests stand that start Ray, searches or servers, and mostly wait for them.
WAITING = re.compile(
    r"tests/(faults|clusters)/|tests/search/("
    r"test_study|test_pinned_names|config/test_training_settings|driver/test_(tune_internals|placement)|"
    r"final/test_(check|full_training|zscores)|process/|report/test_status|screen/|sources/test_source_file)"
)
#: Those that run commands as a user would, and hurt nothing.
USING = re.compile(
    r"tests/test_(docs|examples|package)\.py|"
    r"tests/search/(commands/test_(commands|export|plan|report|search|status|sync|train|ui)|guards/test_repair|"
    r"record/test_pages)"
)


def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Deal the tests that wait to one worker, one after the other, while the others compute in the rest, by file.

    The others also run the commands, which takes as long as their computing, and the tests of whole machines.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if USING.match(nodeid):
                return "using"
            if MACHINES.match(nodeid):
                return "machines"
            return "waiting" if WAITING.match(nodeid) else nodeid.partition("::")[0]

    return Scheduling(config, log)


# The records of the tests go to homes of their own.
os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def cifar10_root(tmp_path, monkeypatch):
    """A folder of small files in the format of the real ones, with the checksums that torchvision compares."""
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    generator = np.random.default_rng(0)

    def write(name: str, content: dict) -> str:
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        return hashlib.md5(raw).hexdigest()

    def batch(name: str) -> list[str]:
        pixels = generator.integers(0, 256, (PER_FILE, 3072), dtype=np.uint8)
        return [name, write(name, {"data": pixels, "labels": [i % 10 for i in range(PER_FILE)]})]

    monkeypatch.setattr(CIFAR10, "train_list", [batch(f"data_batch_{i}") for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    meta = {**CIFAR10.meta, "md5": write("batches.meta", {"label_names": [str(i) for i in range(10)]})}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    # Never the network: what is absent here cannot be downloaded.
    monkeypatch.setattr(CIFAR10, "url", (tmp_path / "absent.tar.gz").as_uri())
    monkeypatch.setenv("FULLSPECTRUM_DATA", str(tmp_path))
    return tmp_path
