"""`python -m exportsite.stack.image`: the Dockerfile's own steps in a clean Debian, and the site started from it.

For machines without a container runtime; as root, with debootstrap. What stands in for the base image is Debian of the
same name with its Python. The services are those of the environment (`make image-check` brings them).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from exportsite.stack import dockerfile
from exportsite.stack.ports import HOST

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = "python3,python3-venv,ca-certificates"
HEALTHY_SECONDS = 90.0
PAUSE_SECONDS = 1.0
GRACE_SECONDS = 20.0
PASSED_ON = ("PIP_", "SSL_", "REQUESTS_CA_BUNDLE")
SERVICES = ("DATABASE_URL", "REDIS_URL", "AWS_", "EXPORTS_S3_BUCKET")
LIVE = ("/dev", "/proc")
COMPOSE_STARTS = ("worker", "maintenance", "beat")


@dataclass(slots=True)
class Image:
    """What the steps have made so far."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"})
    folder: str = "/"
    user: str = "root"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def execute(self, step: dockerfile.Instruction) -> None:
        match step.keyword:
            case "FROM":
                _debian(self.root, step.rest.partition("@")[0].rpartition("-")[2])
            case "ENV":
                self.env |= dict(each.split("=", 1) for each in shlex.split(step.rest))
            case "WORKDIR":
                self.folder = step.rest
                self._path(step.rest).mkdir(parents=True)
            case "COPY":
                self._copy(step.rest.split())
            case "RUN":
                self.run(["sh", "-c", step.rest], env=_environment(PASSED_ON))
            case "USER":
                self.user = step.rest
            case "CMD":
                self.command = json.loads(step.rest)
            case "HEALTHCHECK":
                self.health = json.loads(step.rest.partition(" CMD ")[2])

    def run(self, argv: Sequence[str], *, env: Mapping[str, str]) -> None:
        """To its end. Raises ``CalledProcessError``."""
        subprocess.run(self._inside(argv), env={**self.env, **env}, check=True)

    def start(self, argv: Sequence[str], *, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._inside(argv), env={**self.env, **env})

    def is_well(self, argv: Sequence[str], *, env: Mapping[str, str]) -> bool:
        done = subprocess.run(self._inside(argv), env={**self.env, **env}, capture_output=True, check=False)
        return done.returncode == 0

    def _inside(self, argv: Sequence[str]) -> list[str]:
        change = ["chroot", f"--userspec={self.user}", str(self.root)]
        return [*change, "sh", "-c", 'cd "$0" && exec "$@"', self.folder, *argv]

    def _copy(self, words: list[str]) -> None:
        *sources, target = words
        files = list(dockerfile.context(PROJECT))
        for file in files if sources == ["."] else [each for each in files if str(each) in sources]:
            place = self._path(os.path.normpath(f"{self.folder}/{target}")) / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / file, place)

    def _path(self, path: str) -> Path:
        return self.root / path.lstrip("/")


def check(root: Path) -> None:
    """Build, then start what Compose starts, each with the command and the health check it has there."""
    image = Image(root)
    for step in dockerfile.read((PROJECT / "Dockerfile").read_text()):
        _say(f"{step.keyword} {step.rest[:80]}")
        image.execute(step)
    _make_read_only(root)
    _use(image)


def _use(image: Image) -> None:
    env = _production()
    image.run(["python", "manage.py", "check", "--deploy", "--fail-level", "WARNING"], env=env | {"HTTPS": "1"})
    image.run(["python", "manage.py", "migrate", "--noinput", "--verbosity", "0"], env=env)
    image.run(["python", "manage.py", "create_export_bucket"], env=env)
    port = str(_free_port())  # another than the image's, which may be taken on a machine that is no container
    starts = {"web": (image.command, image.health, {"DATABASE_POOL": "10"})}
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
    for name in COMPOSE_STARTS:
        texts = compose[name]["command"], compose[name]["healthcheck"]["test"][1]
        command, health = (["sh", "-c", _with_defaults(text)] for text in texts)
        starts[name] = (command, health, {"WORKER": name})
    for name, (command, health, more) in starts.items():
        command, health = ([part.replace("8000", port) for part in each] for each in (command, health))
        _start(image, name, command, health, env | more)


def _start(image: Image, name: str, command: list[str], health: list[str], env: Mapping[str, str]) -> None:
    """Start it, wait until its health check passes, end it. Raises ``SystemExit`` where it does not."""
    began = time.monotonic()
    process = image.start(command, env=env)
    try:
        while not image.is_well(health, env=env):
            if process.poll() is not None:
                sys.exit(f"{name} ended with {process.returncode}")
            if time.monotonic() - began > HEALTHY_SECONDS:
                sys.exit(f"{name} is not well after {HEALTHY_SECONDS:.0f} seconds")
            time.sleep(PAUSE_SECONDS)
        _say(f"{name} is well after {time.monotonic() - began:.0f} seconds")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _production() -> dict[str, str]:
    """Production's settings with the services of this environment."""
    return {
        **_environment(SERVICES),
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "localhost",
        "EXPORTS_SITE_URL": "https://localhost",
        "HTTPS": "0",
        "EMAIL_URL": "console:",
        "HOSTNAME": socket.gethostname(),
        "NO_PROXY": f"{HOST},localhost",
    }


def _environment(beginnings: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(beginnings)}


def _with_defaults(command: str) -> str:
    """A command of the compose file with none of its variables set."""
    return re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", command).replace("$$", "$")


def _debian(root: Path, suite: str) -> None:
    """A clean Debian whose Python answers to the names that the base image's has."""
    make = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root)]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    _mount_machine(root)
    _run("chroot", root, "python3", "-m", "venv", "/usr/local")


def _mount_machine(root: Path) -> None:
    """Devices, processes, and how packages are reached from this machine."""
    for place in (*LIVE, "/etc/resolv.conf", "/etc/ssl/certs", *_pip_places()):
        target = root / place.lstrip("/")
        if Path(place).is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif not target.exists():  # else it came with its folder
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        _run("mount", "--rbind", place, target)
        if place not in LIVE:
            _run("mount", "-o", "remount,bind,ro", target)


def _pip_places() -> list[str]:
    """Files of pip's configuration, and folders of packages that they name."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "debug"], capture_output=True, text=True, check=True)
    files = [line.split(", exists: ")[0].strip() for line in told.stdout.splitlines() if line.endswith("exists: True")]
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    words = listed.stdout.replace("'", " ").replace("\\n", " ").replace("file://", "").split()
    named = [Path(word) for word in words if word.startswith("/") and Path(word).exists()]
    # Pages of an index in a folder lead to files beside it.
    return sorted({*files, *(str(each.parent if each.name == "simple" else each) for each in named)})


def _make_read_only(root: Path) -> None:
    """As Compose has it: nothing to write but /tmp."""
    _run("mount", "--rbind", root, root)
    _run("mount", "-o", "remount,bind,ro", root)
    _run("mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", root / "tmp")


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def _check_apart() -> int:
    """The check among mounts and processes of its own, which end with it; its exit status.

    The folder is removed out here, where none of the mounts was ever seen: in there it holds parts of this machine.
    """
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.exit("This needs root and debootstrap (Debian: debootstrap).")
    own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # else the folder would stay
    with tempfile.TemporaryDirectory(prefix="exportsite-image-") as folder:
        Path(folder).chmod(0o755)  # the image's user goes through it
        return subprocess.run([*own, sys.executable, "-m", "exportsite.stack.image", folder], check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(Path(sys.argv[1]))
    else:
        sys.exit(_check_apart())
