"""`Emulator`: what users and tests hold. It starts the processes, and speaks to the service's control API."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from .processes.children import Child, EmulatorError, free_port, python

_MODULES = {"service": "server", "proxy": "processes.proxy"}
_TRIES = 3
_PORTS = ("proxy", "service", "control", "blob", "queue", "table")

Step = str | tuple[str, float | None] | list[Any] | dict[str, Any]
"""A status, a status and how many seconds it lasts, or a dict with `status`, `seconds`, `error`, `metrics`."""


class Job:
    """One job, to be driven by a test."""

    def __init__(self, emulator: Emulator, name: str, workspace: str | None) -> None:
        self._emulator, self.name, self._workspace = emulator, name, workspace

    def _move(self, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._emulator._control(
            "job", name=self.name, workspace_name=self._workspace, **arguments
        )
        return found

    @property
    def status(self) -> str:
        """Where the job stands."""
        return str(self._move()["status"])

    @property
    def history(self) -> list[tuple[str, float]]:
        """The statuses that the job had, each with its time."""
        return [(status, at) for status, at in self._move()["history"]]

    @property
    def children(self) -> list[str]:
        """The names of its parts: a pipeline's steps, a sweep's trials."""
        return [str(name) for name in self._move()["children"]]

    def set_status(self, status: str) -> None:
        """Put the job into a status and leave it there."""
        self._move(status=status)

    def complete(
        self,
        outputs: Mapping[str, str | Mapping[str, Any]] | None = None,
        metrics: Mapping[str, float] | None = None,
        files: Mapping[str, Mapping[str, str | bytes]] | None = None,
    ) -> None:
        """Let the job complete.

        `outputs` adds or changes named outputs: a URI, or a dict with e.g. `assetName` and `jobOutputType`, which
        registers the output as a data or model version. `files` writes contents below an output, or below `default`.
        """
        encoded = {
            output: {path: _base64(content) for path, content in contents.items()}
            for output, contents in (files or {}).items()
        }
        self._move(status="Completed", outputs=dict(outputs or {}), metrics=dict(metrics or {}), files=encoded)

    def fail(self, code: str = "UserError", message: str = "Execution failed.", log: str | None = None) -> None:
        """Let the job fail; the reason is then in run history, as with the real service.

        `log` is what the job wrote to its `std_log.txt`; without it, its statuses and the message.
        """
        self._move(status="Failed", error={"code": code, "message": message}, log=log)

    def write_log(self, text: str, file: str = "user_logs/std_log.txt", *, replace: bool = False) -> None:
        """Let the job, or a step of a pipeline, write to one of its log files; `replace` begins the file anew."""
        self._move(write={"file": file, "text": text, "replace": replace})

    def cancel(self) -> None:
        """Let the job be Canceled, as if somebody had asked for it."""
        self._move(status="Canceled")

    def script(self, steps: list[Step]) -> None:
        """Put the job on a new way, from now on."""
        self._move(script=steps)


def _manners(unkind: bool, **given: Any) -> dict[str, Any]:
    """Return the settings that `unkind` changes all at once, but for those that were given."""
    from .processes.config import KIND, UNKIND

    return {**(UNKIND if unkind else KIND), **{name: value for name, value in given.items() if value is not None}}


def _base64(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


class Emulator:
    """A local AzureML workspace; use it as a context manager, or `start()` and `stop()` it.

    persist         a folder that keeps the state (also the blobs) from one run to the next; None: a temporary one
    jobs            "run": jobs run on by themselves; "driven": they stay where the test puts them
    job_seconds     how long a job takes by itself, from submission to Completed
    cancel_seconds, operation_seconds
                    how long a cancellation and other long-running operations take
    unkind          as unkind as the service may be, all at once; each of these can also be had alone:
      page_size       how many items a page of a list has: 50, or 3 when unkind
      list_delay      seconds until lists show what was created (eventual consistency): 0, or 0.2
      throttle        enforce ARM's documented limits (429): False, or True
      operation_polls how often a long-running operation says that it goes on, however long it takes: 0, or 2
      both_forms      answer in each way in turn where the service was seen to answer in several: False, or True
      hierarchical    the storage account has a hierarchical namespace, so that folders are listed as blobs, and cannot
                      be deleted while they hold something: False, or True
      refuse_secrets  in every other workspace, the secret of the default datastore is not given out (403)
    limits          what `throttle` allows, e.g. {"reads": (250, 25)}: how many at once, how many more a second
    answers         where it is not known how the service answers, which way to take (docs/emulator.md)
    clock_rate      1 is real time, 0 stands still until `advance()`
    keep_answers    keep the bodies of answers for `take_answers()`
    seed            for misbehaviour by chance
    ports           fixed ports by name (proxy, service, control, blob, queue, table); free ones are taken otherwise
    """

    def __init__(
        self,
        persist: str | Path | None = None,
        *,
        jobs: Literal["run", "driven"] = "run",
        job_seconds: float = 2.0,
        cancel_seconds: float = 0.5,
        operation_seconds: float = 0.5,
        unkind: bool = False,
        page_size: int | None = None,
        list_delay: float | None = None,
        throttle: bool | None = None,
        operation_polls: int | None = None,
        both_forms: bool | None = None,
        hierarchical: bool | None = None,
        refuse_secrets: bool | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
        answers: Mapping[str, str] | None = None,
        clock_rate: float = 1.0,
        seed: int = 0,
        keep_answers: bool = False,
        location: str = "westeurope",
        ports: Mapping[str, int] | None = None,
        workspace_name: str = "emulated",
        resource_group: str = "emulator",
    ) -> None:
        self._persist = Path(persist).expanduser().resolve() if persist is not None else None
        self._names: dict[str, Any] = {
            "workspace_name": workspace_name,
            "resource_group": resource_group,
            "location": location,
        }
        self._ports = dict(ports or {})
        self._settings: dict[str, Any] = {
            "jobs": jobs,
            "job_seconds": job_seconds,
            "cancel_seconds": cancel_seconds,
            "operation_seconds": operation_seconds,
            **_manners(
                unkind,
                page_size=page_size,
                list_delay=list_delay,
                throttle=throttle,
                operation_polls=operation_polls,
                both_forms=both_forms,
                hierarchical=hierarchical,
                refuse_secrets=refuse_secrets,
            ),
            "limits": dict(limits or {}),
            "answers": dict(answers or {}),
            "clock_rate": clock_rate,
            "seed": seed,
            "keep_answers": keep_answers,
        }
        self._children: dict[str, Child] = {}
        self._config: Any = None

    # Life ------------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start Azurite, the service and the proxy; return when all of them serve."""
        for tries_left in reversed(range(_TRIES)):
            try:
                return self._start()
            except EmulatorError as error:
                # Somebody may take a port between its choice and its use; then others are chosen.
                if not tries_left or self._ports or "is not free" not in str(error):
                    raise
        raise AssertionError

    def _start(self) -> Self:
        from .processes import azurite
        from .processes.certificates import Certificates

        self._config = config = self._configure()
        certificates = Certificates(config.root / "certificates").ensure(config.location)
        try:
            self._children["azurite"] = azurite.start(config, certificates)
            self._children["service"] = self._spawn("service")
            self._children["proxy"] = self._spawn("proxy")
            self._children["azurite"].wait_until_ready(word="successfully listening", times=3)
            self._children["proxy"].wait_until_ready()
            self._children["service"].wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def _configure(self) -> Any:
        from .processes.config import Config

        root = self._persist or Path(tempfile.mkdtemp(prefix="azureml-emulator-"))
        try:
            root.mkdir(parents=True, exist_ok=True)
            (root / "azurite").mkdir(exist_ok=True)
        except OSError as error:
            raise EmulatorError(f"cannot write to {root}: {error.strerror}") from None
        ports = {name: self._ports.get(name) or free_port() for name in _PORTS}
        if (root / "emulator.json").exists():
            config = Config.load(root / "emulator.json")
            for name, value in self._settings.items():
                setattr(config, name, value)
        else:
            config = Config(
                directory=str(root),
                tenant_id=str(uuid.uuid4()),
                subscription_id=str(uuid.uuid4()),
                client_id=str(uuid.uuid4()),
                client_secret=secrets.token_urlsafe(24),
                account=f"emulator{secrets.token_hex(6)}",
                account_key=base64.b64encode(secrets.token_bytes(64)).decode(),
                signing_key=secrets.token_hex(32),
                **self._names,
                **self._settings,
            )
        config.directory, config.ports = str(root), ports
        try:
            config.save()
        except OSError as error:
            raise EmulatorError(f"cannot write to {root}: {error.strerror}") from None
        return config

    def _spawn(self, name: str) -> Child:
        module = _MODULES[name]
        log = self._config.root / f"{name}.log"
        return Child(f"the {name}", python(module, str(self._config.path)), log)

    def stop(self) -> None:
        """Stop everything; without `persist` nothing is left."""
        while self._children:
            self._children.popitem()[1].stop()
        if self._config is not None and self._persist is None:
            shutil.rmtree(self._config.root, ignore_errors=True)

    def kill(self) -> None:
        """End the service at once, as a crash does. The proxy and the storage stay; `restart()` brings it back."""
        self._children["service"].kill()

    def restart(self) -> None:
        """Start the service again after a crash, or after ending it: same ports, same state."""
        child = self._children.pop("service", None)
        if child is not None:
            child.stop()
        self._children["service"] = self._spawn("service")
        self._children["service"].wait_until_ready()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that it was started with."""
        return dict(self._settings)

    @property
    def running(self) -> bool:
        """Whether the service runs; false after a crash."""
        return "service" in self._children and self._children["service"].running

    @property
    def pids(self) -> dict[str, int]:
        """The process ids, by name."""
        return {name: child.pid for name, child in self._children.items()}

    @property
    def ports(self) -> dict[str, int]:
        """The ports on loopback, by name."""
        return dict(self._config.ports)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What a client needs ---------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What to put into os.environ of whoever is to talk to the emulator instead of Azure."""
        folder = self._config.root / "certificates"
        proxy = f"http://127.0.0.1:{self._config.ports['proxy']}"
        return {
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": str(folder / "bundle.pem"),
            "SSL_CERT_FILE": str(folder / "bundle.pem"),
            "AZUREML_EMULATOR_CONTROL": self.control_url,
        }

    @property
    def credential_environment(self) -> dict[str, str]:
        """What EnvironmentCredential, and so DefaultAzureCredential, reads."""
        return {
            "AZURE_TENANT_ID": self.tenant_id,
            "AZURE_CLIENT_ID": self.client_id,
            "AZURE_CLIENT_SECRET": self.client_secret,
        }

    @property
    def managed_identity_environment(self) -> dict[str, str]:
        """What ManagedIdentityCredential reads to find a managed identity."""
        return {
            "IDENTITY_ENDPOINT": f"{self.control_url}/_emulator/identity",
            "IDENTITY_HEADER": "emulator",
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9",
        }

    def connection_for(
        self, workspace_name: str | None = None, principal: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Return an Airflow connection to a workspace, as the first principal or as one from `create_principal`."""
        who = principal or {"client_id": self.client_id, "client_secret": self.client_secret}
        return {
            "conn_type": "azure_machine_learning",
            "login": who["client_id"],
            "password": who["client_secret"],
            "extra": {
                "tenantId": self.tenant_id,
                "subscriptionId": self.subscription_id,
                "resource_group_name": self.resource_group,
                "workspace_name": workspace_name or self.workspace_name,
            },
        }

    @property
    def connection(self) -> dict[str, Any]:
        """An Airflow connection to the first workspace."""
        return self.connection_for()

    @property
    def connection_json(self) -> str:
        """The same as text, for AIRFLOW_CONN_* and `airflow connections add --conn-json`."""
        return json.dumps(self.connection)

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        return str(self._config.tenant_id)

    @property
    def subscription_id(self) -> str:
        """The subscription of the first workspace."""
        return str(self._config.subscription_id)

    @property
    def resource_group(self) -> str:
        """The resource group of the first workspace."""
        return str(self._config.resource_group)

    @property
    def workspace_name(self) -> str:
        """The name of the first workspace."""
        return str(self._config.workspace_name)

    @property
    def client_id(self) -> str:
        """The first principal, who may do anything in the subscription."""
        return str(self._config.client_id)

    @property
    def client_secret(self) -> str:
        """The first principal's secret, made up at the first start."""
        return str(self._config.client_secret)

    @property
    def storage_account(self) -> str:
        """The storage account of all workspaces."""
        return str(self._config.account)

    @property
    def storage_key(self) -> str:
        """The storage account's key."""
        return str(self._config.account_key)

    @property
    def control_url(self) -> str:
        """Where the control API listens."""
        return f"http://127.0.0.1:{self._config.ports['control']}"

    # Control ---------------------------------------------------------------------------------------------------------

    def _control(self, command: str, *, timeout: float = 30.0, **arguments: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._config.ports["control"], timeout=timeout)
        try:
            connection.request("POST", f"/_emulator/{command}", json.dumps(arguments))
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as error:
            raise EmulatorError(f"the service does not answer: {error}") from None
        finally:
            connection.close()
        if answer.status == http.client.NOT_FOUND:
            raise KeyError(text)
        if answer.status != http.client.OK:
            raise ValueError(text)
        return json.loads(text)

    def create_workspace(
        self, name: str | None = None, resource_group: str | None = None, subscription_id: str | None = None
    ) -> str:
        """Create a workspace (by default in the first one's resource group) and return its name."""
        name = name or f"ws-{secrets.token_hex(4)}"
        self._control(
            "create_workspace",
            workspace_name=name,
            resource_group=resource_group or self.resource_group,
            subscription_id=subscription_id or self.subscription_id,
        )
        return name

    def create_registry(self, name: str | None = None) -> str:
        """Create a registry and return its name."""
        name = name or f"registry-{secrets.token_hex(4)}"
        self._control("create_registry", name=name)
        return name

    def delete_workspace(self, name: str) -> None:
        """Delete a workspace and all that is in it."""
        self._control("delete_workspace", workspace_name=name)

    def create_datastore(self, name: str, *, workspace: str | None = None, **options: Any) -> None:
        """Create a datastore of blobs.

        `credentials="None"` makes one without, `refuses_secrets=True` one that keeps them (403), `container=` and
        `account=` place it. `type` makes it one of AzureFile, AzureDataLakeGen1, AzureDataLakeGen2 or OneLake.
        """
        self._control("create_datastore", name=name, workspace_name=workspace, **options)

    def calls(self, method: str | None = None, path_contains: str | None = None, **match: Any) -> list[dict[str, Any]]:
        """Return the calls so far, oldest first.

        Each tells number, at, method, host, path, template, query, api_version, principal, user_agent,
        client_request_id, status (0: no answer left), milliseconds, known, fault and error. More filters: `path` and
        `host` (regular expressions), `status`, `principal`, `query` (a dict), `after` (a number). Calls to storage are
        among them only if `host` is given, e.g. `host="blob"`; so it is with `wait_for_call` and `misbehave`.
        """
        found: list[dict[str, Any]] = self._control("calls", method=method, path_contains=path_contains, **match)
        return found

    def wait_for_call(
        self, method: str | None = None, path: str | None = None, *, count: int = 1, timeout: float = 30.0, **match: Any
    ) -> list[dict[str, Any]]:
        """Wait until `count` such calls were answered, counted from the last `clear_calls()` or `after=number`."""
        after = match.pop("after", 0)
        wanted = {"method": method, "path": path, **match}
        found: list[dict[str, Any]] = self._control(
            "wait_for_call", timeout=timeout + 10, match=wanted, count=count, seconds=timeout, after=after
        )
        if len(found) < count:
            raise TimeoutError(f"{len(found)} of {count} calls {wanted} within {timeout:g} s")
        return found

    def take_answers(self) -> list[dict[str, Any]]:
        """Return what calls were answered since the last time, with bodies; needs `keep_answers`."""
        found: list[dict[str, Any]] = self._control("take_answers")
        return found

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._control("clear_calls")

    @property
    def unknown_routes(self) -> list[str]:
        """Calls that the emulator has no answer for; a test should find none."""
        found: list[str] = self._control("unknown_routes")
        return found

    def misbehave(self, method: str | None = None, path: str | None = None, **fault: Any) -> None:
        """Let matching calls go wrong: see `faults.Fault` for what can.

        `path` is a regular expression; `host`, `principal` and `query` narrow further. Rules apply in the order given.
        """
        narrow = {key: fault.pop(key) for key in ("host", "principal", "query", "path_contains") if key in fault}
        self._control("misbehave", match={"method": method, "path": path, **narrow}, **fault)

    def behave(self) -> None:
        """Forget all misbehaviour."""
        self._control("behave")

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The rules of misbehaviour, each with its `hits`."""
        found: list[dict[str, Any]] = self._control("faults")
        return found

    def configure(self, **settings: Any) -> None:
        """Change settings while it runs, e.g. `unkind=True`, `page_size=2`, `throttle=True`, `token_lifetime=60`."""
        if "unkind" in settings:
            settings = {**_manners(settings.pop("unkind")), **settings}
        self._control("configure", **settings)

    def restore(self) -> None:
        """Behave again: no rules, no scripts, no calls on record, full limits, and the settings of the start."""
        self.behave()
        self.script_jobs(None)
        self.clear_calls()
        fixed = ("clock_rate", "seed", "keep_answers")
        self.configure(**{name: value for name, value in self._settings.items() if name not in fixed})

    def create_principal(
        self,
        *,
        role: str | None = "Contributor",
        scope: str | None = None,
        name: str = "",
        kind: Literal["Application", "User", "ManagedIdentity"] = "Application",
        certificate: str = "",
        subject: str = "",
    ) -> dict[str, str]:
        """Create somebody who can sign in, and with `role=None` may do nothing else.

        `certificate` is the PEM that the app registration knows; `subject` is that of its federated credential, whose
        tokens `federated_token` makes. Return client_id, client_secret and object_id.
        """
        found: dict[str, str] = self._control(
            "create_principal",
            role=role,
            scope=scope,
            name=name,
            kind=kind,
            certificate=certificate,
            subject=subject,
        )
        return found

    def federated_token(self, subject: str) -> str:
        """Return what a cluster writes into the file that AZURE_FEDERATED_TOKEN_FILE names, for a workload."""
        return str(self._control("federated_token", subject=subject))

    def grant(self, client_id: str | None = None, role: str = "Contributor", scope: str | None = None) -> None:
        """Give a role at a scope, by default the subscription.

        There are Reader, Contributor, Owner, AzureML Data Scientist, AzureML Compute Operator, and those of
        `create_role`.
        """
        self._control("grant", client_id=client_id, role=role, scope=scope)

    def create_role(self, name: str, actions: Sequence[str], not_actions: Sequence[str] = ()) -> None:
        """Define a custom role, as Azure's role definitions do: `*` stands for anything."""
        self._control("create_role", name=name, actions=list(actions), not_actions=list(not_actions))

    def revoke(self, client_id: str | None = None, role: str | None = None, scope: str | None = None) -> None:
        """Take roles away: calls then answer 403 AuthorizationFailed."""
        self._control("revoke", client_id=client_id, role=role, scope=scope)

    def token(self, client_id: str | None = None, resource: str = "https://management.azure.com") -> str:
        """Return an access token."""
        return str(self._control("token", client_id=client_id, resource=resource))

    def expire_tokens(self) -> None:
        """Let every access token handed out so far be expired: calls with one answer 401."""
        self._control("expire_tokens")

    def job(self, name: str, workspace: str | None = None) -> Job:
        """Return a job to drive, in the first workspace unless another is named."""
        return Job(self, name, workspace)

    def script_jobs(self, script: list[Step] | None, name: str = "") -> None:
        """Let new jobs whose name matches the regular expression follow a script; None: the default again.

        `[("Starting", 0.1), ("Running", 2), "Completed"]`; a step's seconds of None means to stay there.
        """
        if script is None:
            self._control("unscript_jobs")
        else:
            self._control("script_jobs", script=script, name=name)

    @property
    def clock(self) -> float:
        """The emulator's time, in seconds since the epoch."""
        return float(self._control("now"))

    def advance(self, seconds: float = 0.0, *, rate: float | None = None) -> float:
        """Move the emulator's clock forward, or change its rate; return its time."""
        arguments = {"seconds": seconds, **({} if rate is None else {"rate": rate})}
        return float(self._control("advance", **arguments))

    def send_events_to(self, queue: str, *, workspace: str | None = None, **form: Any) -> None:
        """Send a workspace's Event Grid events to a storage queue; `form` is that of `events.Subscription`."""
        self._control("subscribe", queue=queue, workspace_name=workspace, **form)
