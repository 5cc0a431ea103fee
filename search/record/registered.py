"""Masked networks in MLflow's model registry, and how MLflow loads them: no code of a module is ever pickled."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...models.errors import InputError
from ...models.masks import MaskSet, apply
from ...models.networks import build
from ...models.task import Task
from ...models.weights import load_state, save_state
from ..files import write_json
from ..names import Artifact
from .exported import Exported

if TYPE_CHECKING:
    import numpy as np
    from mlflow import MlflowClient


def register(client: "MlflowClient", exported: Exported, name: str, scratch: Path) -> str:
    """Register the masked network under `name`; return the number of the new version.

    The model is an artifact of the mask's run: the state dict and the mask as safetensors, the network by its name, a
    signature and an input example. Raises InputError where weights or what the network is built of are missing.
    """
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature

    run, folder = exported.files.run, scratch / "data"
    if run is None:
        raise InputError(f"{exported.files.label} has no run in MLflow yet, to which a model could belong")
    if exported.state is None:
        raise InputError("a model is registered with its weights; leave --weights none out")
    folder.mkdir()
    exported.masks.save(folder / Artifact.MASK)
    save_state(folder / Artifact.WEIGHTS, exported.state)
    write_json(folder / Artifact.NETWORK, _described(exported.masks))
    model = _Predictor(folder)
    channels, size = model.task.channels, model.task.size
    example = torch.zeros(1, channels, size, size).numpy()
    mlflow.pyfunc.save_model(
        str(scratch / Artifact.MODEL),
        loader_module=__name__,
        data_path=str(folder),
        signature=infer_signature(example, model.predict(example)),
        input_example=example,
        pip_requirements=["fullspectrum", "torch"],
        metadata={"study": exported.files.study, "trial": str(exported.files.label)},
    )
    # A folder of its own for each: versions of one run must not share their files.
    place = f"{Artifact.MODEL}/{name}-{exported.choice.mask}-{exported.choice.weights}"
    client.log_artifacts(run, str(scratch / Artifact.MODEL), place)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run).info.artifact_uri}/{place}"
    return str(client.create_model_version(name, source, run).version)


def _described(masks: MaskSet) -> dict[str, object]:
    """Return what builds the network of the masks. Raises InputError where they do not say it."""
    try:
        channels, size, _ = json.loads(masks.metadata["input"])
        classes, seed = int(masks.metadata["classes"]), masks.metadata["init_seed"]
        return {"model": masks.metadata["model"], "channels": channels, "size": size, "classes": classes, "seed": seed}
    except (KeyError, ValueError, TypeError):
        raise InputError("the mask does not say what network it is for, so that no model can be registered") from None


class _Predictor:
    """The masked network behind `predict`: images in, logits out."""

    def __init__(self, folder: Path) -> None:
        made = json.loads((folder / Artifact.NETWORK).read_text())
        self.task = Task(made["channels"], made["size"], made["classes"])
        self.network: nn.Module = build(made["model"], self.task, int(made["seed"]))
        self.network.load_state_dict(load_state(folder / Artifact.WEIGHTS))
        apply(self.network, MaskSet.load(folder / Artifact.MASK)).eval()

    @torch.no_grad()
    def predict(self, images: "np.ndarray", params: dict[str, Any] | None = None) -> "np.ndarray":
        """Return the logits, float32 (N, classes), of normalised images, float32 (N, channels, size, size)."""
        logits: np.ndarray = self.network(torch.as_tensor(images)).numpy()
        return logits


def _load_pyfunc(path: str) -> _Predictor:
    """Return the model of a folder, for MLflow."""
    return _Predictor(Path(path))
