"""What a DAG says it wants: a dict, AzureML CLI v2 YAML, an azure-ai-ml entity or a callable, to one checked dict."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..datasets.workspace import Kind, check_asset_name
from .arguments import NO_VALUE
from .errors import SpecError

_TYPES = {
    Kind.DATA: ("uri_folder", "uri_file", "mltable"),
    Kind.MODEL: ("custom_model", "mlflow_model", "triton_model"),
}
# Keys of azure-ai-ml's schemas of data and model.
_TEXT_KEYS = ("name", "version", "type", "path", "description", "datastore", "stage")
_COMMON_KEYS = {"name", "version", "type", "path", "description", "tags", "properties", "datastore"}
_KEYS = {
    Kind.DATA: {*_COMMON_KEYS, "auto_delete_setting"},
    Kind.MODEL: {
        *(_COMMON_KEYS | {"stage", "flavors", "system_metadata"}),
        *("default_deployment_template", "allowed_deployment_templates"),
    },
}
# What AzureML's tools show of a version beside its spec; azure-ai-ml passes over it in YAML that was made of that.
_SHOWN = {
    Kind.DATA: {"$schema", "id", "creation_context", "latest_version"},
    Kind.MODEL: {
        *("$schema", "id", "creation_context", "latest_version", "job_name", "utc_time_created"),
        "intellectual_property",
    },
}
_SCALARS = (str, int, float, datetime.date)  # what YAML has for one value
_DATA_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,29}")


def load_spec(spec: Any, *, noun: str, folder: Path, render: Callable[[Any], Any]) -> tuple[dict[str, Any], Path]:
    """
    Return a spec as a dict, with the folder that its relative paths start from.

    :param spec: a dict; a path to YAML; an azure-ai-ml entity; or a callable without parameters that returns one of
        them.
    :param noun: what it describes, for messages: ``data asset``, ``model``.
    :param folder: the DAG file's folder, from which relative paths in a dict start. Those in YAML start at its own.
    :param render: renders Jinja templates; applied to the values of a YAML file and to what a callable returned
        (Airflow has rendered a dict already).
    :raises SpecError: the file does not exist or is not YAML, or it is none of the above.
    """
    if callable(spec) and not isinstance(spec, type):
        return load_spec(render(spec()), noun=noun, folder=folder, render=render)
    if isinstance(spec, Mapping):
        return dict(spec), folder
    if spec is None or (isinstance(spec, str) and spec.strip() in ("", "None")):
        raise SpecError(f"The {noun} is {spec!r}: {NO_VALUE}.")
    if isinstance(spec, (str, Path)):
        path = folder / spec
        try:
            content = read_yaml(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SpecError(f"The {noun}'s YAML file {path} cannot be read: {error.strerror}.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SpecError(f"The {noun}'s file {path} is not YAML: {error}") from None
        if not isinstance(content, dict):
            raise SpecError(f"The {noun}'s file {path} does not hold a mapping of keys to values.")
        return render(content), path.parent
    if type(spec).__module__.startswith("azure.ai.ml."):
        return _from_entity(spec, noun), folder
    raise SpecError(
        f"The {noun} is given as {type(spec).__name__}; give a dict, a path to YAML, an azure-ai-ml entity, "
        "or a callable that returns one of them."
    )


class _StrictLoader(yaml.SafeLoader):
    """YAML's own rule, which PyYAML does not keep: a key is there once. Else the last one wins, and nobody sees it."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()  # a mapping comes again where another one takes it over with "<<"

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        seen: dict[str, yaml.Node] = {}
        for key, value in node.value if id(node) not in self._checked else ():
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                first = seen.setdefault(key.value, value)
                if first is not value and yaml.serialize(first) != yaml.serialize(value):
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is there twice, with different values", key.start_mark
                    )
        self._checked.add(id(node))
        super().flatten_mapping(node)


def read_yaml(text: str) -> Any:
    """
    Return what YAML says.

    :raises yaml.YAMLError: it is not YAML, or has a key twice with different values.
    """
    return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader


def paths_in_mltable(content: bytes, *, where: str) -> list[str]:
    """
    Return the files, folders and patterns that an ``MLTable`` file names, as AzureML keeps them of a data version.

    :param where: the file, for messages.
    :raises SpecError: it is no such file.
    """
    try:
        paths = yaml.safe_load(content)["paths"]
        found = [path.get("folder") or path.get("file") or path["pattern"] for path in paths]
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
        raise SpecError(
            f"{where} is invalid: it needs 'paths', a list of 'file', 'folder' or 'pattern'. Nothing was uploaded."
        ) from None
    return [str(path) for path in found]


def _from_entity(entity: Any, noun: str) -> dict[str, Any]:
    """The fields of an SDK entity, read without importing the SDK."""
    # An entity made without a name gets a random one; Airflow would then see another asset at each parse.
    if getattr(entity, "_is_anonymous", False):
        raise SpecError(f"The {noun} entity has no name. Give it one: a random name would be another asset each time.")
    values = {key: _plain(getattr(entity, key, None)) for key in _KEYS[Kind.MODEL] | _KEYS[Kind.DATA]}
    return {key: value for key, value in values.items() if value}


