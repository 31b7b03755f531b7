"""Checks of an operator's arguments while a DAG is parsed: a wrong one is an import error, not a failed task."""

from __future__ import annotations

from typing import Any

from ..datasets.workspace import Registry
from .errors import SpecError


def check_choice(argument: str, value: Any, choices: tuple[str, ...]) -> None:
    """
    Say that an argument is none of what it can be. What holds a template is known at run time only, and left alone.

    :raises SpecError: it is none of the choices.
    """
    if value not in choices and not is_template(value):
        *others, last = map(repr, choices)
        raise SpecError(f"{argument} is {value!r}; it can be {', '.join(others)} or {last}.")


def check_seconds(argument: str, value: Any, *, optional: bool = False) -> None:
    """
    Say that an argument is no number of seconds above 0.

    :param optional: whether None will do, too.
    :raises SpecError: it is none.
    """
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise SpecError(f"{argument} is {value!r}; it can be a number of seconds above 0{', or None' * optional}.")


def check_owner(what: type, workspace: Any) -> None:
    """
    Say that an operator or sensor is of what only a workspace has: jobs, computes, endpoints, schedules.

    :param what: its class; ``takes_registry`` there says that registries have it too.
    :raises SpecError: ``workspace`` is a registry, and it is.
    """
    if isinstance(workspace, Registry) and not getattr(what, "takes_registry", False):
        raise SpecError(
            f"workspace is registry {workspace.name!r}, and {what.__name__} needs a workspace: registries hold models, "
            "data, environments and components, and nothing that runs."
        )


def is_template(value: Any) -> bool:
    """Return whether a value is known at run time only: a Jinja template, or another task's XCom."""
    return not isinstance(value, (str, int, float, type(None))) or (isinstance(value, str) and "{" in value)
