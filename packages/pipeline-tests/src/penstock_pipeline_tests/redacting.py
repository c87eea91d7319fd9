"""Take out of a sample what belongs to people: the same value always gets the same pseudonym.

A pseudonym is a number in the order of appearance, not a hash, which could be guessed from a list
of telephone numbers. It keeps the kind of the value, so that what checks or converts
it still works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

__all__ = ["PRIVATE", "Redactor", "is_private"]

PRIVATE = (
    "password passwd passphrase pwd secret token credential credentials authorization cookie "
    "api_key access_key private_key email mail phone telephone mobile fax ssn iban bic card cvv "
    "account_number birth birthday dob address street zip postcode ip first_name last_name "
    "full_name user_name username surname family_name given_name"
).split()
"""Fields are redacted when these words stand in their name: `customer_email`, `ipAddress`."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PRIVATE = re.compile(rf"(?:^|_)(?:{'|'.join(PRIVATE)})s?(?:_|$)")
_LEAST = 4
"""A shorter text is too common to be looked for inside others."""


def is_private(name: str) -> bool:
    """Whether the name of a field says that its values belong to somebody."""
    return bool(_PRIVATE.search("_".join(_WORDS.findall(name)).lower()))


class Redactor:
    """Redacts the records of one sample. `secrets` are texts that must go wherever they stand."""

    def __init__(self, fields: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        self.fields = set(fields)
        self.secrets = set(secrets)
        self.found: dict[str, None] = {}
        self._pseudonyms: dict[Any, Any] = {}

    def records(self, records: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """The records by input. A value that was redacted in one field is found in others, too."""
        first = {name: [self._named(one, "") for one in ones] for name, ones in records.items()}
        texts = {
            key[1]: new
            for key, new in self._pseudonyms.items()
            if isinstance(new, str) and len(key[1]) >= _LEAST
        }
        texts.update({secret: "redacted" for secret in self.secrets if len(secret) >= _LEAST})
        if not texts:
            return first
        longest = sorted(texts, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, longest)))
        return {
            name: [_replaced(one, pattern, texts) for one in ones] for name, ones in first.items()
        }

    def _named(self, value: Any, field: str) -> Any:
        """A value with everything in it redacted that stands in a private field."""
        if isinstance(value, Mapping):
            return {key: self._field(str(key), one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._named(one, field) for one in value]
        return "redacted" if isinstance(value, str) and value in self.secrets else value

    def _field(self, name: str, value: Any) -> Any:
        if name not in self.fields and not is_private(name):
            return self._named(value, name)
        self.found.setdefault(name)
        return self._redacted(name, value)

    def _redacted(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._redacted(str(key), one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._redacted(name, one) for one in value]
        if value is None or value == "" or isinstance(value, bool):
            return value
        key = (type(value), value)
        if key not in self._pseudonyms:
            self._pseudonyms[key] = _pseudonym(name, value, len(self._pseudonyms) + 1)
        return self._pseudonyms[key]


def _pseudonym(name: str, value: Any, number: int) -> Any:
    """Something of the same kind that says nothing."""
    if isinstance(value, (int, float, Decimal)):
        return type(value)(number)
    if isinstance(value, datetime):
        return datetime(2000, 1, 1, tzinfo=value.tzinfo) + timedelta(days=number)
    if isinstance(value, date):
        return date(2000, 1, 1) + timedelta(days=number)
    if isinstance(value, (bytes, bytearray)):
        return str(number).encode()
    text = str(value)
    if text.isdigit():
        return str(number).rjust(len(text), "0")
    name = re.sub(r"\W+", "_", name)
    return f"{name}-{number}@example.com" if "@" in text else f"{name}-{number}"


def _replaced(value: Any, pattern: re.Pattern[str], texts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(lambda found: texts[found[0]], value)
    if isinstance(value, Mapping):
        return {key: _replaced(one, pattern, texts) for key, one in value.items()}
    return [_replaced(one, pattern, texts) for one in value] if isinstance(value, list) else value
