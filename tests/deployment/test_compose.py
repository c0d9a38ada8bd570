"""docker-compose.yml: what each service may use, how much, and what it is told."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.compose import (
    FILE,
    PROJECT,
    SECRETS,
    Missing,
    environment,
    megabytes,
    services,
    text,
)
from workers import concurrency

SERVERS = {"postgres", "redis", "s3"}
ONCE = {"migrate", "bucket"}
ALL = sorted(services())

# Megabytes, as measured: a child that waits has 120, its parent 141, as has the command that asks for its health.
IDLE, PARENT, PROBE, TMP = 160, 200, 150, 64

KNOWN = {
    "postgres": {"superuser-password", "database-password", "source-password"},
    "redis": {"redis-password"},
    "s3": {"access-key", "store-password"},
    "migrate": {"secret-key", "database-password"},
    "bucket": {"access-key", "store-password"},
    "web": {
        *("secret-key", "database-password", "source-password", "redis-password"),
        *("access-key", "store-password", "metrics-token"),
    },
    "beat": {"redis-password"},
} | {
    key: {
        *("secret-key", "database-password", "source-password", "redis-password"),
        *("access-key", "store-password", "mail-password"),
    }
    for key in ("worker", "worker-large", "maintenance")
}
FURTHER = {"EMAIL_URL": "smtp://me:mail-password@mail/", "EXPORTS_METRICS_TOKEN": "metrics-token"}


def test_the_services_are_these() -> None:
    assert set(ALL) == set(KNOWN)


@pytest.mark.parametrize("name", ALL)
def test_a_service_has_the_secrets_that_it_needs_and_no_more(name: str) -> None:
    secrets = {*SECRETS.values(), "mail-password", "metrics-token"}
    seen = repr(services(SECRETS | FURTHER)[name])
    assert {secret for secret in secrets if secret in seen} == KNOWN[name]


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_nothing_begins_without_a_secret(missing: str) -> None:
    with pytest.raises(Missing, match=f"^{missing}$"):
        services(SECRETS | {missing: ""})


@pytest.mark.parametrize("name", ALL)
def test_a_container_is_bounded(name: str) -> None:
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["DAC_OVERRIDE"] if name == "s3" else [])
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert megabytes(service["mem_limit"]) >= 512
    assert service["pids_limit"] == 512
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


@pytest.mark.parametrize("name", ALL)
def test_a_service_that_stays_says_whether_it_is_well(name: str) -> None:
    service = services()[name]
    if name in ONCE:
        assert (service["restart"], service["healthcheck"]) == ("no", {"disable": True})
    elif name == "web":
        assert "healthcheck" not in service, "it has the image's"
        assert re.search(r"^HEALTHCHECK .*\n.*health/ready", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


QUEUES = {"worker": ["exports"], "worker-large": ["exports.large"], "maintenance": ["maintenance", "notifications"]}


def least(name: str, given: dict[str, str], cores: int = 2) -> int:
    """Megabytes that a worker's children may take together on so many cores, with all that stands beside them."""
    assert f" -Q {','.join(QUEUES[name])} -c auto " in services(given)[name]["command"]
    hard = int(environment(name, given)["EXPORT_MEMORY_HARD_LIMIT_MB"])
    return concurrency.wanted(QUEUES[name], cores) * (IDLE + hard) + PARENT + PROBE + TMP


@pytest.mark.parametrize(("name", "expected"), [("worker", 7_198), ("worker-large", 5_502), ("maintenance", 1_758)])
def test_the_memory_of_a_worker_is_enough_for_all_that_its_children_may_take_on_two_cores(
    name: str, expected: int, settings: Any
) -> None:
    assert least(name, SECRETS) == expected
    memory = megabytes(services()[name]["mem_limit"])
    assert memory >= expected
    settings.EXPORTS_MEMORY_HARD_LIMIT_MB = int(environment(name)["EXPORT_MEMORY_HARD_LIMIT_MB"])
    assert concurrency.fitting(memory) == concurrency.wanted(QUEUES[name], 2)


@pytest.mark.parametrize("cores", [4, 8, 16])
def test_the_figures_of_the_docs_for_more_cores_are_enough(cores: int) -> None:
    docs = (PROJECT / "docs/operations.md").read_text()
    row = re.search(rf"^\| {cores} \| \d+, `(\w+)` \| \d+, `(\w+)` \|", docs, re.MULTILINE)
    assert row is not None
    for name, memory in {"worker": row[1], "worker-large": row[2]}.items():
        assert 0 <= megabytes(memory) - least(name, SECRETS, cores) < 1_024


def test_what_a_worker_counts_with_is_what_was_measured() -> None:
    assert (concurrency.IDLE_MB, concurrency.BESIDE_MB) == (IDLE, PARENT + PROBE + TMP)


