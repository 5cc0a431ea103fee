"""Cluster files: what is read, and what is refused in one line."""

import json
import re

import pytest
from fullspectrum.clusters.errors import ClusterError
from fullspectrum.clusters.spec.help import describe_settings
from fullspectrum.clusters.spec.reading import bundled, example, load_cluster


def mistake(name: str, *overrides: str) -> str:
    """What is said of a cluster that is refused, in one line."""
    with pytest.raises(ClusterError) as caught:
        load_cluster(name, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_each_kind_has_an_example_of_its_own():
    assert bundled() == ["aws", "gcp", "kuberay", "local", "slurm", "static"]
    for name in bundled():
        assert load_cluster(name).kind == name
        assert example(name).startswith("# ")


#: A comment that is a setting, or the heading of a table.
SETTING = re.compile(r"# (?=\[|[A-Za-z_]+ = )")


@pytest.mark.parametrize("name", ["aws", "gcp", "kuberay", "local", "slurm", "static"])
def test_what_an_example_has_commented_out_is_right_too(tmp_path, name):
    lines = [SETTING.sub("", line, count=1) if SETTING.match(line) else line for line in example(name).splitlines()]
    # The only comment that is another way to say the same.
    text = "\n".join(line for line in lines if not line.startswith("address = "))
    (tmp_path / f"{name}.toml").write_text(text)
    assert load_cluster(str(tmp_path / f"{name}.toml")) != load_cluster(name)


def test_a_file_is_read_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(example("local"), encoding="utf-8-sig")
    assert load_cluster("my.toml", ["head.cpus=2"]).head.cpus == 2
    assert "clusters new KIND > none.toml" in mistake("none.toml")
    (tmp_path / "bad.toml").write_text("kind = ")
    assert mistake("bad.toml").startswith("bad.toml is not valid TOML")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert "save it as UTF-8" in mistake("bytes.toml")


def test_overrides_reach_into_tables_and_lists():
    cluster = load_cluster("aws", ["workers.0.most=3", "cloud.region=eu-west-1", "environment.A=b c", "name=mine"])
    assert (cluster.workers[0].most, cluster.cloud.region, cluster.name) == (3, "eu-west-1", "mine")
    assert cluster.environment["A"] == "b c"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("workers.1.most=3", "expected a number below 1"),
        ("workers.x.most=3", "expected a number below 1"),
        ("name.x=3", "'x' is a value, not a table"),
        ("most", "expected KEY=VALUE"),
    ],
)
def test_an_override_that_leads_nowhere_is_refused(override, said):
    assert said in mistake("aws", override)


@pytest.mark.parametrize(
    ("name", "override", "said"),
    [
        ("awss", "", "unknown cluster 'awss', did you mean \"aws\"?"),
        ("aws", "nam=x", "unknown setting 'nam', did you mean \"name\"?"),
        ("aws", "workers.0.leest=1", "unknown setting 'workers.0.leest', did you mean \"least\"?"),
        ("aws", "kind=asw", 'did you mean "aws"?'),
        ("aws", "head.cpus=many", "head.cpus = 'many': input should be a valid integer (CPU cores of one node)"),
        ("kuberay", "name=My_Cluster", "name = 'My_Cluster': expected its name: small letters, digits and hyphens"),
        ("kuberay", "name=" + "a" * 36, "at most 35"),
        ("kuberay", "workers.0.name=GPU_1", "expected name of the group: small letters, digits and hyphens"),
        ("aws", "workers.0.least=9", "workers.0: most = 8 is less than least = 9; set most to 9 or more"),
        ("aws", "workers.0.machine=m7i.xlarge", 'gpus = 1, but machine = "m7i.xlarge" has none'),
        ("aws", "head.gpus=1", 'head: gpus = 1, but machine = "m7i.xlarge" has none'),
        ("aws", "workers.0.gpus=4", 'machine = "g5.4xlarge" has 1 A10G; set gpus = 1'),
        ("aws", "workers.0.accelerator=A100", 'the GPUs of machine = "g5.4xlarge" are A10G'),
        ("gcp", "workers.0.machine=n2-standard-8", 'machine = "n2-standard-8" has none'),
        ("gcp", "workers.0.machine=n1-standard-8", "takes one of T4, V100, P100, P4"),
        ("gcp", "cloud.zone=3", "cloud.zone = 3"),
        ("local", "cloud.region=x", '[cloud] is for kind aws and gcp, but kind = "local"'),
        ("local", "overrides.a=1", 'overrides is not for kind = "local"'),
        ("aws", "storage=searches", "storage = 'searches': expected where all nodes keep"),
        ("kuberay", "storage=s3://bucket/x", "must be a folder"),
        ("kuberay", "image=", "image"),
        ("static", "hosts.address=http://a:8265", "both are given"),
        ("static", "workers.0.most=5", "hosts names 2"),
        ("slurm", "workers.0.spot=true", "spot = true is for kind aws and gcp"),
        ("aws", "head.accelerator=T4", "needs GPUs, but gpus = 0"),
        ("aws", "workers.0.name=head", 'the name "head" is taken'),
        ("aws", "environment.RAY_AUTH_MODE=x", "RAY_AUTH_MODE is set by the cluster itself"),
        ("aws", "idle_minutes=0", "idle_minutes = 0: input should be greater than 0"),
        ("aws", "deadline_hours=nan", "deadline_hours = nan"),
    ],
)
def test_a_mistake_is_one_line_with_the_way_out(name, override, said):
    assert said in mistake(name, *([override] if override else []))


