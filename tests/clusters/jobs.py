"""A job to render."""

from pathlib import Path

from fullspectrum.clusters.job import Job


def a_job(folder: Path | None = None) -> Job:
    """A search of a study file that needs a module of the user's, in `folder`, which is made."""
    if folder:
        (folder / "mine").mkdir(parents=True)
        (folder / "study.toml").write_text('model = "mine.net:net"\n')
        (folder / "mine" / "net.py").write_text("import torch\n")
    command = ["fullspectrum", "search", "study.toml", "--home", "/mnt/shared", "--resume", "--set", "seed=1 # it's"]
    return Job("digits-0123abcd", command, folder=folder, environment={"MINE": "a b"})
