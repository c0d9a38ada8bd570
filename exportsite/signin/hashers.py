"""How this site keeps passwords."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class SignInHasher(Argon2PasswordHasher):
    """Argon2id with 46 MiB, one pass, one lane: OWASP's first choice ("Password Storage Cheat Sheet").

    It takes an attacker as long as Django's default of many passes and lanes by memory, and a sign-in a tenth of a
    second in place of half of one: a site that checks one password a core must be done with each soon.
    """

    memory_cost = 47_104
    time_cost = 1
    parallelism = 1