@pytest.mark.parametrize(
    ("override", "way_out"),
    [
        ("environment.DB_PASSWORD=hunter2", 'DB_PASSWORD = "env:DB_PASSWORD"'),
        ("environment.HF_TOKEN=hunter2", 'HF_TOKEN = "env:HF_TOKEN"'),
        ("environment.AWS_SECRET_ACCESS_KEY=hunter2", "AWS_SECRET_ACCESS_KEY"),
        ("environment.X=AKIAABCDEFGHIJKLMNOP", "environment.X holds a secret"),
        ("study=postgresql://me:hunter2@db/studies", 'PGPASSWORD = "env:PGPASSWORD"'),
        ("study=postgresql://me@db/studies?password=hunter2", 'PGPASSWORD = "env:PGPASSWORD"'),
        ("tracking=http://me:hunter2@mlflow:5000", "tracking holds a secret"),
        ('cloud.setup=["curl https://me:hunter2@host/x"]', "cloud.setup.0 holds a secret"),
        ('overrides.x=[{name="DB_TOKEN",value="hunter2"}]', "overrides.x.0.value holds a secret"),
        ("secrets.PGPASSWORD=hunter2", "secrets.PGPASSWORD: expected env:NAME or file:PATH"),
    ],
)
def test_a_secret_is_refused_and_not_repeated(override, way_out):
    message = mistake("aws", override)
    assert way_out in message
    assert "hunter2" not in message and "AKIA" not in message


def test_what_only_sounds_like_a_secret_is_taken():
    cluster = load_cluster(
        "aws",
        [
            'environment.TOKENIZERS_PARALLELISM="false"',
            "environment.PGPASSFILE=/mnt/shared/pgpass",
            "environment.MONKEY=x",
            "overrides.available_node_types.gpu.node_config.KeyName=mine",
            "study=postgresql+psycopg://me@db:5432/studies?sslmode=require",
            "secrets.DB_PASSWORD=file:~/x",
        ],
    )
    assert cluster.environment["MONKEY"] == "x"


def test_a_cluster_that_needs_a_table_says_so(tmp_path):
    for kind, table in (("aws", "cloud"), ("gcp", "cloud"), ("static", "hosts")):
        path = tmp_path / f"{kind}.toml"
        path.write_text(f'kind = "{kind}"\nname = "x"\n')
        assert f'[{table}] is missing, which kind = "{kind}" needs' in mistake(str(path))


@pytest.mark.parametrize(
    ("kind", "machine", "gpus", "accelerator"),
    [
        ("aws", "p5.48xlarge", 8, "H100"),
        ("aws", "g4dn.12xlarge", 4, "T4"),
        ("aws", "p4de.24xlarge", 8, "A100-80G"),
        # One that came out later is taken as it is.
        ("aws", "g9.xlarge", 1, "X1"),
        ("gcp", "a2-highgpu-4g", 4, "A100"),
        ("gcp", "g2-standard-48", 4, "L4"),
        ("gcp", "n1-standard-8", 2, "T4"),
    ],
)
def test_a_machine_with_gpus_is_taken_with_their_number(kind, machine, gpus, accelerator):
    given = {"machine": machine, "gpus": gpus, "accelerator": accelerator}
    cluster = load_cluster(kind, [f"workers.0.{key}={json.dumps(value)}" for key, value in given.items()])
    assert cluster.workers[0].gpus == gpus


def test_every_setting_has_a_line():
    lines = list(describe_settings())
    for line in lines:
        assert line.startswith(("\n[", "  ")) and "None" not in line
    assert any(line.startswith("  workers.least: nodes that are always there (default 0)") for line in lines)
