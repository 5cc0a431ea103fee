"""Options that several commands share; each help text stands here once."""

from pathlib import Path
from typing import Annotated

import typer

HomeFolder = Annotated[
    Path, typer.Option("--home", envvar="FULLSPECTRUM_HOME", help="Folder that holds everything a search writes.")
]
Model = Annotated[str, typer.Option("--model", help="Network: a name, torchvision:NAME or module:function.")]
DataSet = Annotated[str, typer.Option("--data", help="Data set: a name, imagefolder:PATH[@SIZE] or module:function.")]
Weights = Annotated[Path | None, typer.Option("--weights", help="Initial weights (safetensors or torch.save).")]
Pretraining = Annotated[
    int | None,
    typer.Option("--pretraining", metavar="K", help="Dense iterations before the mask, by the same recipe.", min=0),
]
Masks = Annotated[Path, typer.Argument(metavar="MASKS", help="Mask file: ours, or one of another trainer.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be given again.")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="RAY_ADDRESS",
        help="Ray cluster: HOST:PORT, ray://HOST:PORT or auto; without, and with local: this machine.",
    ),
]
ClusterName = Annotated[
    str, typer.Argument(metavar="CLUSTER", help="A .toml file, or a bundled cluster by name.", show_default=False)
]
ClusterSettings = Annotated[
    list[str],
    typer.Option("--cluster-set", metavar="KEY=VALUE", help="Override a setting of the cluster; may be given again."),
]
JobStudy = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study: its name or .toml with the --set of its launch, or its id.")
]
RUNS = Path("runs")
#: Environment variable that names the command by which a user goes on with a search, where it is not `search` itself.
AGAIN = "FULLSPECTRUM_AGAIN"
