"""
Which api-version each noun of the ARM API is asked at.

One at which the real service's answer was recorded (tests/integration/emulator/recorded_shapes), so that what is read
here is what it says; a stable one where there is such a recording. A connection's ``api_version`` replaces them all,
for a cloud that does not serve one of these yet.
"""

from __future__ import annotations

_WORKSPACE = "2023-08-01-preview"  # recorded with 200 and 404; the members read here are in all versions since 2022

API_VERSIONS = {
    # Stable; recorded: GET, list, cancel. It names no outputs: run history does (rest/run_history.py).
    "jobs": "2024-04-01",
    # Recorded: GET, lists, PUT, 404, archived versions. The stable 2024-04-01 was recorded for a list alone.
    "models": "2023-08-01-preview",
    # The only one recorded, and azure-ai-ml's own.
    "data": "2023-04-01-preview",
    # Recorded with secrets that expire, which is what is asked for.
    "datastores": "2024-07-01-preview",
    # The only one recorded for reading.
    "computes": "2022-10-01-preview",
    # The only ones recorded, and azure-ai-ml's own.
    "components": "2024-01-01-preview",
    "environments": "2023-04-01-preview",
    "schedules": "2023-06-01-preview",
    # Stable; recorded: GET and DELETE.
    "onlineEndpoints": "2024-04-01",
    "batchEndpoints": "2024-04-01",
}


def api_version(path: str) -> str:
    """
    Return the api-version for a path below a workspace.

    :param path: ``/jobs/NAME``, or an empty text for the workspace itself.
    """
    return API_VERSIONS.get(path.strip("/").partition("/")[0], _WORKSPACE)
