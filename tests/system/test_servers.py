"""The servers that other tests start: they serve one database, a broker, and leave nothing behind."""

from __future__ import annotations

import socket

import psutil
import pytest

from . import servers


def start(kind: type[servers.PostgreSQL] | type[servers.Valkey]) -> servers.PostgreSQL | servers.Valkey:
    try:
        return kind()
    except servers.MissingError as missing:
        pytest.skip(str(missing))


def test_postgresql_serves_a_database_and_leaves_neither_process_nor_file() -> None:
    with start(servers.PostgreSQL) as server:
        assert server.query("SELECT current_database(), current_user") == [["airflow", "airflow"]]
        processes = server._kept.processes
    assert not [process for process in processes if process.is_running()]
    assert not server.folder.exists()


def test_postgresql_asks_for_the_password() -> None:
    with start(servers.PostgreSQL) as server:
        server.password = "wrong"
        with pytest.raises(Exception, match="password authentication failed"):
            server.query("SELECT 1")


def test_valkey_asks_for_the_password_which_no_list_of_processes_shows() -> None:
    with start(servers.Valkey) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"PING\r\n")
            assert client.recv(64).startswith(b"-NOAUTH")
            client.sendall(f"AUTH {server.password}\r\nPING\r\n".encode())
            assert client.recv(64) == b"+OK\r\n+PONG\r\n"
        lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        assert server.password not in " ".join(word for line in lines for word in line)
