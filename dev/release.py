"""Build the sdist and the wheel of a commit, the same bytes each time and on each machine.

    python dev/release.py [COMMIT] [--into FOLDER]

What is built is the commit (HEAD unless given), not the work tree, with the setuptools of constraints.txt. Times in
the archives are the commit's (SOURCE_DATE_EPOCH, if the environment has none). setuptools writes wheels like that by
itself; the sdist is packed anew.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Build, check, and print the names and hashes."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("commit", nargs="?", default="HEAD")
    parser.add_argument("--into", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    for file in build(options.commit, options.into):
        print(hashlib.sha256(file.read_bytes()).hexdigest(), file.name)
    if (
        "learn.microsoft.com"
        in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Documentation"]
    ):
        print("Not for upload: [project.urls] Documentation is not this provider's own yet (docs/releasing.md).")


def build(commit: str, folder: Path) -> list[Path]:
    """Build a commit into a folder, which must hold nothing else, and return the sdist and the wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    if old := sorted(folder.iterdir()):
        sys.exit(f"{folder} is not empty ({old[0].name}): a release is uploaded from it, so nothing else may be there.")
    date = subprocess.run(
        ["git", "-C", str(ROOT), "show", "-s", "--format=%ct", commit], check=True, capture_output=True, text=True
    )
    environment = {
        "SOURCE_DATE_EPOCH": date.stdout.strip(),
        **os.environ,
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
    }
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary, "source")
        tree = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
            archive.extractall(source, filter="data")
        built = Path(temporary, "built")
        subprocess.run(
            [sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(built), str(source)],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
            umask=0o022,  # the wheel holds permissions
        )
        (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
        pack_anew(sdist, folder / sdist.name, int(environment["SOURCE_DATE_EPOCH"]))
        (folder / wheel.name).write_bytes(wheel.read_bytes())
    return [folder / sdist.name, folder / wheel.name]


def pack_anew(archive: Path, into: Path, date: int) -> None:
    """Write a tar archive again: sorted, with one date, nobody's names, and the same permissions everywhere."""
    plain = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = date, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    into.write_bytes(gzip.compress(plain.getvalue(), mtime=date))


if __name__ == "__main__":
    main()
