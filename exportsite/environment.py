"""Typed values of environment variables.

The libraries for it load a validation framework at the start of every command, for four kinds of values.
"""

from __future__ import annotations

import os
from typing import TypeAlias, TypeVar, overload

from django.core.exceptions import ImproperlyConfigured

# Within the class, bool and the others are its methods.
Flag: TypeAlias = bool
Number: TypeAlias = int
Text: TypeAlias = str
Words: TypeAlias = list[str]
Default = TypeVar("Default")

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


WEAK_BEGINNINGS = ("insecure", "django-insecure", "change")
LEAST_LENGTH, LEAST_DIFFERENT = 50, 10


def weakness(key: Text) -> Text:
    """What makes this a key that can be guessed; empty: nothing that can be seen."""
    if len(key) < LEAST_LENGTH:
        return "is too short"
    if key.lower().startswith(WEAK_BEGINNINGS):
        return "is a known one"
    if len(set(key)) < LEAST_DIFFERENT or key in (key + key)[1:-1]:
        return "repeats itself"
    return ""


class Env:
    """One method a kind; a variable that is not set has the default. Empty is a text, and for others as if not set.

    Raises ``ImproperlyConfigured`` with the variable's name for a value of another kind.
    """

    def __init__(self) -> None:
        self.names: set[Text] = set()
        """What was asked for, set or not."""

    @overload
    def str(self, name: Text) -> Text | None: ...
    @overload
    def str(self, name: Text, default: Text) -> Text: ...
    def str(self, name: Text, default: Text | None = None) -> Text | None:
        self.names.add(name)
        return os.environ.get(name, default)

    def bool(self, name: Text, default: Flag) -> Flag:
        value = self.str(name, "").strip().lower()
        if value and value not in TRUE | FALSE:
            raise ImproperlyConfigured(f"{name} is {value!r}. Set it to 1 or 0.")
        return value in TRUE if value else default

    def int(self, name: Text, default: Default) -> Number | Default:
        value = self.str(name, "").strip()
        try:
            return Number(value) if value else default
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} is {value!r}. Set it to a whole number.") from error

    def list(self, name: Text, default: Words) -> Words:
        """Words between commas, without blanks around them."""
        value = self.str(name, "")
        return [word.strip() for word in value.split(",") if word.strip()] if value else default
