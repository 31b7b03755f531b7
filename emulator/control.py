"""The control API: plain HTTP on loopback, for tests; the handle in emulator.py is its client.

`POST /_emulator/{command}` with a JSON object of arguments answers with JSON; a wrong argument answers 400 with a line
of text.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .api import datastores, registries, workspaces
from .api.job_bodies import read_output
from .api.job_outputs import place, plan
from .api.jobs import collection as job_collection
from .api.jobs import default_log, log_path, logs
from .core.calls import Match
from .core.events import Subscription
from .core.faults import Fault
from .core.job_progress import TERMINAL, Step, steps
from .core.owners import Owner
from .core.service import Service
from .core.turns import check

Arguments = dict[str, Any]
Command = Callable[[Service, Arguments], Awaitable[Any] | Any]

IDENTITY_HEADER = "emulator"

COMMANDS: dict[str, Command] = {}


def command(function: Command) -> Command:
    """Make a function a command by its name."""
    COMMANDS[function.__name__] = function
    return function


def application(service: Service) -> Starlette:
    """Return the control API."""

    async def run(request: Request) -> Response:
        name = request.path_params["command"]
        if name not in COMMANDS:
            return PlainTextResponse(f"no command {name!r}", 404)
        try:
            arguments = await request.json() if await request.body() else {}
            result = COMMANDS[name](service, arguments)
            if isinstance(result, Awaitable):
                result = await result
        except KeyError as error:
            return PlainTextResponse(f"nothing there: {error}", 404)
        except (TypeError, ValueError) as error:
            return PlainTextResponse(str(error), 400)
        return JSONResponse(result)

    async def identity(request: Request) -> Response:
        return _managed_identity(service, request)

    return Starlette(
        routes=[
            Route("/_emulator/identity", identity, methods=["GET"]),
            Route("/_emulator/{command}", run, methods=["POST"]),
        ]
    )


def _managed_identity(service: Service, request: Request) -> Response:
    """Answer as App Service's IDENTITY_ENDPOINT does; its system-assigned identity is the first principal."""
    principal = service.directory.find(request.query_params.get("client_id", service.config.client_id))
    if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER:
        return JSONResponse({"statusCode": 401, "message": "The header X-IDENTITY-HEADER is wrong."}, 401)
    if principal is None:
        message = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
        return JSONResponse({"statusCode": 400, "message": message}, 400)
    resource = request.query_params.get("resource", "")
    return JSONResponse(
        {
            "access_token": service.directory.issue(principal, resource),
            "expires_on": str(int(time.time()) + service.directory.lifetime),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": principal.client_id,
        }
    )


def _owner(service: Service, arguments: Arguments) -> Owner:
    """Return the workspace that a command names, or the first one."""
    config = service.config
    subscription = arguments.get("subscription_id") or config.subscription_id
    group = arguments.get("resource_group") or config.resource_group
    name = arguments.get("workspace_name") or config.workspace_name
    for owner in service.owners.all():
        if (owner.subscription, owner.group, owner.name) == (subscription, group, name):
            return owner
    raise KeyError(f"workspace {subscription}/{group}/{name}")


# Calls ---------------------------------------------------------------------------------------------------------------


@command
def calls(service: Service, arguments: Arguments) -> Any:
    """Return the calls that match."""
    after = arguments.pop("after", 0)
    return [asdict(call) for call in service.calls.find(Match(**arguments), after)]


@command
async def wait_for_call(service: Service, arguments: Arguments) -> Any:
    """Wait until so many calls that match were answered."""
    count, seconds = arguments.pop("count", 1), arguments.pop("seconds", 10.0)
    return await service.calls.wait(Match(**arguments.pop("match", {})), count, seconds, **arguments)


@command
def take_answers(service: Service, arguments: Arguments) -> Any:
    """Return the answers with their bodies since the last time, where they are kept."""
    taken = list(service.calls.answers)
    service.calls.answers.clear()
    return taken


@command
def clear_calls(service: Service, arguments: Arguments) -> None:
    """Forget the calls."""
    service.calls.clear()


@command
def unknown_routes(service: Service, arguments: Arguments) -> Any:
    """Return the calls that no route knew, as "METHOD path"."""
    return [f"{call.method} https://{call.host}{call.path}" for call in service.calls.find(Match()) if not call.known]


# Misbehaviour --------------------------------------------------------------------------------------------------------


@command
def misbehave(service: Service, arguments: Arguments) -> None:
    """Add a rule."""
    service.faults.add(arguments)


@command
def behave(service: Service, arguments: Arguments) -> None:
    """Drop all rules."""
    service.faults.clear()


@command
def faults(service: Service, arguments: Arguments) -> Any:
    """Return the rules and how often each was applied."""

    def show(rule: Fault) -> dict[str, Any]:
        return {**asdict(rule), "name": rule.name}

    return [show(rule) for rule in service.faults.all()]


