"""The command, as a person runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_azureml.emulator.processes import azurite

COMMAND = [sys.executable, "-m", "airflow_provider_azureml.emulator.cli"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "--persist", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a shell starts background jobs
    ) as process:
        yield process
        process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    pytest.fail(f"no {text!r} in {lines}")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_to_paste_shows_calls_and_stops_cleanly(
    running: subprocess.Popen[str], number: signal.Signals
) -> None:
    lines = read_until(running, "Ctrl-C")
    exports = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines if line.startswith("export "))
    assert {"HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NO_PROXY"} <= set(exports)
    assert any(line.startswith("airflow connections add azureml --conn-json '{") for line in lines)
    pids = children(running.pid)
    assert len(pids) == 3

    subprocess.run(
        [
            sys.executable,
            "-c",
            "import requests; requests.get('https://management.azure.com/nothing?api-version=2022-12-01')",
        ],
        env={**os.environ, **exports},
        check=True,
    )
    assert "401 GET" in read_until(running, "/nothing")[-1]

    running.send_signal(number)
    assert running.stdout is not None
    assert "Traceback" not in running.stdout.read()
    assert running.wait(10) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_what_it_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    arguments = ["--persist", str(tmp_path / "state"), "--env-file", str(environment)]
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        read_until(process, "Ctrl-C")
        names = {line.partition("=")[0] for line in environment.read_text().splitlines()}
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        open_to_others = [path.name for path in files if path.stat().st_mode & 0o077 and path.suffix != ".pem"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert {"HTTPS_PROXY", "AIRFLOW_CONN_AZUREML", "AZUREML_WORKSPACE_ID"} <= names
    assert {"state.sqlite", "emulator.json", "environment"} <= {path.name for path in files}
    assert open_to_others == []


def test_an_error_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run([*COMMAND, "--persist", str(tmp_path / "file")], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("azureml-emulator: cannot write to ")
    assert done.stderr.count("\n") == 1


def test_azurite_is_installed_once() -> None:
    done = subprocess.run([*COMMAND, "install-azurite"], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("azurite.js")


def test_a_machine_without_nodejs_gets_azurite_with_the_npm_that_a_package_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command = azurite.npm()
    assert all(sys.prefix in word for word in command)
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split(".")[0].isdigit()
