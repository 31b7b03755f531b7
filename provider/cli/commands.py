"""What the commands of ``definition.py`` do."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .checks import Finding, check_connection
from .permissions import role_definition

if TYPE_CHECKING:
    from argparse import Namespace

_MARKS = {"works": "ok  ", "fails": "FAIL", "unknown": "?   "}


def check(args: Namespace) -> None:
    """Check a connection; exit with 1 if anything fails."""
    # As `airflow connections test` does: only so does the SDK look into Airflow's database for connections.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    own = logging.getLogger(__package__.partition(".")[0])
    level = own.level
    own.setLevel(logging.ERROR)  # what is found is printed
    try:
        findings = asyncio.run(_collect(args))
    finally:
        own.setLevel(level)
    if args.output == "json":
        _print(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.status == "fails" for finding in findings):
        sys.exit(1)


async def _collect(args: Namespace) -> list[Finding]:
    findings = []
    options: dict[str, Any] = {"registry": args.registry, "event_queue": args.event_queue}
    async for finding in check_connection(args.conn_id, purposes=args.purposes, **options):
        findings.append(finding)
        if args.output == "table":
            _print(f"{_MARKS[finding.status]} {finding.subject}: {finding.text}")
    return findings


def role(args: Namespace) -> None:
    """Print a custom role."""
    _print(json.dumps(role_definition(args.purposes, args.scope), indent=2))


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a command is for
