"""Names and values as people spell them: ``CSV`` for ``csv``, ``dailyPnl`` for ``daily_pnl``."""

from __future__ import annotations

from collections.abc import Iterable

_JOINTS = str.maketrans("", "", "_- ")


def spelled(given: str, known: Iterable[str]) -> str:
    """The known name that ``given`` stands for, case and the joints between its words aside.

    What is known as it stands is left alone, and so is what fits none or several of them.
    """
    names = list(known)
    if given in names:
        return given
    folded = _folded(given)
    near = [name for name in names if _folded(name) == folded] if folded else []
    return near[0] if len(near) == 1 else given


def _folded(name: str) -> str:
    return name.casefold().translate(_JOINTS)
