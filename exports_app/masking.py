"""Passwords, keys and tokens in texts that are kept or logged, masked in whatever case and encoding they come.

A text is looked through only for what it may hold by a look for short words, since every line of a log passes here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

MASK: Final = "***"
DEPTH = 8
"""Of nested values; what is deeper is logged as text."""
SHORT = 80
"""Characters of a text whose answer is kept."""
PLAIN: Final = (int, float, bool, type(None), UUID, datetime, date, time, timedelta, Decimal)

# Characters as they stand in a text, in JSON, and percent-encoded however often.
_COLON = r"(?::|%(?:25)*3a)"
_EQUALS = r"(?:=|\\u003d|%(?:25)*3d)"
_SLASH = r"(?:\\?/|%(?:25)*2f)"
_AT = r"(?:@|\\u0040|%(?:25)*40)"
_SPACE = r"(?:\s|\+|%(?:25)*20)"
_QUOTE = r"""(?:\\*["']|%(?:25)*2[27]|&quot;|&\#x27;|&\#39;)"""
_END = r"%(?:25)*2[267]|%(?:25)*[01]a|&quot;|&amp;"
"""Encoded, what ends a value: ``&``, quotes, the end of a line."""
_CHARACTER = rf"""(?!{_END})[^\s&"'<>\\]"""
_VALUE = rf"(?:{_CHARACTER})+"
_QUOTED = r"(?:(?!(?<!\\)(?P=quote)).)*"
"""Up to the quote of the same kind, or to the end."""
_NAMES = (
    r"(?:token|signature|password|passwd|passphrase|secret(?:[_-]?access)?(?:[_-]?key)?|(?:api|private|access)[_-]?key"
    r"|sessionid|authorization|cookie|credentials)"
)


class Rule(NamedTuple):
    """One kind of secret."""

    words: tuple[str, ...]
    """In small letters, one of which is in every text that holds such a secret."""
    pattern: re.Pattern[str]
    shown: str


def _rule(words: str, pattern: str, shown: str = rf"\g<1>{MASK}") -> Rule:
    return Rule(tuple(words.split()), re.compile(pattern, re.IGNORECASE | re.DOTALL), shown)


_NAME_WORDS = "token signature passw passphrase secret key sessionid authorization cookie credentials"
RULES: Final = (
    # scheme://user:password@host; a port is no password
    _rule(
        "@ %40 %2540 u0040",
        rf"({_COLON}{_SLASH}{{2}}(?:(?!{_COLON}|{_AT}|%(?:25)*2f)[^\s/?\#\"'<>]){{0,256}}{_COLON})"
        rf"(?!\d{{1,5}}(?:[/?\#\s\"']|%(?:25)*2f|$))(?:(?!{_COLON}{_SLASH}{{2}})(?:[^\s\"<>]|\\\")){{1,4096}}(?={_AT})",
    ),
    # what a header says, to the end of its line
    _rule(
        "authorization cookie api-key token signature secret",
        rf"((?:(?:authorization|cookie){_SPACE}*(?:{_COLON}|{_EQUALS})|(?:-(?:token|signature|secret)|api-key|csrftoken)"
        rf"{_SPACE}*{_COLON}){_SPACE}*)(?:(?!{_END}|\\[nr])[^\r\n\"'])+",
    ),
    # "name": "value", also as JSON in JSON, as Python's dicts and pairs, and percent-encoded
    _rule(
        _NAME_WORDS,
        rf"({_NAMES}{_QUOTE}{_SPACE}*(?:[:,=]|%(?:25)*(?:3a|2c|3d)){_SPACE}*b?(?P<quote>{_QUOTE})){_QUOTED}",
    ),
    _rule(
        _NAME_WORDS,
        rf"({_NAMES}{_QUOTE}{_SPACE}*(?:[:=]|%(?:25)*3[ad]){_SPACE}*)(?!{_SPACE}|{_QUOTE}|b['\"])(?:(?![,\])}}]){_CHARACTER})+",
    ),
    # name=value, name='value', password: value
    _rule(_NAME_WORDS, rf"({_NAMES}{_EQUALS}(?P<quote>{_QUOTE})){_QUOTED}"),
    _rule(_NAME_WORDS, rf"({_NAMES}{_EQUALS})(?!{_QUOTE}){_VALUE}"),
    _rule("password passwd secret", rf"((?:password|passwd|secret(?:[_-]?key)?):{_SPACE}+)(?!{_QUOTE}){_VALUE}"),
    # Bearer and its like without the name of the header: a word with a digit
    _rule(
        "bearer token basic digest",
        rf"((?:bearer|token|basic|digest){_SPACE}+)(?=[\w.~/+=-]*\d)[\w.~/+=-]{{6,}}",
    ),
    # keys of this API, secrets of webhooks, signed web tokens, the fragment of a one-time link
    _rule("exk", r"(exk(?:_|%(?:25)*5f))[\w.~%-]+"),
    _rule("whsec", r"(whsec(?:_|%(?:25)*5f))[\w+/=%-]+"),
    _rule("eyj", r"(eyJ)[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"),
    _rule("link", rf"({_SLASH}link{_SLASH}?(?:\#|%(?:25)*23)){_VALUE}"),
)
_KEY = re.compile(rf"(?:.*[_-])?{_NAMES}", re.IGNORECASE)


def mask(text: str) -> str:
    """The text without secrets."""
    return _mask_known(text) if len(text) <= SHORT else _mask(text)


@lru_cache(maxsize=2048)
def _mask_known(text: str) -> str:
    """Names, ids and events come in line after line."""
    return _mask(text)


def _mask(text: str) -> str:
    lowered = text.lower()
    for words, pattern, shown in RULES:
        for word in words:
            if word in lowered:
                text = pattern.sub(shown, text)
                break
    return text


def masked(value: Any, depth: int = DEPTH) -> Any:
    """The same for what a log's line holds: texts anywhere in it, and whatever stands under the name of a secret."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, Mapping) and depth:
        return {key: masked_under(key, each, depth - 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [masked(each, depth - 1) for each in value]
    if isinstance(value, BaseException):
        return type(value).__name__
    shown = repr(value)
    hidden = mask(shown)
    return value if hidden == shown else hidden


def masked_under(name: Any, value: Any, depth: int = DEPTH) -> Any:
    """The value of ``name``, which says whether it is a secret."""
    if isinstance(name, str) and value and not isinstance(value, bool) and _is_secret(name):
        return MASK
    return masked(value, depth)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _KEY.fullmatch(name) is not None
