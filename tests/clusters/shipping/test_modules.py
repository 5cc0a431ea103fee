"""Which of the user's modules travel: those that are named, and what they import from the same folder."""

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.shipping.folder import stage
from fullspectrum.clusters.shipping.modules import own_modules


@pytest.fixture
def folder(tmp_path):
    """A folder of modules; importing any of them is an error."""
    files = {
        "nets.py": "import torch\nimport layers.conv\nraise SystemExit\n",
        "layers/__init__.py": "",
        "layers/conv.py": "def make():\n    from . import shared\n",
        "layers/shared.py": "from helper import one\n",
        "layers/unused.py": "",
        "helper.py": "one = 1\n",
        "other.py": "",
        "loose/inner.py": "import nothing_that_matters\n",
        "broken.py": "def (\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def names(found, folder) -> set[str]:
    return {str(file.relative_to(folder)) for file in found}


def test_what_a_module_imports_travels_with_it_and_nothing_is_run(folder):
    found = names(own_modules(["nets"], folder), folder)
    assert found == {"nets.py", "layers/__init__.py", "layers/conv.py", "layers/shared.py", "helper.py"}


def test_a_module_within_a_package_takes_the_package_along(folder):
    assert names(own_modules(["layers.conv"], folder), folder) >= {"layers/__init__.py", "layers/conv.py"}


def test_a_package_without_an_init_travels_as_a_whole(folder):
    assert names(own_modules(["loose.inner"], folder), folder) == {"loose/inner.py"}


def test_what_is_installed_does_not_travel(folder):
    assert own_modules(["json", "torch"], folder) == []


@pytest.mark.parametrize(("name", "said"), [("netz", "there is no module 'netz'"), ("broken", "is no Python")])
def test_a_module_that_cannot_be_had_is_named(folder, name, said):
    with pytest.raises(ClusterError, match=said):
        own_modules([name], folder)


def test_too_much_is_refused_with_what_is_largest(tmp_path):
    (tmp_path / "masks.safetensors").write_bytes(b"")
    with (tmp_path / "masks.safetensors").open("ab") as file:
        file.truncate(51 * 2**20)
    with pytest.raises(ClusterError, match=r"masks\.safetensors the most of it, but at most 50 MiB do"):
        stage({"masks.safetensors": tmp_path / "masks.safetensors"}, tmp_path / "job")
    assert not (tmp_path / "job").exists()
