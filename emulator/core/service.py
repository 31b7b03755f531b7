"""The service: what all handlers share."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from . import jobs
from .arm import Author
from .calls import CallLog
from .clock import Clock, timestamp
from .config import Config
from .datastores import built_in
from .datastores import collection as datastore_collection
from .errands import Errands
from .events import Events
from .faults import Faults
from .operations import Operations
from .progress import TERMINAL, Runner
from .routing import Exchange
from .state import Document, Store
from .storage import Endpoints, Storage
from .throttle import Throttle
from .tokens import Directory
from .workspaces import Holder, Holders, new_holder

_log = logging.getLogger(__name__)

_TICK = 0.05
_LOG = "user_logs/std_log.txt"


class Service:
    """Everything that handlers reach through their exchange."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store(config.root / "state.sqlite")
        self.clock = Clock(config.clock_rate, (self.store.get("settings", "clock") or {"ahead": 0.0})["ahead"])
        self.holders = Holders(self.store)
        self.directory = Directory(self.store, config.tenant_id, config.signing_key)
        self.storage = Storage(
            config.account,
            config.account_key,
            Endpoints(config.ports["blob"], config.ports["queue"]),
            config.root / "certificates" / "authority.pem",
        )
        self.errands = Errands()
        self.events = Events(self.store, self.storage, self.errands, config.seed)
        self.operations = Operations(self.store, config.signing_key)
        self.runner = Runner(self.store, self._job_moved)
        self.throttle = Throttle(enforce=config.throttle, limits=config.limits)
        self.faults = Faults(config.seed)
        self.calls = CallLog()

    async def start(self) -> None:
        """Make the first principal and the first workspace, unless they are there from an earlier start."""
        await asyncio.to_thread(self.storage.wait_until_up)
        config = self.config
        if self.directory.find(config.client_id) is None:
            self.directory.add(config.client_id, config.client_secret, "emulator")
            self.directory.grant(config.client_id, "Contributor", f"/subscriptions/{config.subscription_id}")
        coordinates = (config.subscription_id, config.resource_group, config.workspace_name)
        await self.create_workspace(*coordinates)

    async def create_workspace(self, subscription: str, group: str, name: str) -> Holder:
        """Create a workspace with its datastores and their containers; one that exists is left alone."""
        holder = new_holder(
            subscription=subscription, group=group, name=name, now=self.clock.now(), location=self.config.location
        )
        known = self.holders.find(holder.id)
        if known is not None:
            return known
        for container in (holder.container, holder.artifact_container):
            await asyncio.to_thread(self.storage.create_container, container)
        self.holders.add(holder)
        for datastore, document in reversed(built_in(holder, self.config.account).items()):
            self.store.put(datastore_collection(holder), datastore, document, holder.created)
        return holder

    def create_registry(self, subscription: str, group: str, name: str) -> Holder:
        """Create a registry; one that exists is left alone."""
        holder = new_holder(
            subscription=subscription,
            group=group,
            name=name,
            now=self.clock.now(),
            location=self.config.location,
            segment="registries",
        )
        return self.holders.find(holder.id) or self.holders.add(holder)

    async def run(self) -> None:
        """Let jobs get on and deliver events, until cancelled."""
        errands = asyncio.create_task(self.errands.work())
        try:
            while True:
                self.runner.catch_up(self.clock.now())
                await asyncio.sleep(_TICK)
        finally:
            errands.cancel()

    def own_exchange(self, holder: Holder, author: Author, now: float) -> Exchange:
        """Return an exchange for what the service does of its own accord."""
        return Exchange(self, "", "", "", {}, {}, b"", author, "", now, holder)

    def write_log(self, holder: Holder, name: str, job: Document) -> None:
        """Leave a log where jobs.stream, jobs.download and the studio look for it."""
        lines = [f"{timestamp(at)} {status}" for status, at in job["history"]]
        if job["error"]:
            lines.append(job["error"]["message"])
        content = (job.get("log") or "\n".join([*lines, ""])).encode()
        path = f"ExperimentRun/dcid.{name}/{_LOG}"
        self.errands.run(partial(self.storage.upload, holder.artifact_container, path, content))

    def log_files(self, holder: Holder, name: str, job: Document) -> dict[str, str]:
        """Return the logs of a run with URLs that open them."""
        if job["status"] not in TERMINAL:
            return {}
        container = holder.artifact_container
        url = f"https://{self.storage.account}.blob.core.windows.net/{container}/ExperimentRun/dcid.{name}/{_LOG}"
        return {_LOG: f"{url}?{self.storage.container_sas(container, rights='r')}"}

    def _job_moved(self, collection: str, name: str, job: Document) -> None:
        holder = self.holders.find(collection.removesuffix("/jobs"))
        if holder is not None:
            system = job["systemData"]
            author = Author(system["createdBy"], system["createdByType"])
            try:
                jobs.moved(self.own_exchange(holder, author, job["history"][-1][1]), name, job)
            except Exception:  # noqa: BLE001 - whoever asked just now has nothing to do with this job
                _log.exception("what follows from job %s being %s", name, job["status"])
