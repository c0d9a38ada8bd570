"""``manage.py export_storage_rules``: the bucket's lifecycle rules, a second net behind the upkeep."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from botocore.exceptions import ClientError
from django.core.files.storage import FileSystemStorage
from django.core.management.base import BaseCommand, CommandError

from exports_app import storage
from exports_app.orphans import PREFIX
from exports_app.storage_rights import REFUSED, Trial, lifecycle_rules

LONGEST_LIFE = 8
"""Days: a file's links can be extended to seven in all, and a rule counts whole days."""
LONGEST_UPLOAD = 7
"""Days, counted by S3 from an upload's begin: longer than any export takes, pauses and outages included."""
REMAINS = 1
"""Days that what was deleted remains in a bucket that keeps versions; S3 takes no less."""

RULES: list[dict[str, Any]] = [
    {
        "ID": "exports-expire-files",
        "Status": "Enabled",
        "Filter": {"Prefix": PREFIX},
        "Expiration": {"Days": LONGEST_LIFE},
    },
    {
        "ID": "exports-abort-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": PREFIX},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": LONGEST_UPLOAD},
    },
    {
        "ID": "exports-expire-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": PREFIX},
        "NoncurrentVersionExpiration": {"NoncurrentDays": REMAINS},
    },
    {
        "ID": "exports-expire-markers",
        "Status": "Enabled",
        "Filter": {"Prefix": PREFIX},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
]
OF_VERSIONS = ("exports-expire-versions", "exports-expire-markers")
"""Rules that matter where the bucket keeps versions; some stores without versions refuse them."""
NEVER, UNKNOWN = "never", "unknown"
NOT_HERE = ("MalformedXML", "NotImplemented", "InvalidArgument", "InvalidRequest")


class Command(BaseCommand):
    help = (
        "Show the lifecycle rules that the bucket of the exports has and should have; --apply installs them, "
        "--check tries every right that exports need there."
    )

    requires_system_checks: list[str] = []  # the store alone is asked, no database

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--apply", action="store_true", help="install the missing ones; other rules stay")
        parser.add_argument(
            "--check", action="store_true", help="try every right with a file of its own, and print what is missing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        exports: Any = storage.exports_storage()
        if isinstance(exports, FileSystemStorage):
            raise CommandError("The exports are files of a folder, which has no lifecycle rules.")
        client, bucket = exports.connection.meta.client, exports.bucket_name
        if options["check"]:
            self._check(Trial(client=client, bucket=bucket))
            return
        try:
            if options["apply"]:
                self._apply(client, bucket)
            state = _versioning(client, bucket)
            self._show(bucket, lifecycle_rules(client, bucket), versions=state != NEVER)
            self._say_what_remains(client, bucket, state)
        except ClientError as error:
            raise CommandError(f"The storage refused: {error}") from error

    def _apply(self, client: Any, bucket: str) -> None:
        others = [
            rule for rule in lifecycle_rules(client, bucket) if rule.get("ID") not in {ours["ID"] for ours in RULES}
        ]
        try:
            _put(client, bucket, others + RULES)
        except ClientError as error:
            if error.response["Error"]["Code"] not in NOT_HERE or _versioning(client, bucket) != NEVER:
                raise
            _put(client, bucket, others + [rule for rule in RULES if rule["ID"] not in OF_VERSIONS])

    def _say_what_remains(self, client: Any, bucket: str, state: str) -> None:
        if state == NEVER:
            return
        if state == UNKNOWN:
            self.stdout.write(
                "Whether the bucket keeps versions is not to be known: s3:GetBucketVersioning is missing."
            )
            return
        self.stdout.write(
            f"The bucket keeps versions: what is deleted remains there for {REMAINS} day by exports-expire-versions, "
            "and for good without that rule."
        )
        if lock := _retention(client, bucket):
            self.stdout.write(f"It is locked ({lock}): what is deleted remains at least as long.")

    def _check(self, trial: Trial) -> None:
        trial.run()
        if not trial.missing and not trial.troubles:
            self.stdout.write(f"Exports have all rights that they need in {trial.bucket}.")
            return
        for action, calls in sorted(trial.missing.items()):
            self.stdout.write(f"{action} is missing: {', '.join(calls)} refused.")
        for trouble in trial.troubles:
            self.stdout.write(f"Failed: {trouble}.")
        if trial.missing:
            self.stdout.write(f"A policy that gives what is missing:\n{trial.policy()}")
        raise CommandError(f"Exports cannot be kept in {trial.bucket} as it is.")

    def _show(self, bucket: str, there: list[dict[str, Any]], *, versions: bool) -> None:
        self.stdout.write(f"Lifecycle rules of {bucket}:")
        for rule in there:
            self.stdout.write(f"  {json.dumps(rule, sort_keys=True)}")
        wanted = [rule["ID"] for rule in RULES if versions or rule["ID"] not in OF_VERSIONS]
        missing = [name for name in wanted if name not in {each.get("ID") for each in there}]
        self.stdout.write(
            f"Missing: {', '.join(missing)} (--apply installs)" if missing else "All rules are installed."
        )


def _put(client: Any, bucket: str, rules: list[dict[str, Any]]) -> None:
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _versioning(client: Any, bucket: str) -> str:
    """``Enabled``, ``Suspended``, or one of ours."""
    try:
        return str(client.get_bucket_versioning(Bucket=bucket).get("Status", NEVER))
    except ClientError as error:
        return UNKNOWN if error.response["ResponseMetadata"]["HTTPStatusCode"] in REFUSED else NEVER


def _retention(client: Any, bucket: str) -> str:
    """Mode and time of the bucket's default retention; empty without one, or where it is not to be known."""
    try:
        lock = client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    except ClientError:
        return ""
    kept = lock.get("Rule", {}).get("DefaultRetention", {})
    unit = "Years" if "Years" in kept else "Days"
    return f"{kept['Mode']}, {kept[unit]} {unit.lower()}" if kept else ""
