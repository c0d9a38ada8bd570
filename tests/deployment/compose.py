"""docker-compose.yml as Compose would read it, with nothing set but what a test says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "docker-compose.yml"
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z0-9_]+)(?:(:?[-?])([^${}]*))?\}")
SECRETS = {
    "SECRET_KEY": "secret-key",
    "POSTGRES_PASSWORD": "superuser-password",
    "DATABASE_PASSWORD": "database-password",
    "SOURCE_PASSWORD": "source-password",
    "REDIS_PASSWORD": "redis-password",
    "AWS_ACCESS_KEY_ID": "access-key",
    "AWS_SECRET_ACCESS_KEY": "store-password",
}
"""As .env holds them at least."""


class Missing(Exception):
    """Compose would refuse to begin."""


@cache
def text() -> str:
    return FILE.read_text()


def variables() -> set[str]:
    """Every variable that the file takes from .env."""
    return set(re.findall(r"(?<!\$)\$\{([A-Z0-9_]+)", text()))


def services(given: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """The services, interpolated."""
    found: dict[str, Any] = _filled(yaml.safe_load(text()), given)["services"]
    return found


def environment(service: str, given: Mapping[str, str] = SECRETS) -> dict[str, str]:
    return {name: str(value) for name, value in services(given)[service].get("environment", {}).items()}


def megabytes(value: str) -> int:
    """Of ``2g`` or ``3900m``."""
    number, unit = int(value[:-1]), value[-1]
    return number * {"m": 1, "g": 1024}[unit]


def interpolate(value: str, given: Mapping[str, str]) -> str:
    """``${A}``, ``${A:-default}``, ``${A-default}`` and ``${A:?}``, from the innermost out."""
    while (found := VARIABLE.search(value)) is not None:
        value = value[: found.start()] + _value(found, given) + value[found.end() :]
    return value.replace("$$", "$")


def _value(found: re.Match[str], given: Mapping[str, str]) -> str:
    name, operator, rest = found[1], found[2] or "", found[3] or ""
    value = given.get(name)
    if value or (value is not None and operator == "-"):
        return value
    if operator == ":?":
        raise Missing(name)
    return rest if operator in (":-", "-") else ""


def _filled(node: Any, given: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, given) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(each, given) for each in node]
    return interpolate(node, given) if isinstance(node, str) else node
