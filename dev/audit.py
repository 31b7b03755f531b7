"""Look for known vulnerabilities in what is tested with: each line of constraints.txt.

    python dev/audit.py

It ends with 0 where none is known, with 1 where there are some, and with 3 where nobody could be asked: no network, or
a registry that serves no advisories. A mirror may also answer and know nothing; so each service is first asked for a
release of which vulnerabilities have long been known, and is believed only if it knows them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
KNOWN_BAD = "jinja2==2.4.1"
SERVICES = ("pypi", "osv")  # the package registry's own advisories, and those of osv.dev
FOUND, NOT_ASKED = 1, 3

Dependencies = list[dict[str, Any]]


def main() -> int:
    """Ask the first service that can be believed, say what it knows, and return the exit status."""
    reasons = []
    for service in SERVICES:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(KNOWN_BAD)
            file.flush()
            known, reason = ask(service, Path(file.name))
        if vulnerable(known):
            found, reason = ask(service, CONSTRAINTS)
            if found:
                status, lines = verdict(found)
                print(f"Asked: {service}.", *lines, sep="\n")
                return status
        reasons.append(f"- {service}: {reason or f'it knows nothing of {KNOWN_BAD}, so it has no advisories'}")
    print(
        "NOT AUDITED: nobody could be asked for known vulnerabilities.",
        *reasons,
        "Run `make audit` where a registry with advisories can be reached (docs/releasing.md).",
        sep="\n",
        file=sys.stderr,
    )
    return NOT_ASKED


def ask(service: str, requirements: Path) -> tuple[Dependencies, str]:
    """Return what pip-audit reports of each requirement, and its last words, which say why there is no report."""
    command = [str(Path(sys.executable).with_name("pip-audit")), "--vulnerability-service", service]
    options = ["--requirement", str(requirements), "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [*command, *options, "--format", "json", "--progress-spinner", "off"],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:300]


def vulnerable(dependencies: Dependencies) -> Dependencies:
    """Return those with known vulnerabilities."""
    return [one for one in dependencies if one.get("vulns")]


def verdict(dependencies: Dependencies) -> tuple[int, list[str]]:
    """Return the exit status for a report, and what to say."""
    lines = [
        f"VULNERABLE: {one['name']} {one['version']}: {flaw['id']}, fixed in {flaw['fix_versions'] or 'no version'}"
        for one in vulnerable(dependencies)
        for flaw in one["vulns"]
    ]
    skipped = [f"NOT AUDITED: {one['name']}: {one['skip_reason']}" for one in dependencies if "skip_reason" in one]
    if lines:
        return FOUND, [*lines, *skipped]
    if skipped:
        return NOT_ASKED, skipped
    return 0, [f"No vulnerability is known in any of {len(dependencies)} packages."]


if __name__ == "__main__":
    sys.exit(main())
