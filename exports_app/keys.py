"""What an API key may: part of what its user may, named by scopes and, where it is limited, by resources.

The permit travels with the user object that a request made by key acts as, so that whoever is asked what this user may
sees it: resources, access, services. Everybody else has the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from exports_app import errors
from exports_app.choices import Scope

SCOPES: Final[tuple[str, ...]] = tuple(Scope.values)
_ATTRIBUTE = "export_permit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What one key may. Without a key: everything, which is then for permissions alone to say."""

    scopes: frozenset[str] = frozenset(SCOPES)
    resources: frozenset[str] = frozenset()
    """Empty: all."""
    key_id: str = ""
    """Of the key, for logs and histories; empty: there is none."""

    def allows(self, scope: Scope) -> bool:
        """Whether calls of this kind may be made."""
        return scope in self.scopes

    def allows_resource(self, name: str) -> bool:
        """Whether this data exists for the key."""
        return not self.resources or name in self.resources

    def outside(self, names: Iterable[str]) -> frozenset[str]:
        """Those of the resources that do not exist for the key."""
        return frozenset(each for each in names if not self.allows_resource(each))

    def require(self, scope: Scope) -> None:
        """Raises ``errors.PermissionDenied``, which names the scope that is missing."""
        if not self.allows(scope):
            raise errors.PermissionDenied(f"This API key lacks the scope {scope.value}, which this needs.")

    def named(self) -> dict[str, str]:
        """For entries and log lines: which key it was, where it was one."""
        return {"key": self.key_id} if self.key_id else {}


WHOLE: Final = Permit()


def bind(user: Any, permit: Permit) -> None:
    """From here on ``user`` acts by a key. The object must be the request's own."""
    setattr(user, _ATTRIBUTE, permit)


def permit_of(user: Any) -> Permit:
    """What the key allows that ``user`` acts by; ``WHOLE`` where they act by none."""
    permit: Permit = getattr(user, _ATTRIBUTE, WHOLE)
    return permit


def in_words(scopes: Sequence[str]) -> str:
    """``read, export``, in the order that they are explained in."""
    return ", ".join(each for each in SCOPES if each in scopes)