@command
def configure(service: Service, arguments: Arguments) -> None:
    """Change settings while running."""
    allowed = {
        "page_size",
        "list_delay",
        "jobs",
        "job_seconds",
        "cancel_seconds",
        "operation_seconds",
        "retry_after",
        "max_body",
        "operation_polls",
        "hierarchical",
        "refuse_secrets",
    }
    for name, value in arguments.items():
        if name in ("throttle", "limits", "token_lifetime", "both_forms", "answers"):
            _configure_special(service, name, value)
        elif name in allowed:
            setattr(service.config, name, value)
        else:
            known = sorted({*allowed, "throttle", "limits", "token_lifetime", "both_forms"})
            raise ValueError(f"no setting {name!r}; there are {', '.join(known)}")
    service.config.save()


def _configure_special(service: Service, name: str, value: Any) -> None:
    if name == "throttle":
        service.config.throttle = service.throttle.enforce = bool(value)
    elif name == "token_lifetime":
        service.directory.lifetime = int(value)
    elif name == "both_forms":
        service.config.both_forms = service.turns.both = bool(value)
    elif name == "answers":
        service.config.answers = check(value)
    else:
        service.config.limits = dict(value)
        service.throttle = type(service.throttle)(enforce=service.throttle.enforce, limits=service.config.limits)


# Who may what --------------------------------------------------------------------------------------------------------


@command
def create_principal(service: Service, arguments: Arguments) -> Any:
    """Create somebody who can sign in, with a role unless `role` is null."""
    role = arguments.pop("role", "Contributor")
    scope = arguments.pop("scope", None) or f"/subscriptions/{service.config.subscription_id}"
    principal = service.directory.add(
        arguments.get("client_id"),
        arguments.get("client_secret"),
        arguments.get("name", ""),
        arguments.get("kind", "Application"),
        arguments.get("certificate", ""),
        arguments.get("subject", ""),
    )
    if role:
        service.directory.grant(principal.client_id, role, scope)
    return {"client_id": principal.client_id, "client_secret": principal.secret, "object_id": principal.object_id}


@command
def grant(service: Service, arguments: Arguments) -> None:
    """Give a role at a scope."""
    scope = arguments.get("scope") or f"/subscriptions/{service.config.subscription_id}"
    client = arguments.get("client_id") or service.config.client_id
    service.directory.grant(client, arguments.get("role", "Contributor"), scope)


@command
def create_role(service: Service, arguments: Arguments) -> None:
    """Define a custom role."""
    service.directory.add_role(arguments["name"], arguments["actions"], arguments.get("not_actions", []))


@command
def revoke(service: Service, arguments: Arguments) -> None:
    """Take roles away."""
    client = arguments.get("client_id") or service.config.client_id
    service.directory.revoke(client, arguments.get("role"), arguments.get("scope"))


@command
def token(service: Service, arguments: Arguments) -> Any:
    """Return an access token without asking the token endpoint."""
    principal = service.directory.find(arguments.get("client_id") or service.config.client_id)
    if principal is None:
        raise KeyError(arguments.get("client_id"))
    return service.directory.issue(principal, arguments.get("resource", "https://management.azure.com"))


@command
def federated_token(service: Service, arguments: Arguments) -> Any:
    """Return a token of a workload for workload identity federation."""
    return service.directory.federated_token(arguments["subject"])


@command
def expire_tokens(service: Service, arguments: Arguments) -> None:
    """Let every token handed out so far be expired."""
    service.directory.expire()


# Workspaces ----------------------------------------------------------------------------------------------------------


@command
async def create_workspace(service: Service, arguments: Arguments) -> Any:
    """Create a workspace with its datastores."""
    owner = await workspaces.create_workspace(
        service, arguments["subscription_id"], arguments["resource_group"], arguments["workspace_name"]
    )
    return asdict(owner)


@command
def create_registry(service: Service, arguments: Arguments) -> None:
    """Create a registry."""
    config = service.config
    registries.create_registry(service, config.subscription_id, config.resource_group, arguments["name"])


@command
def delete_workspace(service: Service, arguments: Arguments) -> None:
    """Delete a workspace and all that is in it."""
    service.owners.remove(_owner(service, arguments))


@command
def create_datastore(service: Service, arguments: Arguments) -> None:
    """Create a datastore of a `type`.

    `credentials` may be None, AccountKey, Sas or ServicePrincipal; with `refuses_secrets` they are not given out.
    """
    owner, name = _owner(service, arguments), arguments["name"]
    document = datastores.built_in(owner, service.config.account)["workspaceblobstore"]
    document["properties"].update(
        isDefault=bool(arguments.get("default", False)),
        accountName=arguments.get("account", service.config.account),
        credentials={"credentialsType": arguments.get("credentials", "AccountKey")},
        tags={},
        serviceDataAccessAuthIdentity="None",
    )
    document["refuses_secrets"] = bool(arguments.get("refuses_secrets"))
    container = arguments.get("container", owner.container)
    datastores.become(document, arguments.get("type", "AzureBlob"), container)
    service.store.put(datastores.collection(owner), name, document, service.clock.now())


