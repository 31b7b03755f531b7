"""What a release consists of: the same bytes from the same commit, complete, and one version everywhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Any

import audit
import pytest

import airflow_provider_azureml

ROOT = Path(airflow_provider_azureml.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

pytestmark = pytest.mark.slow


def build(folder: Path, **settings: int | str) -> dict[str, bytes]:
    """Build HEAD and return the files."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev" / "release.py"), "--into", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    if subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        pytest.skip("not a git checkout: a release is built from a commit")
    return build(tmp_path_factory.mktemp("first"))


def test_two_builds_of_a_commit_have_the_same_bytes_whatever_the_user_and_the_time(built, tmp_path):
    again = build(tmp_path / "second", umask=0o077, env={**os.environ, "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7"})
    assert {name: hash(data) for name, data in again.items()} == {name: hash(data) for name, data in built.items()}


def test_a_release_is_built_into_an_empty_folder_only(tmp_path):
    (tmp_path / "old.whl").touch()
    done = subprocess.run(
        [sys.executable, str(ROOT / "dev" / "release.py"), "--into", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "is not empty (old.whl)" in done.stderr


def test_the_wheel_says_the_version_of_pyproject_its_license_its_readme_and_where_its_documentation_is(built, tmp_path):
    (wheel,) = (name for name in built if name.endswith(".whl"))
    (tmp_path / wheel).write_bytes(built[wheel])
    with zipfile.ZipFile(tmp_path / wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(files.read(name))
    assert metadata["Version"] == PROJECT["version"] == airflow_provider_azureml.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert re.search(
        r"^Documentation, https://\S+$", metadata["Project-URL"]
    )  # else Airflow links to a page of its own
    assert metadata.get_payload().strip() == (ROOT / "README.md").read_text().strip() or changed("README.md")


def test_the_sdist_holds_what_the_wheel_is_built_from_and_nobodys_name(built, tmp_path):
    (sdist,) = (name for name in built if name.endswith(".tar.gz"))
    (tmp_path / sdist).write_bytes(built[sdist])
    with tarfile.open(tmp_path / sdist) as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    names = {member.name.partition("/")[2] for member in members}
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", "provider/hook.py", "py.typed"} <= names


def reports(monkeypatch: pytest.MonkeyPatch, **services: dict[str, list[dict[str, Any]]]) -> None:
    """Let pip-audit report this, by service and file; where nothing is given, it fails."""

    def ask(service: str, requirements: Path) -> tuple[list[dict[str, Any]], str]:
        found = services.get(service, {}).get("all" if requirements == audit.CONSTRAINTS else "known")
        return (found, "") if found is not None else ([], "no network")

    monkeypatch.setattr(audit, "ask", ask)


FLAWED = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.7.2"]}]}
SOUND = {"name": "aiohttp", "version": "3.13.0", "vulns": []}


def test_an_audit_ends_well_only_if_a_service_that_knows_vulnerabilities_knows_none_of_ours(monkeypatch, capsys):
    reports(monkeypatch, osv={"known": [FLAWED], "all": [SOUND]})
    assert audit.main() == 0
    assert "No vulnerability is known in any of 1 packages" in capsys.readouterr().out


def test_an_audit_names_what_is_vulnerable(monkeypatch, capsys):
    reports(monkeypatch, pypi={"known": [FLAWED], "all": [SOUND, FLAWED]})
    assert audit.main() == 1
    assert "VULNERABLE: jinja2 2.4.1: PYSEC-1, fixed in ['2.7.2']" in capsys.readouterr().out


@pytest.mark.parametrize(
    "services",
    [
        {},
        {"pypi": {"known": [{**FLAWED, "vulns": []}], "all": [SOUND]}},
        {"pypi": {"known": [FLAWED], "all": [SOUND, {"name": "uv", "skip_reason": "not found"}]}},
    ],
    ids=["no network", "a mirror that has no advisories", "a package that the service does not know"],
)
def test_an_audit_that_could_not_ask_is_told_from_one_that_found_nothing(monkeypatch, capsys, services):
    reports(monkeypatch, **services)
    assert audit.main() == 3
    told = capsys.readouterr()
    assert "NOT AUDITED" in told.err + told.out


def changed(name: str) -> bool:
    """Whether the work tree has another file than HEAD, which is what is built."""
    return bool(subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", name], check=False).returncode)
