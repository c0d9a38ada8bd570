"""Every format, killed at ten moments, on every store but the one of equal parts, which has a file of its own."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from chaos.answers import Ceph, ForeignEtags, Garage, Store
from chaos.moto_store import Moto
from tests.stores.places import behind, place
from tests.stores.test_equal_parts import File, contents, each_kind, undisturbed

pytestmark = pytest.mark.skipif(os.environ.get("ALL_STORES") != "1", reason="takes minutes: make test-full")

STORES: dict[str, Callable[[], Store]] = {
    "seaweedfs": lambda: behind(Store),
    "moto": Moto,
    "ceph": lambda: behind(Ceph),
    "garage": lambda: behind(Garage),
    "etags": lambda: behind(ForeignEtags),
}


@pytest.mark.parametrize("store", STORES)
@each_kind
def test_a_file_killed_at_ten_moments_has_the_same_contents(store: str, name: str, packed: bool) -> None:
    moments = random.Random(f"{store} {name} {packed}")
    with place(STORES[store]()) as bucket:
        file = File(name=name, packed=packed, store=bucket.store, upload=bucket.upload(), equal=False)
        for _ in range(10):
            file.write(steps=moments.randrange(1, 25))
            if bucket.read(file.upload.key) is not None:
                break  # it was stored as fast as it was made, and nothing had to be made again
            file.found()
        else:
            file.write()
        found = bucket.read(file.upload.key)
    assert found is not None
    assert contents(found, name, packed) == contents(undisturbed(name, packed, equal=False), name, packed)
