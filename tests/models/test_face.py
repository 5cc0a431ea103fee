"""What is imported when: names and settings are checked without torch, masks need torch alone."""

import subprocess
import sys

import fullspectrum.models
import pytest
from fullspectrum.models.architectures.registry import NETWORKS
from fullspectrum.models.datasets.registry import DATASETS
from fullspectrum.models.formats.registry import FORMATS
from fullspectrum.models.maskrules.registry import RULES

REGISTRIES = [NETWORKS, DATASETS, FORMATS, RULES]

CHECK = """
import sys
from fullspectrum.models.architectures.registry import NETWORKS
from fullspectrum.models.datasets.registry import DATASETS
from fullspectrum.models.errors import InputError
from fullspectrum.models.formats.registry import FORMATS
from fullspectrum.models.recipe import Recipe
from fullspectrum.models.maskrules.registry import RULES

Recipe(mask="rigl", schedule="one-cycle")
for registry, name in ((NETWORKS, "resnet50"), (DATASETS, "digit"), (FORMATS, "torch"), (RULES, "rigel")):
    try:
        registry.check(name)
    except InputError:
        continue
    raise SystemExit(name)
print(*sorted({"torch", "torchvision", "numpy", "safetensors", "sklearn", "PIL"} & set(sys.modules)))
"""

MASKS = """
import sys
import fullspectrum.models
assert "torch" not in sys.modules
from fullspectrum.models import MaskSet, apply
print(*sorted({"torchvision", "sklearn", "PIL", "scipy", "pydantic", "ray", "optuna", "mlflow"} & set(sys.modules)))
"""

#: Without what a search needs, as other people's trainers import it; prints the packages that come beside torch.
ALONE = """
import sys
for name in ("ray", "optuna", "mlflow", "scipy", "pydantic", "lightning", "transformers"):
    sys.modules[name] = None
import torch, numpy
before = {name.partition(".")[0] for name in sys.modules}
import fullspectrum.models.masks
import fullspectrum.models.trainers
import fullspectrum.models.trainers.held
new = {name.partition(".")[0] for name in sys.modules} - before
print(*sorted(new - {"fullspectrum", "safetensors", *sys.stdlib_module_names}))
"""

BUILD = """
import sys
from fullspectrum.models.data import load
from fullspectrum.models.networks import Task, build
from fullspectrum.models.training import MaskedTraining, Recipe
build("digits_cnn", Task(1, 8, 10), 0)
print(*sorted({"torchvision", "sklearn", "scipy", "pydantic", "ray", "optuna", "mlflow"} & set(sys.modules)))
"""


@pytest.mark.parametrize("program", [CHECK, MASKS, ALONE, BUILD])
def test_what_need_not_be_imported_is_not(program):
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_the_public_names_are_those_of_their_modules():
    from fullspectrum.models import MaskSet, apply, masks

    assert MaskSet is masks.MaskSet and apply is masks.apply
    with pytest.raises(AttributeError, match="has no attribute 'Mask'"):
        fullspectrum.models.Mask  # noqa: B018


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_entry_of_a_registry_is_where_the_registry_says(registry):
    assert all(callable(registry.find(name)) for name in registry)
