"""The service: what all handlers share."""

from __future__ import annotations

import asyncio

from ..processes.config import Config
from .background import Background
from .calls import CallLog
from .clock import Clock
from .directory import Directory
from .events import Events
from .faults import Faults
from .job_progress import Runner
from .operations import Operations
from .owners import Owners
from .storage import Endpoints, Storage
from .store import Store
from .throttle import Throttle
from .turns import WAYS, Turns

_TICK = 0.05


class Service:
    """Everything that handlers reach through their exchange."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store(config.root / "state.sqlite")
        self.clock = Clock(config.clock_rate, (self.store.get("settings", "clock") or {"ahead": 0.0})["ahead"])
        self.owners = Owners(self.store)
        self.directory = Directory(self.store, config.tenant_id, config.signing_key)
        self.storage = Storage(
            config.account,
            config.account_key,
            Endpoints(config.ports["blob"], config.ports["queue"]),
            config.root / "certificates" / "authority.pem",
        )
        self.background = Background()
        self.events = Events(self.store, self.storage, self.background, config.seed)
        self.operations = Operations(self.store, config)
        self.runner = Runner(self.store)
        self.throttle = Throttle(enforce=config.throttle, limits=config.limits)
        self.faults = Faults(config.seed)
        self.turns = Turns(both=config.both_forms)
        self.calls = CallLog()

    def way(self, question: str) -> str:
        """Return which of the possible ways (turns.py) this answer takes."""
        ways = WAYS[question]
        return self.config.answers.get(question) or ways[self.turns.take(question, len(ways))]

    async def run(self) -> None:
        """Let jobs get on and deliver events, until cancelled."""
        work = asyncio.create_task(self.background.work())
        try:
            while True:
                self.runner.catch_up(self.clock.now())
                await asyncio.sleep(_TICK)
        finally:
            work.cancel()
