"""
Checks of what a DAG gives an operator or sensor, without asking anybody.

While a DAG is parsed a wrong value is an import error, not a failed task; what holds a template is known at run time
only, and checked then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..datasets.workspace import ASSET_NAME, Registry, Workspace
from .errors import SpecError

NO_VALUE = "no value. A template may have found none, e.g. no XCom of an earlier task"
_SCALARS = (str, int, float, bool)


def check_choice(argument: str, value: Any, choices: tuple[str, ...]) -> None:
    """
    Say that an argument is none of what it can be. What holds a template is known at run time only, and left alone.

    :raises SpecError: it is none of the choices.
    """
    if value not in choices and not is_template(value):
        *others, last = map(repr, choices)
        raise SpecError(f"{argument} is {value!r}; it can be {', '.join(others)} or {last}.")


def check_seconds(argument: str, value: Any, *, optional: bool = False, zero: bool = False) -> None:
    """
    Say that an argument is no number of seconds above 0.

    :param optional: whether None will do, too.
    :param zero: whether 0 will do, too.
    :raises SpecError: it is none.
    """
    if optional and value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
    if not number or not (value or zero):
        least = "from 0 on" if zero else "above 0"
        raise SpecError(f"{argument} is {value!r}; it can be a number of seconds {least}{', or None' * optional}.")


def check_owner(what: type, workspace: Any) -> None:
    """
    Say that an argument ``workspace`` is none, or a registry where only a workspace has such things: jobs, computes,
    endpoints, schedules.

    :param what: the operator's or sensor's class; ``takes_registry`` there says that registries have it too.
    :raises SpecError: it is.
    """  # noqa: D205
    if workspace is not None and not isinstance(workspace, (Workspace, Registry)):
        raise SpecError(
            f"workspace is {workspace!r}; it can be a Workspace of airflow_provider_azureml.datasets, such as "
            "Workspace.from_id('/subscriptions/...'), or None."
        )
    if isinstance(workspace, Registry) and not getattr(what, "takes_registry", False):
        raise SpecError(
            f"workspace is registry {workspace.name!r}, and {what.__name__} needs a workspace: registries hold models, "
            "data, environments and components, and nothing that runs."
        )


def check_flag(argument: str, value: Any, *, optional: bool = False) -> None:
    """
    Say that an argument is neither True nor False: the text "false" would count as true.

    :param optional: whether None will do, too.
    :raises SpecError: it is neither.
    """
    if not isinstance(value, bool) and not (optional and value is None):
        raise SpecError(f"{argument} is {value!r}; it can be True or False{', or None' * optional}.")


def check_conn_id(value: Any) -> None:
    """
    Say that an argument ``conn_id`` names no connection.

    :raises SpecError: it is empty, or no text.
    """
    if not is_template(value) and (not isinstance(value, str) or value.strip() in ("", "None")):
        raise SpecError(f"conn_id is {value!r}; it is the id of an Airflow connection of type azure_machine_learning.")


def check_name(noun: str, value: Any, *, parsing: bool = False) -> str:
    """
    Return a name if AzureML can have something of that name.

    It refuses what the service takes for nothing at all. Some nouns have stricter rules, of which the service tells.

    :param noun: of what: ``model``, ``compute``.
    :param parsing: whether a DAG is parsed now: a template is let through then.
    :raises SpecError: it is empty, no text, or not a name.
    """
    if parsing and is_template(value):
        return str(value)
    if value is None or (isinstance(value, str) and value.strip() in ("", "None")):
        raise SpecError(f"The {noun}'s name is {value!r}: {NO_VALUE}.")
    if isinstance(value, Mapping) and "name" in value:
        raise SpecError(f"The {noun}'s name is given as a dict; of what an earlier task returned, take its ['name'].")
    if not isinstance(value, str):
        raise SpecError(f"The {noun}'s name is given as {type(value).__name__}, not as text.")
    if not ASSET_NAME.fullmatch(value):
        hint = " Leave out 'azureml:' and the version." if value.startswith("azureml:") else ""
        raise SpecError(
            f"The {noun}'s name {value[:300]!r} is invalid: use 1 to 255 of the characters A-Z a-z 0-9 _ - . and begin "
            f"with a letter, a digit or _.{hint}"
        )
    return value


def check_tags(value: Any, *, removable: bool = False, parsing: bool = False) -> dict[str, str | None]:
    """
    Return tags as text to text; numbers and booleans are meant as text.

    :param removable: whether a value may be None.
    :param parsing: whether a DAG is parsed now: a template is let through then.
    :raises SpecError: it is no mapping of text to text.
    """
    if not isinstance(value, Mapping):
        if parsing and is_template(value) and not isinstance(value, (list, tuple, set)):
            return {}
        raise SpecError(f'tags must be a mapping of text to text, such as {{"stage": "production"}}, not {value!r}.')
    for name, item in value.items():
        if not isinstance(name, str) or not name.strip():
            raise SpecError(f"tags must be a mapping of text to text; {name!r} is no name of a tag.")
        if item is None and not removable:
            raise SpecError(f"The tag {name!r} is None: {NO_VALUE}. The value of an empty tag is ''.")
        if item is not None and not isinstance(item, _SCALARS) and not (parsing and is_template(item)):
            what = repr(item) if isinstance(item, (Mapping, list)) else f"a Python object ({type(item).__name__})"
            raise SpecError(f"tags must be a mapping of text to text; {name!r} is {what}.")
    return {name: None if item is None else str(item) for name, item in value.items()}


def check_metrics(value: Any, owner: Any) -> None:
    """
    Say that ``metrics`` is no flag, or asked of a registry: its versions do not tell in which workspace their job is.

    :param owner: whose versions they are.
    :raises SpecError: it is so.
    """
    check_flag("metrics", value)
    if value and isinstance(owner, Registry):
        raise SpecError(
            f"metrics is True, and the versions are of registry {owner.name!r}: it does not tell in which workspace "
            "the job is that made them. Ask for the metrics where the version is made, and share them as tags."
        )


def check_get_logs(value: Any) -> None:
    """
    Say that ``get_logs`` is none of what it can be.

    :raises SpecError: it is none.
    """
    if not isinstance(value, bool) and value != "all_nodes":
        raise SpecError(f"get_logs is {value!r}; it can be True, False or 'all_nodes'.")


def is_template(value: Any) -> bool:
    """Return whether a value is known at run time only: a Jinja template, or another task's XCom."""
    return not isinstance(value, (str, int, float, type(None))) or (isinstance(value, str) and "{" in value)
