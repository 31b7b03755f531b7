"""azure-ai-ml, tamed: specs become its entities, its errors this provider's, and it keeps to itself while it works."""

from __future__ import annotations

import contextlib
import copy
import gc
import importlib
import io
import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from .errors import AzureMachineLearningError, SpecError, TransientError
from .specs import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .connection import WorkspaceConnection

log = logging.getLogger(__name__)

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Around what it says of a missing asset, the SDK puts advice for users of its command line.
_ADVICE = re.compile(r".*Details:\s*\(x\)\s*|\s*Resolutions:.*", re.DOTALL)

# What the SDK raises beside its own errors; the last two where it takes for granted what a spec does not have.
_OF_A_BROKEN_SPEC = (OSError, KeyError, ValueError, TypeError, AttributeError, NotImplementedError)

# What Python says of a spec that lacks a key which an entity must have.
_MISSING = re.compile(r"\w+\.__init__\(\) missing \d+ required (?:keyword-only|positional) arguments?: ")


def load_sdk() -> None:
    """
    Import azure-ai-ml with the garbage collector at rest.

    All that it makes stays, and to walk it again and again takes an eighth of the 3 seconds
    (``benchmarks/sdk_import.py``).

    At its import it gives its logger a handler that writes to standard error, from INFO on, which Airflow shows as
    errors. Here what it says is logged as anything is, from WARNING on.
    """
    if "azure.ai.ml" not in sys.modules:
        collects = gc.isenabled()
        gc.disable()
        try:
            importlib.import_module("azure.ai.ml")
        finally:
            if collects:
                gc.enable()
    if (own := logging.getLogger("azure.ai.ml")).handlers:
        own.handlers.clear()
        own.propagate = True
        own.setLevel(logging.WARNING)


def is_entity(spec: Any) -> bool:
    """Return whether a spec is an azure-ai-ml entity, without importing the SDK. Some entities are callable."""
    return not isinstance(spec, type) and type(spec).__module__.startswith("azure.ai.ml.")


class Entity:
    """
    An SDK entity as an operator's field.

    Airflow makes a DAG version of each new text of a field, and an entity's own text can hold random names and the
    folder of the moment; so it is told this one instead.
    """

    def __init__(self, entity: Any) -> None:
        self.entity = entity

    def serialize(self) -> str:
        """Return what Airflow stores and shows for the field."""
        return f"azure-ai-ml {type(self.entity).__name__}"


def field(spec: Any) -> Any:
    """Return a spec as what an operator keeps in its template field."""
    return Entity(spec) if is_entity(spec) else spec


def endpoint_type(spec: Any) -> Literal["online", "batch"]:
    """Return the type of an endpoint or deployment where its class tells it; ``online`` for all other specs."""
    return "batch" if is_entity(spec) and "Batch" in type(spec).__name__ else "online"


def plain_inputs(inputs: Any) -> Any:
    """Return inputs with the SDK's ``Input`` and ``Output`` objects as dicts of their type and path."""
    if not isinstance(inputs, dict):
        return inputs
    return {
        name: {"type": value.type, "path": value.path} if is_entity(value) else value for name, value in inputs.items()
    }


def load_entity(spec: Any, *, noun: str, folder: Path, render: Callable[[Any], Any]) -> Any:
    """
    Return an azure-ai-ml entity for a spec.

    :param spec: a dict or path to YAML (CLI v2 schema), an entity, or a callable that returns one of them. An entity is
        copied, as it is going to be changed.
    :param noun: what it describes: ``job``, ``online endpoint``; the SDK's function for it is named ``load_...`` so.
    :param folder: what relative paths in a dict start from; those in YAML start at its own folder.
    :param render: renders Jinja templates in YAML, and in what a callable returned.
    :raises SpecError: the file cannot be read, or the SDK does not accept the spec; with the SDK's own reasons.
    """
    if isinstance(spec, Entity):
        spec = spec.entity
    if callable(spec) and not is_entity(spec) and not isinstance(spec, type):
        spec = spec()
        spec = spec if is_entity(spec) else render(spec)
    if is_entity(spec):
        return _based(copy.copy(spec), folder)
    name = Path(spec).name if isinstance(spec, (str, Path)) else "spec.yml"
    content, folder = load_spec(spec, noun=noun, folder=folder, render=render)
    try:
        text = yaml.safe_dump(content, sort_keys=False)
    except yaml.YAMLError:
        raise SpecError(f"The {noun} holds a value that YAML has no form for: {_no_yaml(content)}.") from None
    with quietly(), sdk_errors(noun):
        from azure.ai.ml.entities import _load_functions  # load_schedule is exported nowhere else

        load = getattr(_load_functions, f"load_{_loader(noun, content)}")
        return _based(load(io.StringIO(text), relative_origin=str(folder / name)), folder)


