"""The services of searches: safe by default, and the server of the compose file for real."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

import boto3
import mlflow
import psycopg
import pytest
import yaml
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.services.copying import copy_services
from moto.server import ThreadedMotoServer

from ...faults.postgres import PASSWORD, Postgres, free_port, running

#: `${NAME:?what}`, `${NAME:-default}` or `${NAME}` of a compose file.
VARIABLE = re.compile(r"\$\{(\w+)(?:(:[?-])([^}]*))?\}")

#: What an operator fills in.
FILLED = {
    "MLFLOW_DATABASE_PASSWORD": "mlflow-hunter2",
    "STUDIES_PASSWORD": "studies'hunter2",
    "MLFLOW_ADMIN_PASSWORD": "admin-hunter2-hunter2",
    "MLFLOW_SECRET_KEY": "0123456789abcdef",
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
    "FULLSPECTRUM_IMAGE": "image",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A copy of the files of the services."""
    folder = tmp_path_factory.mktemp("services") / "copy"
    copy_services(folder)
    return folder


def test_a_copy_never_takes_the_place_of_a_file(folder):
    (folder / "auth.ini").rename(folder / "kept.ini")
    try:
        with pytest.raises(ClusterError, match=r"compose\.yaml is there already"):
            copy_services(folder)
        assert not (folder / "auth.ini").exists()
    finally:
        (folder / "kept.ini").rename(folder / "auth.ini")


def test_nothing_listens_beyond_this_machine_and_nothing_has_a_default_password(folder):
    text = (folder / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    for service in services.values():
        for port in service.get("ports", ()):
            assert port.startswith("${BIND:-127.0.0.1}:")
    required, named = set(), set()
    for name, sign, _ in VARIABLE.findall(text):
        named.add(name)
        if sign == ":?":
            required.add(name)
    assert named - required == {"BIND", "MLFLOW_HOSTS"}
    example = (folder / "env.example").read_text()
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == required
    assert set(re.findall(r"^# (\w+)=", example, re.MULTILINE)) == named - required
    for service in services.values():
        for name, value in (service.get("environment") or {}).items():
            assert not re.search("PASSWORD|SECRET|KEY", name) or VARIABLE.fullmatch(value), name
    for values in ("mlflow-values.yaml", "postgresql-values.yaml"):
        assert not re.search(r"(?i)(password|secretKey):\s*\S", (folder / values).read_text().replace("#", ""))


@pytest.fixture(scope="module")
def databases(folder):
    """A PostgreSQL server on which the script of the services has made its databases, as its container does."""
    with running() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
        environment = {**os.environ, **FILLED, **of_server(server), "PGPASSWORD": PASSWORD, "PGDATABASE": "postgres"}
        environment["PATH"] = f"{server.programs}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(["bash", folder / "databases.sh"], env=environment, check=True, capture_output=True)
        yield server


def of_server(server: Postgres) -> dict[str, str]:
    """The variables by which clients of PostgreSQL find it."""
    return {"PGHOST": "127.0.0.1", "PGPORT": str(server.port)}


def test_each_user_gets_into_its_own_databases_only(databases):
    def connect(user: str, password: str, database: str) -> None:
        address = {"host": "127.0.0.1", "port": databases.port, "connect_timeout": 5}
        psycopg.connect(user=user, password=password, dbname=database, **address).close()

    connect("searcher", FILLED["STUDIES_PASSWORD"], "studies")
    connect("mlflow", FILLED["MLFLOW_DATABASE_PASSWORD"], "mlflow_auth")
    for user, password, database in (
        ("searcher", FILLED["STUDIES_PASSWORD"], "mlflow"),
        ("mlflow", FILLED["MLFLOW_DATABASE_PASSWORD"], "studies"),
        ("searcher", "wrong", "studies"),
    ):
        with pytest.raises(psycopg.OperationalError, match="permission denied|password authentication failed"):
            connect(user, password, database)


@pytest.mark.timeout(120)
def test_the_server_of_the_compose_file_asks_for_a_password_and_passes_artifacts_on(folder, databases, monkeypatch):
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["mlflow"]
    store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    port = free_port()
    process = None
    try:
        host, store_port = store.get_host_and_port()
        places = {
            "@postgres/": f"@127.0.0.1:{databases.port}/",
            "http://store:7070": f"http://{host}:{store_port}",
            "/etc/mlflow/auth.ini": str(folder / "here.ini"),
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=5000": f"--port={port}",
            ":5000": f":{port}",
            "--workers=2": "--workers=1",
        }

        def here(text: str) -> str:
            text = VARIABLE.sub(lambda found: FILLED.get(found[1], found[3] if found[2] == ":-" else ""), str(text))
            for there, place in places.items():
                text = text.replace(there, place)
            return text

        (folder / "here.ini").write_text(here((folder / "auth.ini").read_text()))
        environment = {name: here(value) for name, value in service["environment"].items()}
        s3 = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        s3.create_bucket(Bucket="mlflow")
        program, *options = (here(word) for word in service["command"])
        assert program == "mlflow"
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *options],
                env={**os.environ, **environment},
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health", process, folder / "log")
        assert "hunter2" not in " ".join(Path(f"/proc/{process.pid}/cmdline").read_text().split("\0"))

        search = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
        assert status(search) == 401
        assert status(search, user=("admin", "wrong")) == 401
        admin = ("admin", FILLED["MLFLOW_ADMIN_PASSWORD"])
        assert status(search, user=admin) == 200
        assert status(search, user=admin, host="elsewhere.example") == 403

        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", admin[0])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", admin[1])
        client = mlflow.MlflowClient(tracking_uri=url)
        run = client.create_run(client.create_experiment("digits"))
        client.log_text(run.info.run_id, "kept", "note.txt")
        # The client has no keys of the store: the server has put it there.
        (held,) = s3.list_objects_v2(Bucket="mlflow")["Contents"]
        assert held["Key"].startswith("artifacts/") and held["Key"].endswith("note.txt")
        assert s3.get_object(Bucket="mlflow", Key=held["Key"])["Body"].read() == b"kept"
    finally:
        if process:
            os.killpg(process.pid, 15)
            process.wait(30)
        store.stop()


def status(url: str, user: tuple[str, str] | None = None, host: str | None = None) -> int:
    """The status with which a server answers."""
    headers = {"Authorization": f"Basic {b64encode(':'.join(user).encode()).decode()}"} if user else {}
    headers |= {"Host": host} if host else {}
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    """Waits until a server answers."""
    for _ in range(400):
        assert process.poll() is None, log.read_text()
        try:
            if status(url) == 200:
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(log.read_text())
