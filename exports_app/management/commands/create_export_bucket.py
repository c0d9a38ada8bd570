"""``manage.py create_export_bucket``: for a store of one's own, which begins without buckets."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError
from django.core.management.base import BaseCommand

from exports_app import s3, storage

REGION_WITHOUT_NAME = "us-east-1"
NOT_FOUND = 404


class Command(BaseCommand):
    help = "Make the bucket that exports are stored in, unless it is there."
    requires_system_checks: list[str] = []  # the store alone is asked, no database

    def handle(self, *args: Any, **options: Any) -> None:
        if storage.is_local():
            self.stdout.write("Files are kept in a folder, which is made with the first of them.")
            return
        exports: Any = storage.exports_storage()
        client, name = s3.quick_client(exports), exports.bucket_name
        try:
            s3.look_at_bucket(client, name)
            self.stdout.write(f"The bucket {name} is there.")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != NOT_FOUND:
                raise
            region = exports.region_name
            where = {} if region == REGION_WITHOUT_NAME else {"LocationConstraint": region}
            client.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
            self.stdout.write(f"The bucket {name} is made.")
