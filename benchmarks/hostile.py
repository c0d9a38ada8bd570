"""What a request costs that is made to cost much: CPU of its answer and the answer's bytes.

``python -m benchmarks.hostile``, beside services; in a transaction that is undone.
"""

from __future__ import annotations

import time

import django
from django.conf import settings
from django.db import transaction
from django.test import Client
from django.test.utils import override_settings, setup_test_environment

REPEATS = 3


def main() -> None:
    django.setup()
    setup_test_environment(debug=False)
    # Where DEBUG is set nothing has collected the files that pages name.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    storages = {**settings.STORAGES, "staticfiles": plain}
    from django.contrib.auth.models import User

    from tests.hostile.bodies import BODIES

    with override_settings(STORAGES=storages), transaction.atomic():
        user = User.objects.create_superuser("hostile")
        client = Client(raise_request_exception=False)
        client.force_login(user)
        client.get("/api/v1/exports/")
        print(f"{'':45} {'status':>6} {'CPU ms':>8} {'bytes':>9}")
        for each in BODIES:
            spent = []
            for _ in range(REPEATS):
                began = time.process_time()
                answer = client.post(each.path, each.body, content_type=each.content_type)
                spent.append(time.process_time() - began)
            size = len(answer.content)
            print(f"{each.name:45} {answer.status_code:6} {min(spent) * 1000:8.0f} {size:9,}", flush=True)
        transaction.set_rollback(True)


if __name__ == "__main__":
    main()
