"""
Secrets that Azure gives out, kept out of every log, also at level DEBUG.

Signatures (SAS), keys and tokens come in answers to POST requests. They are told to Airflow's own masker as soon as an
answer is read, in each form in which a URL may show them. The SDK asks for some itself, and its HTTP library writes
whole URLs: there the signature is taken out of the line.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from .capabilities import amask_secret

# Members of answers that hold a secret: listSecrets, listKeys, token, startPendingUpload, credentials of registries.
_MEMBERS = {"sastoken", "sasuri", "key", "primarykey", "secondarykey", "accesstoken", "accountkey", "clientsecret"}
_SIGNATURE = re.compile(r"""(\bsig=)[^&\s"'<>]+""", re.IGNORECASE)
_SHORTEST = 8  # shorter texts are no secrets of Azure's, and would mask what they happen to occur in


def secrets_in(answer: Any) -> Iterator[str]:
    """Yield the secrets that an answer of Azure holds; of a signed URL or SAS the signature, which is the secret."""
    if isinstance(answer, list):
        for item in answer:
            yield from secrets_in(item)
    if not isinstance(answer, dict):
        return
    for name, value in answer.items():
        if isinstance(value, (dict, list)):
            yield from secrets_in(value)
        elif isinstance(value, str) and name.lower() in _MEMBERS:
            yield from (secret for secret in _secrets(value) if len(secret) >= _SHORTEST)


def _secrets(value: str) -> list[str]:
    query = urlsplit(value).query if "://" in value else value.lstrip("?")
    signatures = parse_qs(query.replace("+", "%2B")).get("sig")
    return signatures or ([] if "://" in value else [value])


def forms(secret: str) -> list[str]:
    """Return a secret in the ways in which it may be written: as it is, and as part of a URL."""
    plain = unquote(secret)
    quoted = quote(plain, safe="")
    some = quote(plain, safe="/=")  # yarl, and so aiohttp
    return sorted({secret, plain, quoted, some, re.sub(r"%..", lambda code: code[0].lower(), quoted)})


async def mask_answer(answer: Any) -> None:
    """Tell Airflow's masker the secrets that an answer holds."""
    found: list[Any] = [form for secret in secrets_in(answer) for form in forms(secret)]
    if found:
        await amask_secret(found)


class _WithoutSignature(logging.Filter):
    """Takes signatures out of lines that show URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if (without := _SIGNATURE.sub(r"\1***", text)) != text:
            record.msg, record.args = without, ()
        return True


_FILTER = _WithoutSignature()


def keep_signatures_out_of_urllib3s_lines() -> None:
    """Take signatures out of what urllib3 logs: the SDK's requests to storage. Once is enough; more do no harm."""
    logging.getLogger("urllib3.connectionpool").addFilter(_FILTER)
