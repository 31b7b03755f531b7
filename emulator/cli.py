"""`azureml-emulator`: start the emulator from a shell, and see what it is asked."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .emulator import Emulator
from .processes import azurite
from .processes.children import EmulatorError
from .processes.clouds import cloud_of

_PORTS = {"control": "the control API", "proxy": "the proxy", "service": "the service"}
_POLL = 0.25


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "install-azurite":
            print(azurite.install())
            return 0
        return _run(options)
    except EmulatorError as error:
        print(f"azureml-emulator: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="azureml-emulator",
        description="A local AzureML workspace for tests: unmodified Azure SDKs talk to it instead of Azure.",
        epilog="`azureml-emulator install-azurite` installs the storage emulator that it needs.",
    )
    parser.add_argument("command", nargs="?", choices=["run", "install-azurite"], default="run")
    parser.add_argument("--persist", type=Path, metavar="DIR", help="keep the state in this folder")
    parser.add_argument("--jobs", choices=["run", "driven"], default="run", help="whether jobs run on by themselves")
    parser.add_argument("--job-seconds", type=float, default=10.0, help="how long a job takes (default: 10)")
    parser.add_argument("--workspace", default="emulated", help="the workspace's name (default: emulated)")
    parser.add_argument("--throttle", action="store_true", help="enforce ARM's limits on requests")
    parser.add_argument("--unkind", action="store_true", help="short pages, lists that lag, limits, and so on")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="write what others have to set to this file")
    parser.add_argument("--quiet", action="store_true", help="do not show calls")
    for name, what in _PORTS.items():
        parser.add_argument(f"--{name}-port", type=int, help=f"the port of {what} (default: a free one)")
    return parser


def _run(options: argparse.Namespace) -> int:
    ports = {name: getattr(options, f"{name}_port") for name in _PORTS}
    emulator = Emulator(
        options.persist,
        jobs=options.jobs,
        job_seconds=options.job_seconds,
        unkind=options.unkind,
        throttle=options.throttle or None,
        workspace_name=options.workspace,
        ports={name: port for name, port in ports.items() if port},
    )
    with _interruptible(), emulator:
        if options.env_file:
            write_environment(emulator, options.env_file)
        print(introduction(emulator), flush=True)
        try:
            _show_calls(emulator, quiet=options.quiet)
        except KeyboardInterrupt:
            print("stopping", flush=True)
    return 0


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    try:
        yield
    except KeyboardInterrupt:
        print("stopped", flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def introduction(emulator: Emulator) -> str:
    """Return what to paste into another shell."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in emulator.environment.items()]
    connection = f"airflow connections add azureml --conn-json {shlex.quote(emulator.connection_json)}"
    return "\n".join(
        [
            f"# AzureML emulator: workspace {emulator.workspace_name}, control API at {emulator.control_url}",
            "# In the shell of whoever is to talk to it:",
            *exports,
            connection,
            "# Calls as they come; stop with Ctrl-C.",
        ]
    )


def write_environment(emulator: Emulator, path: Path) -> None:
    """
    Write what a shell or a container has to set to talk to the emulator, with Airflow's connection `azureml`.

    It holds the emulator's (made-up) secret, so it is for this user's eyes alone; it is there whole or not at all.
    """
    workspace = (
        f"/subscriptions/{emulator.subscription_id}/resourceGroups/{emulator.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{emulator.workspace_name}"
    )
    values = {
        **emulator.environment,
        "AIRFLOW_CONN_AZUREML": emulator.connection_json,
        "AZUREML_WORKSPACE_ID": workspace,
    }
    unfinished = path.with_suffix(".unfinished")
    unfinished.touch(0o600)
    unfinished.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items()))
    unfinished.replace(path)


def line(call: dict[str, Any]) -> str:
    """Return one call as a line of the log."""
    at = time.strftime("%H:%M:%S", time.localtime(call["at"]))
    path = call["path"].rpartition("/Microsoft.MachineLearningServices/")[2]
    if call["host"].endswith(cloud_of(call["host"]).storage):
        path = f"{call['host'].split('.')[1]}:{path}"
    remark = f"  [{call['fault']}]" if call["fault"] else "" if call["known"] else "  [unknown route]"
    return f"{at} {call['status'] or '---'} {call['method']:6} {call['milliseconds']:7.1f} ms  {path}{remark}"


def _show_calls(emulator: Emulator, *, quiet: bool) -> None:
    seen = 0
    while True:
        time.sleep(_POLL)
        if not emulator.running:
            raise EmulatorError("the service has ended")
        if quiet:
            continue
        for call in emulator.calls(host=".", after=seen):
            if call["milliseconds"] == 0:
                break  # not answered yet: show it next time, in its place
            print(line(call), flush=True)
            seen = call["number"]


if __name__ == "__main__":
    sys.exit(main())
