"""What tests and the demo ask of a running Airflow through its REST API."""

import time
from collections.abc import Callable, Collection
from typing import Any, Self, TypeVar

import httpx

Json = dict[str, Any]
T = TypeVar("T")

FINISHED_RUN = frozenset({"success", "failed"})
FINISHED_TASK = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class AirflowRest:
    """Airflow's public REST API, with waiting."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Loopback only: proxies of the environment are for the processes that talk to Azure.
        self._http = httpx.Client(base_url=url, timeout=120, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the API server."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send a request to `/api/v2/<path>`, or to an absolute path, and return the answer's JSON."""
        response = self._http.request(method, path if path.startswith("/") else f"/api/v2/{path}", **options)
        if response.is_error:
            raise AirflowError(f"{method} {response.url} answered {response.status_code}: {response.text[:2000]}")
        return response.json() if response.content else None

    def get(self, path: str, **parameters: Any) -> Any:
        """GET `/api/v2/<path>`, or an absolute path."""
        return self.request("GET", path, params=parameters)

    def healthy(self) -> bool:
        """Whether all four components are up."""
        try:
            health: dict[str, Json] = self.get("monitor/health")
        except (httpx.TransportError, AirflowError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "triggerer")) and (
            health["dag_processor"]["status"] == "healthy"
        )

    # DAGs and runs

    def dags(self) -> dict[str, Json]:
        """Return all DAGs that Airflow has parsed, by id."""
        return {dag["dag_id"]: dag for dag in self.get("dags", limit=200)["dags"]}

    def import_errors(self) -> dict[str, str]:
        """DAG files that cannot be imported: file name to stack trace."""
        return {e["filename"]: e["stack_trace"] for e in self.get("importErrors")["import_errors"]}

    def wait_for_dags(self, *dag_ids: str, timeout: float = 120) -> None:
        """Wait until these DAGs are known; a file that cannot be imported is an error at once."""

        def known() -> bool:
            if errors := self.import_errors():
                raise AirflowError("\n\n".join(f"{name}\n{trace}" for name, trace in errors.items()))
            return set(dag_ids) <= self.dags().keys()

        until(known, timeout, lambda: f"no DAG {', '.join(sorted(set(dag_ids) - self.dags().keys()))}")

    def parse(self, *dag_ids: str, timeout: float = 120) -> None:
        """Have the files of these DAGs parsed again, and wait until they are."""
        before = self.dags()
        for token in {before[dag_id]["file_token"] for dag_id in dag_ids}:
            self.request("PUT", f"parseDagFile/{token}")

        def parsed() -> bool:
            now = self.dags()
            return all(now[dag]["last_parsed_time"] > before[dag]["last_parsed_time"] for dag in dag_ids)

        until(parsed, timeout, lambda: f"not all parsed again: {', '.join(dag_ids)}")

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Pause or unpause a DAG."""
        self.request("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, *, conf: Json | None = None) -> str:
        """Start a run and return its id."""
        run = self.request("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf or {}})
        return str(run["dag_run_id"])

    def runs(self, dag_id: str) -> list[Json]:
        """Return the runs of a DAG, oldest first."""
        return list(self.get(f"dags/{dag_id}/dagRuns", order_by="id", limit=200)["dag_runs"])

    def all_runs(self) -> list[Json]:
        """Return the runs of all DAGs, oldest first."""
        return list(self.get("dags/~/dagRuns", order_by="id", limit=200)["dag_runs"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return one run."""
        return dict(self.get(f"dags/{dag_id}/dagRuns/{run_id}"))

    def wait_for_run(
        self, dag_id: str, run_id: str | None = None, *, state: str | None = "success", timeout: float = 240
    ) -> Json:
        """Wait until a run has finished; without an id, the DAG's first one. Another end than `state` is an error."""

        def finished() -> Json | None:
            runs = [self.run(dag_id, run_id)] if run_id else self.runs(dag_id)[:1]
            return next((run for run in runs if run["state"] in FINISHED_RUN), None)

        run = until(finished, timeout, lambda: f"{dag_id} has not finished\n{self._standing(dag_id, run_id)}")
        if state and run["state"] != state:
            raise AirflowError(f"{dag_id}, run {run['dag_run_id']}: {run['state']}\n{self.failed_logs(run)}")
        return run

    # Task instances

    def task_instances(self, dag_id: str, run_id: str) -> dict[str, Json]:
        """Return the task instances of a run by task id (and map index where there is one)."""
        instances = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=200)["task_instances"]
        return {i["task_id"] if i["map_index"] < 0 else f"{i['task_id']}[{i['map_index']}]": i for i in instances}

    def all_task_instances(self) -> list[Json]:
        """Return the task instances of all runs."""
        return list(self.get("dags/~/dagRuns/~/taskInstances", limit=200)["task_instances"])

    def task(self, dag_id: str, run_id: str, task_id: str) -> Json:
        """Return one task instance."""
        return dict(self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"))

    def wait_for_task(
        self, dag_id: str, run_id: str, task_id: str, *, state: str | Collection[str], timeout: float = 120
    ) -> Json:
        """Wait until a task instance is in that state; one that has finished otherwise is an error."""
        wanted = {state} if isinstance(state, str) else set(state)

        def reached() -> Json | None:
            task = self.task(dag_id, run_id, task_id)
            if task["state"] in FINISHED_TASK - wanted:
                raise AirflowError(f"{dag_id}.{task_id}: {task['state']}\n{self.log(dag_id, run_id, task_id)}")
            return task if task["state"] in wanted else None

        return until(
            reached, timeout, lambda: f"{dag_id}.{task_id} not {wanted}: {self.task(dag_id, run_id, task_id)['state']}"
        )

    def log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int | None = None) -> str:
        """Return the log of a task's try (its last one by default), a line for each record."""
        number = try_number or self.task(dag_id, run_id, task_id)["try_number"]
        if not number:
            return "(it was never started)"
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{number}"
        answer = self.get(path, full_content=True)
        return "\n".join(_line(record) for record in answer["content"])

    def _standing(self, dag_id: str, run_id: str | None) -> str:
        run_ids = [run_id] if run_id else [run["dag_run_id"] for run in self.runs(dag_id)[:1]]
        return "\n".join(
            f"--- {dag_id}.{task['task_id']}: {task['state']}\n{self.log(dag_id, run_id, task['task_id'])}"
            for run_id in run_ids
            for task in self.task_instances(dag_id, run_id).values()
        )

    def failed_logs(self, run: Json) -> str:
        """Return the logs of a run's failed tasks."""
        dag_id, run_id = run["dag_id"], run["dag_run_id"]
        failed = [i["task_id"] for i in self.task_instances(dag_id, run_id).values() if i["state"] == "failed"]
        return "\n".join(f"--- {dag_id}.{task_id}\n{self.log(dag_id, run_id, task_id)}" for task_id in failed)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return an XCom value."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, deserialize=True)["value"]

    def find_xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """Return what a task returned, None for nothing; of a mapped task a list."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries"
        indexes = [one["map_index"] for one in self.get(path)["xcom_entries"] if one["key"] == "return_value"]
        found = [self.get(f"{path}/return_value", deserialize=True, map_index=index)["value"] for index in indexes]
        return found if len(found) > 1 else next(iter(found), None)

    def clear(self, dag_id: str, run_id: str, *task_ids: str) -> None:
        """Clear tasks, so that they run again."""
        self.request(
            "POST",
            f"dags/{dag_id}/clearTaskInstances",
            json={"dry_run": False, "dag_run_id": run_id, "task_ids": list(task_ids), "only_failed": False},
        )

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task instance to `success`, `failed` or `skipped`, as a user does."""
        self.request("PATCH", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}", json={"new_state": state})

    # Assets

    def assets(self) -> dict[str, Json]:
        """Return all assets, by URI."""
        return {asset["uri"]: asset for asset in self.get("assets", limit=200)["assets"]}

    def asset_events(self, uri: str | None = None) -> list[Json]:
        """Return asset events, oldest first, of all assets or of one."""
        events: list[Json] = []
        while page := self._events("assets/events", order_by="timestamp", limit=100, offset=len(events)):
            events += page
        return [event for event in events if uri in {None, event["uri"]}]

    def upstream_asset_events(self, dag_id: str, run_id: str) -> list[Json]:
        """Return the asset events that started a run."""
        return self._events(f"dags/{dag_id}/dagRuns/{run_id}/upstreamAssetEvents")

    def _events(self, path: str, *, timeout: float = 60, **parameters: Any) -> list[Json]:
        # Airflow 3.3.2 answers 500 while a run that an event has started is still queued, hence the second tries.
        deadline = time.monotonic() + timeout
        while True:
            try:
                return list(self.get(path, **parameters)["asset_events"])
            except AirflowError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def wait_for_asset_events(self, uri: str, *, count: int = 1, timeout: float = 60) -> list[Json]:
        """Wait until an asset has that many events."""
        return until(
            lambda: events if len(events := self.asset_events(uri)) >= count else None,
            timeout,
            lambda: f"{uri}: fewer than {count} events; there are {self.asset_events()}",
        )


