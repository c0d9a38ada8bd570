"""What PostgreSQL's SQLSTATEs mean for who asked: to wait, to try again, or to ask no more.

By the code and not by the client's classes, which follow PostgreSQL's own ones: some of those hold a time-out beside a
bug. Clients' errors without a code are none of these.
"""

from __future__ import annotations

from enum import Enum, auto


class Meaning(Enum):
    """Of an answer that is no row."""

    AWAY = auto()
    """The server is not there, or has no room for anybody: it is waited for."""
    READ_ONLY = auto()
    """It takes no writes: a standby, or a disk guard's doing. Who only reads wrote a query that it refuses."""
    BUSY = auto()
    """It could not answer this time."""
    TOO_MUCH = auto()
    """The statement is more than any server takes."""


_AWAY = (
    "08",  # connection exceptions; also what a pooler says
    "53000",  # insufficient resources, such as no file to be opened any more
    "53100",  # disk full
    "53200",  # out of memory, private or shared (locks)
    "53300",  # too many connections, in all or of a role
    "57P01",  # shut down, or ended by an operator
    "57P02",  # another process of the server crashed
    "57P03",  # starts, stops or recovers
    "57P04",  # the database was dropped, as a replica replays it
    "57P05",  # idle for longer than a session may be
    "58000",  # the server's system
    "58030",  # the server's disk
)
_BUSY = (
    "25P03",  # idle for longer than a transaction may be
    "25P04",  # a transaction for longer than one may be
    "40",  # deadlocks, conflicts, also those of a standby's recovery
    "53400",  # more temporary files than are allowed
    "55006",  # in use
    "55P03",  # a lock not to be had
    "57014",  # cancelled, by a time-out or an operator
    "72000",  # a snapshot too old
)
MEANINGS: dict[str, Meaning] = {
    **dict.fromkeys(_AWAY, Meaning.AWAY),
    "25006": Meaning.READ_ONLY,
    **dict.fromkeys(_BUSY, Meaning.BUSY),
    "54": Meaning.TOO_MUCH,
}
"""By the five characters, or by the class that all of its members share."""


def meaning(state: str | None) -> Meaning | None:
    """None: neither the server nor the hour is to blame, or it has no code."""
    if state is None:
        return None
    return MEANINGS.get(state) or MEANINGS.get(state[:2])