def _plain(value: Any) -> Any:
    """Return a part of an SDK entity that is an object of the SDK's as the dict that its YAML would be."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return dict(vars(value)) if type(value).__module__.startswith("azure.ai.ml.entities.") else value


def check_asset_spec(kind: Kind, spec: dict[str, Any]) -> dict[str, Any]:
    """
    Return a data or model spec with defaults filled in, or say what is wrong with it. Asks nobody.

    :raises SpecError: a key is unknown or missing, or a value is one that AzureML refuses.
    """
    noun = "data asset" if kind is Kind.DATA else "model"
    unknown = set(spec) - _KEYS[kind] - _SHOWN[kind]
    if unknown:
        raise SpecError(
            f"The {noun} has unknown keys {', '.join(sorted(map(repr, unknown)))}. "
            f"Known: {', '.join(sorted(_KEYS[kind]))}."
        )
    checked = {key: value for key, value in spec.items() if value is not None and key in _KEYS[kind]}
    _check_values(noun, checked)
    for key in ("name", "path"):
        if not checked.get(key):
            raise SpecError(f"The {noun} needs a {key!r}.")
    try:
        check_asset_name(kind, checked["name"])
    except ValueError as error:
        raise SpecError(str(error)) from None
    checked.setdefault("type", _TYPES[kind][0])
    if kind is Kind.MODEL:  # of models the SDK takes it in any case
        checked["type"] = str(checked["type"]).lower()
    if checked["type"] not in _TYPES[kind]:
        raise SpecError(f"The {noun}'s type {checked['type']!r} is not one of {', '.join(_TYPES[kind])}.")
    if "version" in checked:
        checked["version"] = check_version(kind, checked["version"])
    if "datastore" in checked:
        checked["datastore"] = str(checked["datastore"]).rpartition("/")[2].removeprefix("azureml:")
    for key in ("tags", "properties"):
        checked[key] = _check_texts(noun, key, checked.get(key) or {})
    return checked


def check_version(kind: Kind, version: Any) -> str:
    """
    Return the version of a data asset or model as text.

    :raises SpecError: AzureML does not have such versions.
    """
    if version is None or (isinstance(version, str) and version.strip() in ("", "None")):
        raise SpecError(f"The version is {version!r}: {NO_VALUE}.")
    if isinstance(version, bool) or not isinstance(version, _SCALARS):
        raise SpecError(f"The version is {_described(version)}; it can be text or a number.")
    text = str(version)
    if kind is Kind.MODEL and not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise SpecError(f"{text!r} is invalid as the version of a model: AzureML takes positive integers only.")
    if not _DATA_VERSION.fullmatch(text):
        raise SpecError(
            f"{text!r} is invalid as a version: use 1 to 30 of the characters A-Z a-z 0-9 _ - . "
            "and begin with a letter, a digit or _."
        )
    return text


def _check_values(noun: str, spec: dict[str, Any]) -> None:
    for key, value in spec.items():
        if key == "path" and (isinstance(value, os.PathLike) or hasattr(value, "fs")):
            continue
        if key in _TEXT_KEYS and not isinstance(value, _SCALARS):
            raise SpecError(f"The {noun}'s {key} must be text, not {_described(value)}.")
        if key not in _TEXT_KEYS and key not in ("tags", "properties"):
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                raise SpecError(f"The {noun}'s {key} holds a value that is not JSON: {error}.") from None
            if key == "allowed_deployment_templates":
                _check_templates(noun, key, value)
            elif not isinstance(value, Mapping):
                raise SpecError(f"The {noun}'s {key} must be a mapping, not {_described(value)}.")
            elif key == "default_deployment_template":
                _check_templates(noun, key, [value])


def _check_templates(noun: str, key: str, templates: Any) -> None:
    if not isinstance(templates, list):
        raise SpecError(f"The {noun}'s {key} must be a list, not {_described(templates)}.")
    for template in templates:
        if not isinstance(template, Mapping) or template.keys() - {"asset_id"}:
            raise SpecError(f"The {noun}'s {key} has {_described(template)}; a template is given by its 'asset_id'.")


def _check_texts(noun: str, key: str, value: Any) -> dict[str, str]:
    """AzureML's tags and properties are text to text; numbers and booleans in YAML are meant as text."""
    if not isinstance(value, Mapping):
        raise SpecError(f"The {noun}'s {key} must be a mapping of text to text, not {_described(value)}.")
    for name, item in value.items():
        if item is not None and not isinstance(item, _SCALARS):
            raise SpecError(f"The {noun}'s {key} must be a mapping of text to text; {name!r} is {_described(item)}.")
    return {str(name): str(item) for name, item in value.items() if item is not None}


def _described(value: Any) -> str:
    """A value as messages show it: JSON as it is, of other things the type (their text can be long, or secret)."""
    return repr(value) if isinstance(value, (Mapping, list, *_SCALARS)) else f"a Python object ({type(value).__name__})"
