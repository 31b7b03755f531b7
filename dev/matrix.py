"""Run the unit and integration floors with other Pythons and other versions of what this package needs.

    python dev/matrix.py                        every pair of Python and dependencies
    python dev/matrix.py lowest-3.11 pinned-3.13

- lowest: each direct dependency at exactly the lower bound that pyproject.toml names, on the oldest Python alone
  (stricter than uv's `--resolution lowest-direct`, which goes higher where something else asks for it);
- pinned: constraints.txt, what `make test` uses;
- newest: whatever is newest now.

FLOORS=tests/unit in the environment runs the one floor only. `pinned-newest` means the newest Python of this machine. A
Python that is not there is skipped, which is said where it happens and again in the last lines;
PYTHONS=/opt/python3.14/bin/python,... names those in other places. Environments are kept in .venv/matrix and made again
when pyproject.toml or constraints.txt changes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = Path(sys.prefix)
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ALL = [f"lowest-{PYTHONS[0]}", *(f"{kind}-{python}" for python in PYTHONS for kind in ("pinned", "newest"))]
FLOORS = os.environ.get("FLOORS", "tests/unit tests/integration").split()
EXTRAS = ("emulator", "event-queue", "openlineage")


def main(pairs: list[str]) -> int:
    """Run the pairs, print what came of each, and return an exit status."""
    interpreters = {version: interpreter(version) for version in PYTHONS}
    newest = [version for version in PYTHONS if interpreters[version]][-1]
    outcome: dict[str, str] = {}
    for pair in [name.replace("-newest", f"-{newest}") for name in pairs] or ALL:
        kind, _, version = pair.partition("-")
        if kind not in ("lowest", "pinned", "newest") or version not in PYTHONS:
            sys.exit(f"{pair} is no pair; there are {', '.join(ALL)}.")
        print(f"\n=== {pair}", flush=True)
        python = interpreters[version]
        outcome[pair] = run(kind, version, python) if python else f"SKIPPED: no Python {version} on this machine"
        print(outcome[pair], flush=True)
    print("\n=== Python and dependencies", *(f"{pair:14} {text}" for pair, text in outcome.items()), sep="\n")
    return 0 if all(text.startswith(("passed", "SKIPPED")) for text in outcome.values()) else 1


def interpreter(version: str) -> str | None:
    """Return a Python of this version: from PYTHONS, the PATH or pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = filter(None, os.environ.get("PYTHONS", "").split(","))
    for candidate in [*named, shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))]:
        if candidate:
            code = "import sys, ssl, sqlite3; print('%d.%d' % sys.version_info[:2])"
            answer = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                return str(candidate)
    return None


def run(kind: str, version: str, python: str) -> str:
    """Install and test one pair; return one line about it."""
    begin = time.monotonic()
    folder = VENV / "matrix" / f"{kind}-{version}"
    installed = install(kind, folder, python)
    if installed.returncode:
        return f"FAILED to install, exit status {installed.returncode}"
    command = [str(folder / "bin" / "python"), "-m", "pytest", "-q", "-n", os.environ.get("WORKERS", "auto")]
    azurite = VENV / "share/azurite/node_modules/azurite/dist/src/azurite.js"
    tested = subprocess.run(
        [*command, "-p", "no:cacheprovider", *FLOORS],
        cwd=ROOT,
        env={**os.environ, "AZUREML_EMULATOR_AZURITE": str(azurite)},
        check=False,
    )
    word = "passed" if tested.returncode == 0 else f"FAILED, exit status {tested.returncode}"
    return f"{word} in {time.monotonic() - begin:.0f} s"


def install(kind: str, folder: Path, python: str) -> subprocess.CompletedProcess[bytes]:
    """Make the environment, unless it is there and as new as what it is made from."""
    ready = folder / ".ready"
    sources = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    if (
        kind != "newest"
        and ready.exists()
        and all(ready.stat().st_mtime > source.stat().st_mtime for source in sources)
    ):
        return subprocess.CompletedProcess([], 0)
    uv = [sys.executable, "-m", "uv", "--quiet"]
    into = ["--python", str(folder / "bin" / "python")]
    package = f".[{','.join(EXTRAS)}]"
    more = {
        "lowest": list(lower_bounds()),
        "pinned": ["-c", "constraints.txt"],
        "newest": ["--upgrade"],
    }[kind]
    done = subprocess.run([*uv, "venv", "--clear", "--python", python, str(folder)], cwd=ROOT, check=False)
    if not done.returncode:
        done = subprocess.run(
            [*uv, "pip", "install", "--compile-bytecode", *into, "-e", package, *more], cwd=ROOT, check=False
        )
    if not done.returncode:  # pytest and the like: what is tested stays as it is
        done = subprocess.run([*uv, "pip", "install", *into, "--group", "dev"], cwd=ROOT, check=False)
    if not done.returncode:
        ready.touch()
    return done


def lower_bounds() -> Iterator[str]:
    """Yield the direct dependencies, extras included, each at its lower bound; a bound that is a lie cannot install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirements in (project["dependencies"], *project["optional-dependencies"].values()):
        for requirement in requirements:
            name, bound = re.match(r"([\w.-]+)(?:\[[^]]*\])?>=([\w.]+)", requirement).groups()  # type: ignore[union-attr]
            yield f"{name}=={bound}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