def _no_yaml(value: Any, where: str = "") -> str:
    """Return where in a spec a value is that YAML has no form for, and what it is."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in items:
        try:
            yaml.safe_dump(item)
        except yaml.YAMLError:
            return _no_yaml(item, f"{where}.{key}".strip("."))
    return f"{where!r} is a Python object ({type(value).__name__})"


def _loader(noun: str, content: dict[str, Any]) -> str:
    """
    Return which of the SDK's functions reads a spec.

    For batch deployments as its documentation shows them, it is not the one named after them: that one reads their
    older form alone.
    """
    if noun == "batch deployment" and "settings" in content:
        return "pipeline_component_batch_deployment" if content.get("type") == "pipeline" else "model_batch_deployment"
    return noun.replace(" ", "_")


def _based(entity: Any, folder: Path) -> Any:
    """Let relative paths start at a folder where the SDK, for want of one, took the folder that Airflow runs in."""
    key_file = getattr(getattr(entity, "ssh_settings", None), "ssh_private_key_file", None)
    if type(entity).__name__ == "VirtualMachineCompute" and key_file:
        entity.ssh_settings = copy.copy(entity.ssh_settings)
        entity.ssh_settings.ssh_private_key_file = str(folder / key_file)
    base = getattr(entity, "_base_path", None)
    if base is not None and Path(base).resolve() == Path.cwd():
        entity._base_path = folder
    return entity


@contextlib.contextmanager
def sdk_errors(noun: str, connection: WorkspaceConnection | None = None) -> Iterator[None]:
    """
    Let what the SDK raises come out as this provider's errors.

    :param noun: what is being made, for messages.
    :param connection: who asks; not needed where nothing is asked.
    """
    load_sdk()
    from azure.ai.ml.exceptions import MlException
    from azure.core.exceptions import AzureError, HttpResponseError
    from marshmallow import ValidationError

    try:
        yield
    except AzureMachineLearningError:
        raise
    except HttpResponseError as error:
        from .rest.refusals import refusal

        if connection is not None and _at_sign_in(error, connection):
            raise connection.sign_in_refused(error) from None
        if connection is None or error.response is None:
            raise TransientError(f"The {noun} could not be made: {_text(error)}") from None
        response: Any = error.response
        request = response.request
        raise refusal(
            connection, request.method, request.url, response.status_code, _json(response), response.headers
        ) from None
    except (MlException, ValidationError, *_OF_A_BROKEN_SPEC) as error:
        # MlException is an AzureError
        log.debug("azure-ai-ml does not accept the %s.", noun, exc_info=True)
        said = _text(error)
        raise SpecError(f"AzureML's SDK does not accept the {noun}:{' ' * (said[0] != chr(10))}{said}") from None
    except AzureError as error:
        raise TransientError(f"The {noun} could not be made: {_text(error)}") from None


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """
    Keep the SDK from printing to standard error and from telling AzureML which git repository this is.

    It runs ``git`` in the working folder, which on a worker is whatever Airflow was started in, and sends repository,
    branch and commit along. Here git finds no repository. What the environment variables ``AZUREML_GIT_*`` say is
    still sent: that is how to ask for it.
    """
    # It calls its own classes experimental, with a warning for each, also where it uses them itself.
    logging.getLogger("azure.ai.ml._utils._experimental").setLevel(logging.ERROR)
    before = os.environ.get("GIT_DIR")
    os.environ["GIT_DIR"] = os.devnull
    said = io.StringIO()
    try:
        # Its warnings are about its own classes, not about what the user wrote.
        with contextlib.redirect_stderr(said), warnings.catch_warnings(action="ignore"):
            yield
    finally:
        if before is None:
            del os.environ["GIT_DIR"]
        else:
            os.environ["GIT_DIR"] = before
        if text := said.getvalue().strip():
            log.debug("azure-ai-ml: %s", text)


def check_command(job: Any) -> None:
    """
    Say that a job's command names inputs that the job lacks: the SDK says so only once it has made the environment.

    :raises SpecError: it does.
    """
    if type(job).__name__ not in ("Command", "CommandJob"):
        return
    with quietly(), sdk_errors("job"):
        from azure.ai.ml.entities._job import _input_output_helpers as helpers

        if check := getattr(helpers, "validate_inputs_for_command", None):  # it is not public
            job = job._to_job() if type(job).__name__ == "Command" else job
            check(job.command, job.inputs)


def arm_body(operations: Any, entity: Any) -> dict[str, Any]:
    """
    Return the body that the SDK would send to make a deployment, after it has uploaded what the deployment needs.

    The SDK has no way to begin an operation without a thread that then polls it to its end, in vain when a trigger
    does that; so the last call is taken from it.

    :param operations: ``MLClient.online_deployments`` or ``batch_deployments``.
    """
    sent: dict[str, Any] = {}

    class LastCall:
        def begin_create_or_update(self, **arguments: Any) -> None:
            sent.update(arguments)

    for attribute in (
        "_online_deployment",
        "_batch_deployment",
        "_component_batch_deployment_operations",
        "service_client",
    ):
        if hasattr(operations, attribute):
            setattr(operations, attribute, LastCall())
    operations.begin_create_or_update(entity)
    body: dict[str, Any] = sent["body"].as_dict()
    return body


def compute_body(entity: Any) -> dict[str, Any]:
    """Return the body that the SDK would send to make a compute; without a location, which it asks the workspace."""
    if entity.type != "amlcompute":
        entity.location = None  # the SDK uses the workspace's, whatever the spec says
    body: dict[str, Any] = entity._to_rest_object().as_dict()
    body.pop("name", None)
    return body


def _at_sign_in(error: Exception, connection: WorkspaceConnection) -> bool:
    """Tell a sign-in that failed from a service that refused the token."""
    from azure.core.exceptions import ClientAuthenticationError

    request = getattr(getattr(error, "response", None), "request", None)
    return isinstance(error, ClientAuthenticationError) and (
        request is None or str(request.url).startswith(connection.cloud.authority)
    )


def _json(response: Any) -> Any:
    try:
        return response.json()
    except (ValueError, AttributeError):
        return None


def _text(error: Exception) -> str:
    """Return what the SDK says is wrong: on a line, or as a list of lines."""
    text = _COLOURS.sub("", str(getattr(error, "message", None) or error))
    if isinstance(error, KeyError):
        text = f"{text} is missing or unknown."
    text = _MISSING.sub("missing: ", text)
    found = [re.sub(r"\s*\n\s*", " ", line).strip() for line in _fields(text) or [_ADVICE.sub("", text)]]
    lines = list(dict.fromkeys(line for line in found if line))
    return "\n- ".join(["", *lines]) if len(lines) > 1 else "".join(lines) or type(error).__name__


def _fields(text: str) -> list[str]:
    """Return what a validation report of the SDK, JSON in prose in JSON, says of which field; nothing if it is none."""
    try:
        report = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except ValueError:
        return []
    if not isinstance(errors := report.get("errors"), list):
        return _leaves(report)
    found: list[str] = []
    for item in errors:
        path = str(item.get("path") or "*")
        inner = _fields(str(item.get("message"))) or [_likely(str(item.get("message")))]
        found += inner if path == "*" else [f"{path}: {line}" for line in inner]
    return found


def _leaves(report: Any, path: str = "") -> list[str]:
    if isinstance(report, dict):
        below = [(key, f"{path}.{key}".strip(".") if key != "_schema" else path) for key in report]
        return [leaf for key, name in below for leaf in _leaves(report[key], name)]
    if isinstance(report, list):
        # Of a field that may be several things, the SDK lists what is wrong with each; the first is the likely one.
        return _leaves(report[0], path) if report else []
    return [f"{path}: {report}" if path else str(report)]


def _likely(message: str) -> str:
    """Return what is wrong with each of the things that a field may be, without the SDK's advice, dumps, doubles."""
    said = list(dict.fromkeys(part.strip(" []'\"") for part in message.split("; ")))
    plain = [part for part in said if not part.startswith(("{", "In order to specify", "Anonymous assets must be"))]
    return "; ".join(plain or said[:1])
