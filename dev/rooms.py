"""Which module of the package imports which, and the rooms that they are in."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "airflow_provider_azureml"
FLOORS = ["datasets", "provider", "sensors"]
SHIPPED = [*FLOORS, "emulator"]


def modules(*folders: str) -> list[Path]:
    """Return the files of these folders, in order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """Return a module's name below the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in modules(*SHIPPED)}


def imports(path: Path) -> set[str]:
    """Return the modules of this package that a module imports, anywhere in it, those for types included."""
    here = path.relative_to(ROOT).with_suffix("").parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*here[: -node.level], *(node.module or "").split(".")]).rstrip(".")
            names = {f"{base}.{alias.name}".lstrip(".") for alias in node.names}
            found |= names & MODULES.keys() | ({base} & MODULES.keys() if names - MODULES.keys() else set())
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {node.module or ""} if isinstance(node, ast.ImportFrom) else {alias.name for alias in node.names}
            assert not any(name.split(".")[0] == PACKAGE for name in names), f"{path}: use relative imports"
    return found - {name_of(path)}


def room_of(module: str) -> str:
    """Return the room that a module is in; a module that serves several rooms is one by itself."""
    house, _, rest = module.partition(".")
    return house if house in ("datasets", "sensors") or not rest else f"{house}.{rest.partition('.')[0]}"
