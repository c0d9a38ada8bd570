"""A gateway of Ceph with a monitor and a store in memory, as Debian's packages have them, in a folder of its own.

The programs are looked for in ``PATH`` (packages radosgw, ceph-mon, ceph-osd, ceph-common); unpacked ones need
``LD_LIBRARY_PATH`` and ``PYTHONPATH`` besides.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3

from exports_app.pipeline.sinks.s3 import client_config
from exportsite.stack.ports import HOST, claim_ports

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool")
KEY, SECRET = "ceph-key", "ceph-secret"
PATIENCE = 60.0
SETTINGS = """\
[global]
fsid = {fsid}
mon host = v1:{host}:{mon}
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
plugin dir = {libraries}/ceph
erasure code dir = {libraries}/ceph/erasure-code
osd class dir = {libraries}/rados-classes
run dir = {folder}
admin socket =
log file = {folder}/$name.log
pid file = {folder}/$name.pid
ms bind msgr2 = false
public addr = {host}
[mon]
mon data = {folder}/mon
mon cluster log file = {folder}/cluster.log
mon initial members = a
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd class update on start = false
osd crush update on start = false
[client.rgw]
rgw frontends = beast endpoint={host}:{rgw}
rgw data = {folder}/rgw
"""


def missing() -> list[str]:
    """Programs that are not there."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextlib.contextmanager
def started(folder: Path, bucket: str) -> Iterator[str]:
    """The gateway's address; the bucket is there."""
    ports = claim_ports(None)
    mon, rgw, *_ = sorted(ports.numbers.values())
    programs = Path(str(shutil.which("radosgw"))).resolve().parent
    fsid, values = str(uuid.uuid4()), {"folder": folder, "host": HOST, "mon": mon, "rgw": rgw}
    libraries = programs.parent / "lib/x86_64-linux-gnu"
    (folder / "ceph.conf").write_text(SETTINGS.format(fsid=fsid, libraries=libraries, **values))
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        _run(folder, "monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"v1:{HOST}:{mon}", "monmap")
        _run(folder, "ceph-mon", "-i", "a", "--mkfs", "--monmap", "monmap")
        processes.append(_begin(folder, "ceph-mon", "-f", "-i", "a"))
        own = str(uuid.uuid4())
        _run(folder, "ceph", "osd", "new", own)
        _run(folder, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", own)
        _run(folder, "ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=localhost")
        processes.append(_begin(folder, "ceph-osd", "-f", "-i", "0"))
        words = ["--uid=exports", "--display-name=exports", f"--access-key={KEY}", f"--secret-key={SECRET}"]
        _run(folder, "radosgw-admin", "user", "create", *words)
        processes.append(_begin(folder, "radosgw", "-f", "-n", "client.rgw"))
        address = f"http://{HOST}:{rgw}"
        _await(address)
        client = boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=client_config(),
        )
        client.create_bucket(Bucket=bucket)
        client.close()
        yield address
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        for claim in ports._claims:
            claim.close()


def _words(folder: Path, program: str, *words: str) -> list[str]:
    return [program, *([] if program == "monmaptool" else ["-c", str(folder / "ceph.conf")]), *words]


def _run(folder: Path, program: str, *words: str) -> None:
    done = subprocess.run(
        _words(folder, program, *words), cwd=folder, capture_output=True, text=True, timeout=PATIENCE, env=os.environ
    )
    assert done.returncode == 0, f"{program} {' '.join(words)}: {done.stdout[-500:]}{done.stderr[-1000:]}"


def _begin(folder: Path, program: str, *words: str) -> subprocess.Popen[bytes]:
    with (folder / f"{program}.out").open("wb") as said:
        return subprocess.Popen(_words(folder, program, *words), cwd=folder, stdout=said, stderr=said)


def _await(address: str) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(address, timeout=2).close()
            return
        assert time.monotonic() < give_up_at, "the gateway did not answer"
        time.sleep(0.1)