class AirflowError(Exception):
    """Airflow refused a request, or something ended otherwise than it should."""


def until(condition: Callable[[], T | None], timeout: float, otherwise: Callable[[], str]) -> T:
    """
    Ask again until the answer is true; fail with the text of `otherwise` when the time is over.

    What takes longer is asked for less often, as each answer takes Airflow's API server 20 ms of processor time.
    """
    begin = time.monotonic()
    while True:
        answer = condition()
        if answer:
            return answer
        waited = time.monotonic() - begin
        if waited > timeout:
            raise TimeoutError(f"not within {timeout:.0f} s: {otherwise()}")
        time.sleep(min(0.2 + waited / 20, 0.5))


PLAIN_FIELDS = {"timestamp", "level", "event", "error_detail", "logger", "filename", "lineno", "sources"}


def _line(record: Json | str) -> str:
    """Return a log record as a line, with its other fields; its error with the stack below it."""
    if isinstance(record, str):
        return record
    begin = [str(record.get("timestamp") or ""), f"{str(record.get('level') or '').upper():7}", str(record["event"])]
    fields = [f"{key}={value}" for key, value in record.items() if key not in PLAIN_FIELDS]
    line = " ".join([*begin, *fields]).strip()
    for error in record.get("error_detail") or ():
        frames = [f"    {f['filename']}:{f['lineno']} in {f['name']}" for f in error.get("frames", ())]
        line = "\n".join([line, *frames, f"  {error['exc_type']}: {error['exc_value']}"])
    return line