# Jobs and time -------------------------------------------------------------------------------------------------------


@command
def script_jobs(service: Service, arguments: Arguments) -> None:
    """Let new jobs whose name matches run by a script."""
    steps(arguments["script"])
    pattern = arguments.get("name", "")
    service.store.put("scripts", pattern, {"name": pattern, "script": arguments["script"]})


@command
def unscript_jobs(service: Service, arguments: Arguments) -> None:
    """Let new jobs run by the default again."""
    service.store.delete_below("scripts")


@command
async def job(service: Service, arguments: Arguments) -> Any:
    """Read a job, or move it: `status` sets one, `script` puts it on a new way."""
    owner, name = _owner(service, arguments), arguments["name"]
    now = service.clock.now()
    service.runner.catch_up(now)
    _name_outputs(service, owner, name, arguments.get("outputs") or {})
    if arguments.get("write"):
        await _write_log(service, owner, name, arguments["write"])
    if arguments.get("files"):
        await _write_files(service, owner, name, arguments["files"])
    if arguments.get("script"):
        found = service.runner.redirect(job_collection(owner), name, steps(arguments["script"]), now)
    elif arguments.get("status"):
        step: Step = {key: arguments[key] for key in ("status", "error", "metrics") if arguments.get(key)}
        if arguments.get("log"):
            service.store.update(job_collection(owner), name, lambda found: found.update(log=arguments["log"]))
        found = service.runner.set(job_collection(owner), name, {"seconds": None, **step}, now)
    else:
        stored = service.store.get(job_collection(owner), name)
        if stored is None:
            raise KeyError(name)
        found = stored
    return {**found, "terminal": found["status"] in TERMINAL}


def _name_outputs(service: Service, owner: Owner, name: str, outputs: dict[str, Any]) -> None:
    """Add or change outputs: each is a URI, or a dict of what an output has."""

    def change(found: dict[str, Any]) -> None:
        known = found["properties"]["outputs"]
        for key, output in outputs.items():
            spec = {"uri": output} if isinstance(output, str) else output
            known[key] = {**read_output({}, None), **known.get(key, {}), **spec}
            found["plan"][key] = plan(name, key, known[key])

    if outputs:
        service.store.update(job_collection(owner), name, change)


async def _write_files(service: Service, owner: Owner, name: str, files: dict[str, dict[str, str]]) -> None:
    """Write the bytes of outputs, base64 in the request, to where the outputs are."""
    found = service.store.get(job_collection(owner), name)
    if found is None:
        raise KeyError(name)
    for output, contents in files.items():
        container, prefix = owner.artifact_container, f"ExperimentRun/dcid.{name}"
        if output != "default":
            uri = found["plan"].get(output, plan(name, output, {}))["uri"]
            container, prefix = place(service, owner, uri) or (owner.container, f"azureml/{name}/{output}")
        for path, content in contents.items():
            payload = base64.b64decode(content)
            await asyncio.to_thread(service.storage.upload, container, f"{prefix}/{path}", payload)
    service.store.update(job_collection(owner), name, lambda job: job.update(filled=list(files)))


async def _write_log(service: Service, owner: Owner, name: str, write: dict[str, Any]) -> None:
    """Write to a job's log file as its program does; `replace` begins it anew."""

    def change(found: dict[str, Any]) -> None:
        files = found.setdefault("written", {})
        begun = default_log(found) if found.get("logged") and write["file"] in logs(found) else ""
        before = "" if write.get("replace") else files.get(write["file"], begun)
        files[write["file"]] = before + write["text"]

    service.store.update(job_collection(owner), name, change)
    found = service.store.get(job_collection(owner), name)
    assert found is not None
    content = found["written"][write["file"]].encode()
    path = log_path(name, write["file"])
    await service.background.wait_for(partial(service.storage.upload, owner.artifact_container, path, content))


@command
def now(service: Service, arguments: Arguments) -> Any:
    """Return the emulator's time."""
    return service.clock.now()


@command
def advance(service: Service, arguments: Arguments) -> Any:
    """Move the clock forward and let everything happen that was due until then."""
    service.clock.advance(float(arguments.get("seconds", 0)))
    if "rate" in arguments:
        service.clock.rate = service.config.clock_rate = float(arguments["rate"])
        service.config.save()
    service.store.put("settings", "clock", {"ahead": service.clock.ahead})
    service.runner.catch_up(service.clock.now())
    return service.clock.now()


@command
async def subscribe(service: Service, arguments: Arguments) -> None:
    """Send a workspace's events to a queue."""
    owner = _owner(service, arguments)
    for key in ("subscription_id", "resource_group", "workspace_name"):
        arguments.pop(key, None)
    arguments["types"] = tuple(arguments.get("types", ()))
    await service.events.subscribe(Subscription(workspace=owner.key, **arguments))


@command
def ping(service: Service, arguments: Arguments) -> Any:
    """Say that the service is there."""
    return {"calls": sum(1 for _ in service.calls.find(Match()))}
