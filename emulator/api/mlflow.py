"""MLflow's REST API, as far as somebody asks what a job has logged.

Source: MLflow's REST API reference, "Get Run". The workspace serves it at https://REGION.api.azureml.ms/mlflow/v1.0.
"""

from __future__ import annotations

from ..core.arm import PROVIDER, Reply
from ..core.job_progress import TERMINAL
from ..wire.exchange import Exchange
from ..wire.routing import ok, route
from .run_history import find

_BASE = (
    "/mlflow/v1.0/subscriptions/{subscription_}/resourceGroups/{group_}"
    f"/providers/{PROVIDER}/workspaces/{{workspace_}}/api/2.0/mlflow"
)
_STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}


@route("GET", f"{_BASE}/runs/get")
def get_run(exchange: Exchange) -> Reply:
    """Return a run with the last value of each of its metrics."""
    name = exchange.query.get("run_id", "")
    job = find(exchange, name)
    began, last = (int(job["history"][at][1] * 1000) for at in (0, -1))
    info = {
        "run_id": name,
        "status": _STATUS.get(job["status"], "RUNNING"),
        "start_time": began,
        "lifecycle_stage": "active",
        **({"end_time": last} if job["status"] in TERMINAL else {}),
    }
    metrics = [{"key": key, "value": value, "timestamp": last, "step": 0} for key, value in job["metrics"].items()]
    return ok({"run": {"info": info, "data": {"metrics": metrics, "params": [], "tags": []}}})
