"""A real S3 server for tests, in a process of its own on the loopback interface: it can go away and come back."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import boto3

BUCKET = "bucket"

#: A server that keeps everything in its memory.
_SERVER = """
import signal
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
signal.pause()
"""


class S3:
    """A server with one bucket, and the environment by which it is reached."""

    def __init__(self, process: subprocess.Popen):
        self._process = process
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{process.stdout.readline().strip()}",
            "AWS_ACCESS_KEY_ID": "ada",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self._client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="ada",
            aws_secret_access_key="hunter2",
            region_name="us-east-1",
        )
        self._client.create_bucket(Bucket=BUCKET)

    @property
    def uri(self) -> str:
        """The URI of the bucket."""
        return f"s3://{BUCKET}"

    def names(self, prefix: str = "") -> list[str]:
        """The names of all objects below a prefix, from there on."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        found = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return sorted(name.removeprefix(prefix) for name in found if not name.endswith("/"))

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Answers nobody, as behind a cut link."""
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)


@contextlib.contextmanager
def serving() -> Iterator[S3]:
    """A server with an empty bucket."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield S3(process)
        finally:
            process.kill()
