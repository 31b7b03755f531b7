"""What a platform team sets in section ``[azureml]`` of Airflow's configuration."""

from __future__ import annotations

from typing import Any

SECTION = "azureml"

_OPTIONS: dict[str, tuple[float, str]] = {
    "max_reads_per_second": (
        25,
        "Reads a second, in the long run, for each principal and subscription in one process. Azure grants about 25 to "
        "all who share them: set less where others read, too.",
    ),
    "watch_least_interval": (0, "Seconds between two polls at least, whatever poll_interval a DAG file asks for."),
    "watch_greatest_backoff": (900, "Seconds between two polls at most while polls fail."),
}


def setting(name: str) -> float:
    """
    Return what is set, or the default.

    :param name: of an option, e.g. ``watch_least_interval``.
    """
    from airflow.sdk.configuration import conf

    default, _ = _OPTIONS[name]
    value = conf.getfloat(SECTION, name, fallback=default)
    return default if value is None or value < 0 or (value == 0 and default > 0) else float(value)


def settle_time() -> float:
    """
    Return after how many seconds it is sure that a stored event was heard.

    A DAG that was paused or fell out of use keeps its watcher until its file is parsed again and until the scheduler
    looks for assets out of use; what is announced in that time reaches nobody, although Airflow stores it.
    """
    from airflow.sdk.configuration import conf

    parsing = conf.getfloat("dag_processor", "min_file_process_interval", fallback=30.0)
    cleanup = conf.getfloat("scheduler", "parsing_cleanup_interval", fallback=60.0)
    return float(parsing + cleanup + 30)


def provider_config() -> dict[str, Any]:
    """Return the section as provider info describes it (``config`` in ``provider_info.schema.json``)."""
    options = {
        name: {
            "description": text,
            "version_added": "0.1.0",
            "type": "float",
            "example": None,
            "default": str(default),
        }
        for name, (default, text) in _OPTIONS.items()
    }
    return {SECTION: {"description": "Azure Machine Learning: how often and how fast it is asked.", "options": options}}
