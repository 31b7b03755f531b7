"""What users install: the wheel, in an environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import neighbours

import airflow_provider_azureml

ROOT = Path(airflow_provider_azureml.__file__).parent
PACKAGE = "airflow_provider_azureml"


def uv(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True, cwd=ROOT)


def test_the_wheel_holds_the_package_alone_and_every_module_of_it_imports(tmp_path):
    wheel = neighbours.build(tmp_path)
    files = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in files} == {PACKAGE}
    folders = {name.split("/")[1] for name in files if name.count("/") > 1}
    assert folders == {"datasets", "provider", "sensors", "emulator"}
    assert f"{PACKAGE}/py.typed" in files

    environment = tmp_path / "environment"
    uv("venv", "--python", sys.executable, str(environment))
    python = str(environment / "bin" / "python")
    uv("pip", "install", "--python", python, "-c", "constraints.txt", f"{wheel}[emulator]")
    done = subprocess.run(
        [python, str(ROOT / "dev" / "import_all.py")], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    count, where = done.stdout.splitlines()[-1].split()
    assert int(count) == len([name for name in files if name.endswith(".py")]) - 1
    assert where.startswith(str(environment))


def test_what_an_older_build_has_left_is_not_in_the_wheel(tmp_path):
    """Built from a checkout that holds a module which is gone since."""
    checkout = tmp_path / "checkout"
    shutil.copytree(
        ROOT, checkout, ignore=shutil.ignore_patterns(".*", "build", "dist", "tests", "docs", "__pycache__")
    )
    stale = checkout / "build" / "lib" / PACKAGE / "provider" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    wheel = neighbours.build(tmp_path / "built", checkout)
    names = zipfile.ZipFile(wheel).namelist()
    assert f"{PACKAGE}/provider/hook.py" in names
    assert f"{PACKAGE}/provider/stale.py" not in names
