"""`python -m exportsite.stack.pins`: digests behind the versions of images, or no change."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FILES = ("docker-compose.yml", "Dockerfile")
IMAGE = re.compile(r"^(\s*image: |FROM )([\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?", re.MULTILINE)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
SECONDS = 60


class Unresolved(Exception):
    """The registry did not say."""


def pinned(text: str) -> str:
    """The text with the digest of each image that has a version. Raises ``Unresolved``."""
    return IMAGE.sub(lambda found: f"{found[1]}{found[2]}@{resolve(found[2])}", text)


def resolve(image: str) -> str:
    """Its digest, of all platforms, from the registry. Raises ``Unresolved``."""
    ask = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{.Manifest.Digest}}"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unresolved(f"{image}: {error}") from error
    digest = done.stdout.strip()
    if done.returncode or not DIGEST.fullmatch(digest):
        raise Unresolved(f"{image}: {done.stderr.strip() or digest or 'no answer'}")
    return digest


def pin(folder: Path) -> None:
    """All files or none. Raises ``Unresolved``."""
    texts = {folder / name: pinned((folder / name).read_text()) for name in FILES}
    for path, text in texts.items():
        path.write_text(text)


if __name__ == "__main__":
    try:
        pin(PROJECT)
    except Unresolved as error:
        sys.exit(f"Nothing is changed. {error}")
