"""What one emulator is told at its start; kept beside its state, so that a restart is told the same."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

KIND: dict[str, Any] = {
    "page_size": 50,
    "list_delay": 0.0,
    "throttle": False,
    "operation_polls": 0,
    "both_forms": False,
    "hierarchical": False,
    "refuse_secrets": False,
}
"""Settings of an emulator that is as kind as the service may be."""

UNKIND: dict[str, Any] = {
    "page_size": 3,
    "list_delay": 0.2,
    "throttle": True,
    "operation_polls": 2,
    "both_forms": True,
    "hierarchical": True,
    "refuse_secrets": True,
}
"""The same settings where it is as unkind as the service may be; docs/emulator.md says what each means."""


@dataclass
class Config:
    """Settings; those that users choose are arguments of `Emulator`, where they are explained."""

    directory: str
    tenant_id: str
    subscription_id: str
    resource_group: str
    workspace_name: str
    client_id: str
    client_secret: str
    account: str
    account_key: str
    signing_key: str
    location: str = "westeurope"
    ports: dict[str, int] = field(default_factory=dict)
    page_size: int = KIND["page_size"]
    list_delay: float = KIND["list_delay"]
    operation_polls: int = KIND["operation_polls"]
    both_forms: bool = KIND["both_forms"]
    hierarchical: bool = KIND["hierarchical"]
    refuse_secrets: bool = KIND["refuse_secrets"]
    jobs: Literal["run", "driven"] = "run"
    job_seconds: float = 2.0
    cancel_seconds: float = 0.5
    operation_seconds: float = 0.5
    retry_after: int = 1
    throttle: bool = KIND["throttle"]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    clock_rate: float = 1.0
    seed: int = 0
    max_body: int = 4 * 1024 * 1024
    keep_answers: bool = False

    @property
    def root(self) -> Path:
        """The folder of the state."""
        return Path(self.directory)

    @property
    def path(self) -> Path:
        """Where these settings are kept."""
        return self.root / "emulator.json"

    def save(self) -> None:
        """Write the settings, for this user's eyes alone as they hold (made-up) secrets."""
        self.path.touch(0o600)
        self.path.chmod(0o600)  # also of a file that was there
        self.path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read settings back."""
        values: dict[str, Any] = json.loads(path.read_text())
        return cls(**values)
