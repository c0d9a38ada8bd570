"""The data folder: everything that a stack writes, used by one stack at a time."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from exportsite.stack.errors import StackError

SECRET_BYTES = 24
PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600


def scratch_place() -> Path:
    """Where a scratch folder may be made."""
    return Path(tempfile.gettempdir()) / f"exportsite-{secrets.token_hex(6)}"


class Folder:
    """A locked data folder; a scratch one disappears with its stack."""

    def __init__(self, root: Path, *, is_scratch: bool = False) -> None:
        self.root, self.is_scratch = root.resolve(), is_scratch
        self._lock = self._take()
        shutil.rmtree(self.root / "logs", ignore_errors=True)  # each stack starts with empty ones
        self.logs = self.folder("logs")
        self.mail = self.folder("mail")

    def folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        return path

    def secret(self, name: str) -> str:
        """A random word of this folder, the same at every start."""
        path = self.root / "secrets.json"
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if name not in known:
            known[name] = secrets.token_hex(SECRET_BYTES)
            self.write(path.name, json.dumps(known, indent=1))
        return known[name]

    def read(self, name: str) -> Any:
        """The JSON that was written here, or None."""
        try:
            return json.loads((self.root / name).read_text())
        except (OSError, ValueError):
            return None

    def write(self, name: str, text: str) -> Path:
        """Replace a private file as a whole: readers see the old text or the new one."""
        path, fresh = self.root / name, self.root / f".{name}.new"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "w") as file:
            file.write(text)
        fresh.replace(path)
        return path

    def remove_if_scratch(self) -> None:
        if self.is_scratch:
            shutil.rmtree(self.root, ignore_errors=True)

    def _take(self) -> int:
        """Lock the folder; the lock goes with the last process that holds the descriptor."""
        try:
            self.root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        except OSError as error:
            raise StackError(f"cannot use the data folder {self.root}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock, 20).decode() or "unknown"
            raise StackError(
                f"{self.root} is in use by another stack (process {holder}): stop that one first, "
                "or choose another folder with --data"
            ) from error
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return lock
