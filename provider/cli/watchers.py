"""``airflow azureml watchers``, ``replay`` and ``forget``: what is kept of watchers in Airflow's database."""

from __future__ import annotations

import json
import uuid
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_REMEMBERED = timedelta(days=7)  # how long a request waits for a watcher that is paused


def list_watchers(args: Namespace) -> None:
    """Print what is watched."""
    from airflow.cli.simple_table import AirflowConsole
    from airflow.utils.session import create_session

    with create_session() as session:
        found = [_describe(asset, session) for asset in _watched_assets(session)]
    AirflowConsole().print_as(data=found, output=args.output)


def replay(args: Namespace) -> None:
    """Ask a watcher to announce versions again."""
    if bool(args.since) == bool(args.from_version):
        raise SystemExit("Give --since or --from-version, one of them.")
    if args.since:
        try:
            moment = datetime.fromisoformat(args.since)
        except ValueError:
            raise SystemExit(f"--since is {args.since!r}; it looks like 2026-11-24T06:00:00+00:00.") from None
        args.since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    name = _request(args.asset, {"do": "replay", "since": args.since, "from_version": args.from_version})
    print(f"{name}: asked for. Its watcher sees to it within a minute, or when its DAG is no longer paused.")  # noqa: T201


def forget(args: Namespace) -> None:
    """Ask a watcher to begin anew, and take away what is kept if there is no watcher."""
    from airflow.models.asset_state_store import AssetStateStoreModel
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from ..watching.memory import variable_name

    name = _request(args.asset, {"do": "forget"})
    with create_session() as session:
        asset = next(asset for asset in _watched_assets(session) if asset.name == name)
        if not asset.watchers:
            session.execute(delete(AssetStateStoreModel).where(AssetStateStoreModel.asset_id == asset.id))
            session.execute(delete(Variable).where(Variable.key == variable_name(name)))
    print(f"{name}: is watched as if for the first time from now on.")  # noqa: T201


def _watched_assets(session: Session) -> list[Any]:
    """Return the assets that ``watch()`` made, also those whose DAGs are paused or gone."""
    from airflow.models.asset import AssetModel
    from sqlalchemy import select

    query = select(AssetModel).where(AssetModel.uri.like("azureml://%?%watched=%")).order_by(AssetModel.name)
    return [*session.scalars(query)]


def _describe(asset: Any, session: Session) -> dict[str, Any]:
    from airflow.models.asset import AssetEvent
    from airflow.models.asset_state_store import AssetStateStoreModel
    from sqlalchemy import func, select

    from ..watching.memory import CURSOR, HEALTH

    rows = {
        row.key: row
        for row in session.scalars(select(AssetStateStoreModel).where(AssetStateStoreModel.asset_id == asset.id))
    }
    try:
        health = json.loads(rows[HEALTH].value)
    except (KeyError, ValueError):
        health = {}
    health = health if isinstance(health, dict) else {}
    dags = {reference.dag_id: reference.dag for reference in asset.scheduled_dags}
    last = session.scalar(select(func.max(AssetEvent.timestamp)).where(AssetEvent.asset_id == asset.id))
    return {
        "asset": asset.name,
        "dags": ", ".join(f"{name} (paused)" if dag and dag.is_paused else name for name, dag in sorted(dags.items())),
        "state": (health.get("state") or "starting") if asset.watchers else "not watched",
        "failing_since": health.get("failing_since"),
        "why": health.get("why"),
        "last_event": last.isoformat(timespec="seconds") if last else None,
        "kept_at": rows[CURSOR].updated_at.isoformat(timespec="seconds") if CURSOR in rows else None,
    }


def _request(asset: str, request: dict[str, Any]) -> str:
    """Leave a request where watchers look, and return the asset's name."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from ..watching.memory import REQUESTS

    with create_session() as session:
        found = next((one for one in _watched_assets(session) if asset in (one.name, one.uri)), None)
        if found is None:
            raise SystemExit(f"No watched asset is called {asset!r}; `airflow azureml watchers` lists them.")
        name: str = found.name
        if request.get("from_version") and "/experiments/" in found.uri:
            raise SystemExit(f"{name}: jobs have no order but time; give --since.")
        kept = session.scalar(select(Variable).where(Variable.key == REQUESTS))
        now = datetime.now(UTC)
        try:
            requests = {
                key: value
                for key, value in json.loads(kept.get_val() if kept else "{}").items()
                if now - datetime.fromisoformat(value["at"]) < _REMEMBERED
            }
        except (ValueError, TypeError, KeyError, AttributeError):
            requests = {}
        requests[name] = {"id": uuid.uuid4().hex, "at": now.isoformat(), **request}
        text = "What `airflow azureml replay` and `forget` ask of watchers"
        Variable.set(REQUESTS, json.dumps(requests), text, session=session)
    return name
