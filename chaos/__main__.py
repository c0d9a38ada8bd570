"""``python -m chaos`` inside ``exportsite.stack run --services-only``: see ``--help``."""

from __future__ import annotations

import argparse
import importlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import django

from chaos import site as sites
from chaos.rooms import ROOMS, Room
from chaos.rooms.base import Inside, NotHere

if TYPE_CHECKING:
    from chaos.catalogue import Fault


def main() -> int:
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended on the way out
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    if len(given.rooms) > 1:
        return _each(given.rooms, seed)
    room = ROOMS[given.rooms[0]]
    print(f"room {room.name}, seed {seed}: CHAOS_ROUNDS={given.rounds} python -m chaos {room.name} --seed {seed}")
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
        try:
            with room.open(Path(folder)) as inside:
                return _inside(inside, room, given, seed, given.logs or Path(folder))
        except NotHere as reason:
            print(f"room {room.name} is not here: {reason}")
            return 0


def _each(rooms: list[str], seed: int) -> int:
    """One process after another, with the same words but for the room; gives whether something broke in one."""
    words = [word for word in sys.argv[1:] if word not in ROOMS]
    broken = [
        name
        for name in rooms
        if subprocess.run([sys.executable, "-m", "chaos", name, *words, "--seed", str(seed)]).returncode
    ]
    print(f"broken in {', '.join(broken)}" if broken else f"held in {', '.join(rooms)}")
    return 1 if broken else 0


def _inside(inside: Inside, room: Room, given: argparse.Namespace, seed: int, folder: Path) -> int:
    os.environ.update(sites.ENVIRONMENT, PGAPPNAME="chaos")
    os.environ.update(inside.environment)
    django.setup()
    site = sites.Site(folder, inside.sites)
    try:
        prepare()
        site.start()
        return _run(site, inside, room, given, seed)
    finally:
        site.stop()


def _arguments() -> argparse.Namespace:
    rooms = "; ".join(f"{room.name}: {room.what}" for room in ROOMS.values())
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break things under running exports.")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"all, one after another, or some of them. {rooms}")
    parser.add_argument("--only", action="append", help="a fault, such as C7, of one room; may be given several times")
    parser.add_argument("--seed", type=int, help="replays a run's random moments")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("CHAOS_ROUNDS", "1")))
    parser.add_argument("--minutes", type=float, help="begin no fault of a room after that; 0: no end")
    parser.add_argument("--rows", type=int, help="customers in the table")
    parser.add_argument("--logs", type=Path, help="keep the processes' logs in this folder")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    given = parser.parse_args()
    if unknown := [name for name in given.rooms if name not in ROOMS]:
        parser.error(f"no room is called {', '.join(unknown)}: {', '.join(ROOMS)}")
    given.rooms = given.rooms or (["house"] if given.only else list(ROOMS))
    return given


def prepare() -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from chaos.scene import bucket
    from exports_app import api_keys, keys, services
    from exports_app.models import ExportJob

    call_command("migrate", verbosity=0)
    for job in ExportJob.objects.exclude(file_key=""):
        services.discard_file(job)
    ExportJob.objects.all().delete()
    bucket().objects.filter(Prefix="exports/").delete()
    for upload in bucket().multipart_uploads.filter(Prefix="exports/"):
        upload.abort()
    user, _ = get_user_model().objects.update_or_create(
        username="demo", defaults={"is_staff": True, "is_superuser": True, "email": "demo@example.com"}
    )
    for before in api_keys.living(user):
        api_keys.revoke(user, before.pk)
    os.environ["CHAOS_TOKEN"] = api_keys.create(user, name="chaos", scopes=keys.SCOPES)[1]


def fill(site: sites.Site, rows: int) -> None:
    """Have so many customers."""
    from django.db import connection

    if site.rows == rows:
        return
    site.rows = rows
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE samples_customer RESTART IDENTITY CASCADE")
        cursor.execute(
            """
            INSERT INTO samples_customer (name, email, signup_date, country_code, subscription_tier, lifetime_value)
            SELECT 'Customer ' || md5(n::text), 'customer.' || n || '@mail.example',
                   date '2024-01-01' + n %% 700, 'DE', 'FREE', n %% 1000 + 0.5
              FROM generate_series(1, %s) AS n
            """,
            [rows],
        )
        cursor.execute("ANALYZE samples_customer")
    print(f"{rows:,} customers", flush=True)


def _run(site: sites.Site, inside: Inside, room: Room, given: argparse.Namespace, seed: int) -> int:
    for module in room.faults:
        importlib.import_module(module)
    from chaos.catalogue import FAULTS
    from chaos.report import Report

    here = [name for name, each in FAULTS.items() if each.act.__module__ in room.faults]
    wanted = given.only or [name for name in here if not FAULTS[name].long]
    faults = sorted((FAULTS[name] for name in wanted), key=lambda each: each.order)
    report = Report(room.name, seed)
    end = time.monotonic() + _seconds(room, given)
    for number in range(given.rounds):
        for each in faults:
            if time.monotonic() > end:
                report.add(each, "not run", 0, "its time was over")
                continue
            fill(site, each.rows or given.rows or room.rows)
            began = time.monotonic()
            outcome, notes = _one(site, inside, each, random.Random(f"{seed}-{number}-{each.name}"))
            report.add(each, outcome, time.monotonic() - began, notes)
    print(report.table())
    if given.write:
        report.write()
    return 1 if report.broken else 0


def _seconds(room: Room, given: argparse.Namespace) -> float:
    """Whoever asks for certain faults or for rounds has the time for them."""
    if given.only or given.rounds > 1 or given.minutes == 0:
        return float("inf")
    return (given.minutes or room.minutes) * 60


def _one(site: sites.Site, inside: Inside, each: Fault, rng: random.Random) -> tuple[str, str]:
    from django.db import connection

    from chaos.scene import Broken, Scene, check

    scene = Scene(site, rng, inside.there)
    try:
        site.revive()
        each.act(scene)
        site.revive()
        check(scene)
    except NotHere as reason:
        return "not here", str(reason)
    except Broken as reason:
        return "BROKEN", ", ".join([*scene.notes, str(reason)])
    except Exception as error:
        traceback.print_exc()
        return "BROKEN", f"{type(error).__name__}: {error}"
    finally:
        for proxy in site.proxies:
            proxy.heal()
        scene.abandon()
        connection.close()
    return "held", ", ".join(scene.notes)


if __name__ == "__main__":
    sys.exit(main())