def test_the_figures_of_the_docs_for_a_higher_limit_are_enough() -> None:
    docs = (PROJECT / "docs/operations.md").read_text()
    raised = re.search(r"hard limit of (\d+) wants `WORKER_MEMORY=(\w+)` and\s+`WORKER_LARGE_MEMORY=(\w+)`", docs)
    assert raised is not None
    given = SECRETS | {
        "EXPORT_MEMORY_HARD_LIMIT_MB": raised[1],
        "WORKER_MEMORY": raised[2],
        "WORKER_LARGE_MEMORY": raised[3],
    }
    for name, expected in {"worker": 13_342, "worker-large": 10_110}.items():
        assert least(name, given) == expected
        assert megabytes(services(given)[name]["mem_limit"]) >= expected


def test_a_soft_limit_ends_a_run_before_the_hard_one() -> None:
    for name in ("worker", "worker-large"):
        found = environment(name)
        assert int(found["EXPORT_MEMORY_SOFT_LIMIT_MB"]) < int(found["EXPORT_MEMORY_HARD_LIMIT_MB"])


def test_only_site_and_files_can_be_reached_and_from_this_host_alone() -> None:
    ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert ports == {"s3": ["127.0.0.1:8333:8333"], "web": ["127.0.0.1:8000:8000"]}


def test_a_service_is_on_the_networks_of_what_it_uses() -> None:
    document = yaml.safe_load(text())
    inner = {name for name, network in document["networks"].items() if network and network["internal"]}
    assert inner == {"database", "broker", "store"}
    assert {name: set(service["networks"]) for name, service in services().items()} == {
        "postgres": {"database"},
        "redis": {"broker"},
        "s3": {"store", "outside"},
        "migrate": {"database"},
        "bucket": {"store"},
        "beat": {"broker"},
        **{key: {"outside", "database", "broker", "store"} for key in ("web", "worker", "worker-large", "maintenance")},
    }


def test_the_parts_of_the_store_that_ask_for_no_key_are_for_itself_alone() -> None:
    options = services()["s3"]["command"].split()
    assert {"-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"} <= set(options)
    assert {"-s3.port.iceberg=0", "-s3.port.lance=0"} <= set(options)


def test_images_are_named_by_their_full_version() -> None:
    named = [service["image"] for name, service in services().items() if name in SERVERS]
    base = re.findall(r"^FROM (\S+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    for image in [*named, *base]:
        assert re.fullmatch(r"[a-z/]+:\d+(\.\d+)+(-[a-z-]+)?(@sha256:[0-9a-f]{64})?", image), image


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "http://localhost:8000"),
        ({"PORT": "9000"}, "http://localhost:9000"),
        ({"EXPORTS_SITE_URL": "https://exports.example.com"}, "https://exports.example.com"),
    ],
)
def test_links_lead_to_where_the_site_listens(given: dict[str, str], expected: str) -> None:
    for name in ("web", "worker", "maintenance"):
        assert environment(name, SECRETS | given)["EXPORTS_SITE_URL"] == expected


def test_rows_are_read_by_a_role_that_writes_nothing_and_the_site_is_no_superuser() -> None:
    web = environment("web")
    assert web["DATABASE_URL"] == "postgresql://exports:database-password@postgres:5432/exports"
    assert web["EXPORTS_SOURCE_DATABASE_URL"] == ("postgresql://exports_reader:source-password@postgres:5432/exports")
    assert environment("postgres")["POSTGRES_USER"] == "postgres"


def test_the_commands_at_the_top_make_secrets_that_are_accepted(tmp_path: Path) -> None:
    commands = re.findall(r"^#   (?!docker)(.*)$", text(), re.MULTILINE)
    shutil.copy(PROJECT / ".env.example", tmp_path)
    subprocess.run(["sh", "-eu", "-c", "\n".join(commands)], cwd=tmp_path, check=True)
    made = tmp_path / ".env"
    lines = [line.partition("=") for line in made.read_text().splitlines() if line and not line.startswith("#")]
    given = {name: value for name, _, value in lines}
    assert set(given) == set(SECRETS)
    assert [name for name, value in given.items() if not re.fullmatch(r"[0-9a-f]{64}", value)] == []
    assert len(set(given.values())) == 7
    assert made.stat().st_mode & 0o777 == 0o600
    assert set(services(given)) == set(ALL)


def test_every_child_of_the_file_is_known_to_compose() -> None:
    known = {
        *("build", "cap_add", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image"),
        *("logging", "mem_limit", "networks", "pids_limit", "ports", "read_only", "restart", "security_opt"),
        *("shm_size", "stop_grace_period", "tmpfs", "user", "volumes"),
    }
    used: set[Any] = {key for service in services().values() for key in service}
    assert used <= known
    assert FILE.name == "docker-compose.yml"
