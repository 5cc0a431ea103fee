"""`fullspectrum clusters fetch` from an object store: what the store has comes home without the head."""

import pytest
from fullspectrum.search.cli import main
from fullspectrum.search.config.studyfile import load_study
from fullspectrum.search.remote.objectstore import ObjectStore

from ...faults import s3

pytestmark = pytest.mark.timeout(120)


def test_a_study_comes_home_from_the_store_when_its_head_is_gone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text('model = "digits_cnn"\ndata = "digits"\nsparsity = 0.9\n')
    (tmp_path / "token").write_text("right")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "mask").write_bytes(b"mask")
    study = load_study("study.toml").id
    with s3.serving() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "lab.toml").write_text(
            f'kind = "static"\nname = "lab"\nstorage = "{server.uri}/searches"\n'
            f'[hosts]\naddress = "http://127.0.0.1:9"\n[auth]\ntoken_file = "{tmp_path}/token"\n'
        )
        store = ObjectStore(f"{server.uri}/searches")
        store.put(tmp_path / "mask", f"{study}/trials/00000/mask.safetensors")
        store.put(tmp_path / "mask", f"{study}/checkpoints/trial-1/1.checkpoint")
        assert main(["clusters", "fetch", "lab.toml", "study.toml", "-o", "home"]) == 0
        assert "not from the head: no Ray head answers" in capsys.readouterr().err
        # Its settings, which the study file has, are not in the store.
        assert main(["clusters", "fetch", "lab.toml", study, "-o", "home"]) == 2
    home = tmp_path / "home" / study
    found = {str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()}
    assert found == {"trials/00000/mask.safetensors", "study.json"}
