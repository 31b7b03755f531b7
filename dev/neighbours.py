"""Install the wheel beside the newest of the large providers, and import all of it.

    python dev/neighbours.py

It finds what no pinned environment can: a dependency of ours that the newest amazon, google, microsoft-azure or
databricks provider does not go with, or a module that fails with the versions that come of them together.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEIGHBOURS = ["amazon", "google", "microsoft-azure", "databricks"]

LISTED = """
from airflow.providers_manager import ProvidersManager
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
providers = ProvidersManager().providers
print(*(f"{name}=={providers[name].version}" for name in sorted(providers)), sep="\\n")
assert ProvidersManagerTaskRuntime().hooks["azure_machine_learning"].hook_name == "Azure Machine Learning"
"""


def main() -> None:
    """Install, check, import; any failure ends it with an exit status other than 0."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = build(folder)
        environment = folder / "environment"
        python = str(environment / "bin" / "python")
        uv("venv", "--python", sys.executable, str(environment))
        packages = [f"apache-airflow-providers-{name}" for name in NEIGHBOURS]
        uv("pip", "install", "--python", python, f"{wheel}[emulator,event-queue,openlineage]", *packages)
        uv("pip", "check", "--python", python)
        home = {"AIRFLOW_HOME": str(folder / "airflow"), "PATH": "/usr/bin:/bin"}
        for command in ([str(ROOT / "dev" / "import_all.py")], ["-c", LISTED]):
            subprocess.run([python, *command], check=True, cwd=folder, env=home)
        print("neighbours: ok, with the newest of", ", ".join(packages))


def build(folder: Path, root: Path = ROOT) -> Path:
    """
    Build the wheel of a checkout into a folder, by way of the sdist.

    From the checkout itself, setuptools would take in whatever an older build has left in ``build/lib``.
    """
    uv("build", "--out-dir", str(folder), str(root))
    (wheel,) = folder.glob("*.whl")
    return wheel


def uv(*arguments: str) -> None:
    """Run uv."""
    subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=True)


if __name__ == "__main__":
    main()
