"""Writes emulator/core/published.json: what Microsoft's published models say of the bodies that clients send.

Source: the typed models inside azure-ai-ml, api-version 2025-12-01. tests/unit/test_published.py compares.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
import typing
import warnings
from enum import Enum
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "emulator" / "core" / "published.json"
ROOTS = (
    "JobBase",
    "ModelContainer",
    "ModelVersion",
    "DataContainer",
    "DataVersionBase",
    "EnvironmentContainer",
    "EnvironmentVersion",
    "ComponentContainer",
    "ComponentVersion",
    "CodeContainer",
    "CodeVersion",
    "Datastore",
    "ComputeResource",
    "OnlineEndpoint",
    "OnlineDeployment",
    "BatchEndpoint",
    "BatchDeployment",
    "Schedule",
)
_PLAIN = {str: "text", int: "number", float: "number", bool: "flag"}


class Tables:
    """The models that the roots lead to."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = "azure.ai.ml._restclient.arm_ml_service"
            self._models = importlib.import_module(f"{package}.models")
            self._base = importlib.import_module(f"{package}._utils.model_base").Model
        self.members: dict[str, dict[str, str]] = {}
        self.kinds: dict[str, list[Any]] = {}
        self.enums: dict[str, list[str]] = {}
        for name in ROOTS:
            self._add(getattr(self._models, name))

    def _add(self, model: Any) -> str:
        name = str(model.__name__)
        if name in self.members:
            return name
        self.members[name] = found = {}
        hints = typing.get_type_hints(model, {**vars(sys.modules[model.__module__]), "_models": self._models})
        for base in reversed(model.__mro__):
            for attribute, field in vars(base).items():
                if not hasattr(field, "_rest_name_input"):
                    continue
                hint = hints[attribute]
                required = type(None) not in typing.get_args(hint)
                read_only = field._visibility == ["read"]
                kind = self._type(hint)
                found[field._rest_name_input or attribute] = (
                    ("-" if read_only else "") + kind + ("!" if required else "")
                )
        self._add_kinds(model, name)
        return name

    def _add_kinds(self, model: Any, name: str) -> None:
        mapping = vars(model).get("__mapping__") or {}
        fields = {
            (f._rest_name_input or a): f
            for b in model.__mro__
            for a, f in vars(b).items()
            if hasattr(f, "_is_discriminator")
        }
        by = next((key for key, field in fields.items() if field._is_discriminator), None)
        kinds = {str(getattr(value, "value", value)): kind for value, kind in mapping.items() if kind is not model}
        if by is not None and kinds:
            self.kinds[name] = [by, {value: self._add(kind) for value, kind in kinds.items()}]

    def _type(self, hint: Any) -> str:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            kinds = [one for one in arguments if one is not type(None)]
            enums = [one for one in kinds if isinstance(one, type) and issubclass(one, Enum)]
            return self._type((enums or kinds)[0]) if enums or len(kinds) == 1 else "any"
        if origin in (list, dict):
            inner = self._type(arguments[-1])
            return f"[{inner}]" if origin is list else f"{{{inner}}}"
        if isinstance(hint, type) and issubclass(hint, Enum):
            self.enums[hint.__name__] = [str(one.value) for one in hint]
            return f"={hint.__name__}"
        if isinstance(hint, type) and issubclass(hint, self._base):
            return self._add(hint)
        return _PLAIN.get(hint, "any")

    def text(self) -> str:
        """Return the page."""
        table = {"members": self.members, "kinds": self.kinds, "enums": self.enums}
        lines = []
        for name, part in table.items():
            rows = (
                f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}"
                for key, value in sorted(part.items())
            )
            lines.append(f' "{name}": {{\n' + ",\n".join(rows) + "\n }")
        return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    PAGE.write_text(Tables().text())
