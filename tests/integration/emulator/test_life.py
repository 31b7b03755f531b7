"""Start, crash, restart, stop."""

from __future__ import annotations

import inspect
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_azureml.emulator import Emulator, EmulatorError, pytest_plugin

MODEL = {"properties": {"modelUri": "azureml://jobs/j/outputs/m", "modelType": "custom_model"}}


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(persist=tmp_path / "state") as emulator:
        yield emulator


def call(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    """One call with requests, through the proxy, checking certificates."""
    import requests

    workspace = (
        f"/subscriptions/{emulator.subscription_id}/resourceGroups/{emulator.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{emulator.workspace_name}"
    )
    environment = emulator.environment
    with requests.Session() as session:
        session.trust_env = False
        return session.request(
            method,
            f"https://management.azure.com{workspace}{path}?api-version=2024-10-01",
            json=body,
            headers={"Authorization": f"Bearer {emulator.token()}"},
            proxies={"https": environment["HTTPS_PROXY"]},
            verify=environment["REQUESTS_CA_BUNDLE"],
            timeout=60,
        )


def blob(emulator: Emulator) -> Any:
    """A blob in the artifact store's container, with the account's key."""
    from azure.storage.blob import BlobClient

    environment = emulator.environment
    return BlobClient(
        f"https://{emulator.storage_account}.blob.core.windows.net",
        "azureml",
        "kept.txt",
        credential=emulator.storage_key,
        proxies={"https": environment["HTTPS_PROXY"]},
        connection_verify=environment["REQUESTS_CA_BUNDLE"],
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]


def test_it_starts_in_less_than_five_seconds() -> None:
    """Counted in processor time of all its processes, as this machine may have other things to do."""

    def spent(pid: int) -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    began = time.process_time()
    with Emulator() as emulator:
        own = time.process_time() - began
        assert own + sum(spent(pid) for pid in emulator.pids.values()) < 5


def test_a_crash_keeps_the_state(emulator: Emulator) -> None:
    import requests

    assert call(emulator, "PUT", "/models/m/versions/1", MODEL).status_code == 201
    assert (
        call(
            emulator,
            "PUT",
            "/jobs/j",
            {"properties": {"jobType": "Command", "command": "echo", "environmentId": "azureml:e:1"}},
        ).status_code
        == 201
    )
    token, before = emulator.token(), emulator.advance(1800)
    emulator.misbehave("PUT", "/models/", crash=True, lose_answer=True)
    with pytest.raises(requests.ConnectionError):
        call(emulator, "PUT", "/models/m/versions/2", MODEL)
    while emulator.running:
        time.sleep(0.01)

    with pytest.raises(EmulatorError, match="does not answer"):
        emulator.calls()
    emulator.restart()
    assert emulator.clock > before
    assert call(emulator, "GET", "/models/m/versions/2").status_code == 200
    emulator.advance(60)
    assert call(emulator, "GET", "/jobs/j").json()["properties"]["status"] == "Completed"
    assert emulator.token() != token


def test_while_it_is_down_the_proxy_says_so(emulator: Emulator) -> None:
    import requests

    token = emulator.token()
    emulator.kill()
    with pytest.raises(requests.exceptions.ProxyError, match="502"):
        requests.get(
            "https://management.azure.com/",
            headers={"Authorization": f"Bearer {token}"},
            proxies={"https": emulator.environment["HTTPS_PROXY"]},
            verify=emulator.environment["REQUESTS_CA_BUNDLE"],
            timeout=60,
        )


def test_unknown_hosts_are_refused(emulator: Emulator) -> None:
    import requests

    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        requests.get("https://example.org/", proxies={"https": emulator.environment["HTTPS_PROXY"]}, timeout=60)


def test_a_folder_keeps_everything_from_one_run_to_the_next(tmp_path: Path) -> None:
    with Emulator(persist=tmp_path) as first:
        assert call(first, "PUT", "/models/m/versions/1", MODEL).status_code == 201
        blob(first).upload_blob(b"kept")
        identity = (first.tenant_id, first.client_secret, first.storage_key)
        authority = Path(first.environment["SSL_CERT_FILE"]).read_bytes()
    with Emulator(persist=tmp_path) as second:
        assert call(second, "GET", "/models/m/versions/1").status_code == 200
        assert blob(second).download_blob().readall() == b"kept"
        assert (second.tenant_id, second.client_secret, second.storage_key) == identity
        assert Path(second.environment["SSL_CERT_FILE"]).read_bytes() == authority


def test_nothing_is_left_after_stop() -> None:
    emulator = Emulator().start()
    pids, folder = emulator.pids, Path(emulator.environment["SSL_CERT_FILE"]).parents[1]
    assert all(alive(pid) for pid in pids.values())
    emulator.stop()

    assert not any(alive(pid) for pid in pids.values())
    assert not folder.exists()


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from airflow_provider_azureml.emulator import Emulator;"
        "e = Emulator(sys.argv[1]).start(); print(*e.pids.values(), flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
        parent.send_signal(signal.SIGKILL)
        parent.wait()

        deadline = time.monotonic() + 5
        while any(alive(pid) for pid in pids):
            assert time.monotonic() < deadline, "still there"
            time.sleep(0.05)


def test_only_loopback_is_listened_on(emulator: Emulator) -> None:
    ports = {f"{port:04X}" for port in emulator.ports.values()}
    listening = "0A"
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, port = local.split(":")
            if state == listening and port in ports:
                assert address == loopback


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("control", "the service: port {port} is not free: [^\n]*"),
        ("proxy", "the proxy: port {port} is not free: [^\n]*"),
        ("blob", "Azurite: [^\n]*EADDRINUSE[^\n]*{port}"),
    ],
)
def test_a_busy_port_is_one_clear_line(name: str, line: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorError, match=f"^{line.format(port=port)}$"):
            Emulator(ports={name: port}).start()


def test_a_missing_azurite_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_EMULATOR_AZURITE", "/nowhere/azurite.js")
    with pytest.raises(EmulatorError, match=r"^Azurite is not installed: run `azureml-emulator install-azurite`$"):
        Emulator().start()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmulatorError, match=r"^cannot write to [^\n]*: Not a directory$"):
        Emulator(persist=tmp_path / "file" / "below").start()


def test_each_test_gets_a_clean_workspace(azureml_emulator_session: Emulator) -> None:
    give = contextmanager(inspect.unwrap(pytest_plugin.azureml_emulator))
    with pytest.MonkeyPatch.context() as patch, give(azureml_emulator_session, patch) as one:
        assert call(one, "PUT", "/models/fraud/versions/1", MODEL).status_code == 201
        one.configure(list_delay=0)
        assert [model["name"] for model in call(one, "GET", "/models").json()["value"]] == ["fraud"]
        one.misbehave("GET", "/models", status=500)
    with pytest.MonkeyPatch.context() as patch, give(azureml_emulator_session, patch) as another:
        assert another.emulator is azureml_emulator_session
        assert (another.calls(), another.faults) == ([], [])
        another.configure(list_delay=0)
        assert call(another, "GET", "/models").json()["value"] == []
