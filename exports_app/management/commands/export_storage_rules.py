"""``manage.py export_storage_rules``: the bucket's lifecycle rules, a second net behind the upkeep."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from botocore.exceptions import ClientError
from django.core.files.storage import FileSystemStorage
from django.core.management.base import BaseCommand, CommandError

from exports_app import storage
from exports_app.management.storage_rights import Trial
from exports_app.orphans import PREFIX

LONGEST_LIFE = 8
"""Days: a file's links can be extended to seven in all, and a rule counts whole days."""
LONGEST_UPLOAD = 7
"""Days, counted by S3 from an upload's begin: longer than any export takes, pauses and outages included."""

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
]


class Command(BaseCommand):
    help = (
        "Show the lifecycle rules that the bucket of the exports has and should have; --apply installs them, "
        "--check tries every right that exports need there."
    )

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
            there = _rules(client, bucket)
            if options["apply"]:
                others = [rule for rule in there if rule.get("ID") not in {ours["ID"] for ours in RULES}]
                client.put_bucket_lifecycle_configuration(
                    Bucket=bucket, LifecycleConfiguration={"Rules": others + RULES}
                )
                there = _rules(client, bucket)
        except ClientError as error:
            raise CommandError(f"The storage refused: {error}") from error
        self._show(bucket, there)

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

    def _show(self, bucket: str, there: list[dict[str, Any]]) -> None:
        self.stdout.write(f"Lifecycle rules of {bucket}:")
        for rule in there:
            self.stdout.write(f"  {json.dumps(rule, sort_keys=True)}")
        missing = [rule["ID"] for rule in RULES if rule["ID"] not in {each.get("ID") for each in there}]
        self.stdout.write(
            f"Missing: {', '.join(missing)} (--apply installs)" if missing else "All rules are installed."
        )


def _rules(client: Any, bucket: str) -> list[dict[str, Any]]:
    try:
        rules: list[dict[str, Any]] = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
            return []
        raise
    return rules
