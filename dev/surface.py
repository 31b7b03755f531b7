"""Prints what users of this package name: modules, classes, functions, their parameters; `make surface` keeps it.

It is what cannot change without breaking somebody's DAG files, or the triggers that are stored in Airflow's database.
tests/unit/test_surface.py compares it with tests/surface.txt.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from airflow.triggers.base import BaseTrigger

import airflow_provider_azureml

PACKAGE = airflow_provider_azureml.__name__
ONE_BY_ONE = ("datasets", "sensors", "emulator")
"""Whose `__all__` says what is public."""
BY_NAME = ("provider.operators", "sensors", "provider.hook", "provider.links", "provider.triggers")
"""Whose classes are public if they are called AzureMachineLearning..., bases apart."""


def surface() -> str:
    """Return all of it, one name or parameter a line."""
    found: dict[str, list[str]] = {}
    for module in ONE_BY_ONE:
        package = importlib.import_module(f"{PACKAGE}.{module}")
        for name in package.__all__:
            found[f"{PACKAGE}.{module}.{name}"] = list(_members(getattr(package, name)))
    for module in (name for root in BY_NAME for name in _modules(f"{PACKAGE}.{root}")):
        for name, value in vars(importlib.import_module(module)).items():
            public = name.startswith("AzureMachineLearning") and "Base" not in name
            if public and inspect.isclass(value) and value.__module__ == module and not inspect.isabstract(value):
                found[f"{module}.{name}"] = list(_members(value))
    errors = importlib.import_module(f"{PACKAGE}.provider.errors")
    for name, value in vars(errors).items():
        if inspect.isclass(value) and value.__module__ == errors.__name__:
            bases = ", ".join(base.__name__ for base in value.__bases__)
            found[f"{errors.__name__}.{name}({bases})"] = list(_parameters(value))
    plugin = importlib.import_module(f"{PACKAGE}.emulator.pytest_plugin")
    for name in ("azureml_emulator", "azureml_emulator_session"):
        assert hasattr(plugin, name)
        found[f"pytest fixture {name}"] = []
    return "".join("\n".join([name, *(f"    {line}" for line in found[name])]) + "\n" for name in sorted(found))


def _modules(root: str) -> list[str]:
    path = getattr(importlib.import_module(root), "__path__", None)
    return [root, *(module.name for module in pkgutil.iter_modules(path or [], f"{root}."))] if path else [root]


def _members(value: Any) -> Iterator[str]:
    """Yield the parameters and, of a class that is used by its methods, those too."""
    yield from _parameters(value)
    if not inspect.isclass(value):
        return
    if issubclass(value, BaseTrigger):
        return
    if fields := getattr(value, "template_fields", None):
        yield f"templated: {', '.join(sorted(fields))}"
        return
    own = [base for base in value.__mro__ if base.__module__.startswith(PACKAGE)]
    for name in sorted({name for base in own for name in vars(base) if not name.startswith("_")}):
        member = inspect.getattr_static(value, name)
        if isinstance(member, property) or inspect.ismemberdescriptor(member):
            yield f".{name}"
        elif callable(function := getattr(value, name)):
            yield f".{name}{_signature(function)}"
        else:
            yield f".{name} = {str(member)!r}" if isinstance(member, str) else f".{name}"


def _parameters(value: Any) -> Iterator[str]:
    """Yield what a function or class is called with; of a class also what its bases in this package take."""
    if not inspect.isclass(value):
        yield _signature(value)
        return
    known: set[str] = set()
    for base in value.__mro__:
        if "__init__" not in vars(base):
            continue
        if not base.__module__.startswith(PACKAGE):
            return
        signature = inspect.signature(base.__init__)  # type: ignore[misc]
        parameters = list(signature.parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind is not parameter.VAR_KEYWORD and parameter.name not in known:
                known.add(parameter.name)
                yield ("* " if parameter.kind is parameter.KEYWORD_ONLY else "") + _parameter(parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return
        known |= _passed_on(base)


def _passed_on(cls: type) -> set[str]:
    """Return what a class's `__init__` gives to its base by itself, so that users do not."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(cls.__init__)))  # type: ignore[misc]
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    to_base = [call for call in calls if ast.unparse(call.func) == "super().__init__"]
    return {keyword.arg for call in to_base for keyword in call.keywords if keyword.arg}


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{stars}{parameter.name}{_annotation(parameter.annotation)}{default}"


def _annotation(annotation: Any, mark: str = ": ") -> str:
    """Annotations are text, as `from __future__ import annotations` leaves them: the same for each Python."""
    return "" if annotation is inspect.Parameter.empty else f"{mark}{annotation}"


def _signature(function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    words, named_only = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not named_only:
            words.append("*")
        named_only = named_only or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        if parameter.name != "self":
            words.append(_parameter(parameter))
    return f"({', '.join(words)}){_annotation(signature.return_annotation, ' -> ')}"


if __name__ == "__main__":
    print(surface(), end="")
