"""Which errors are not worth another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .capabilities import end_at_once
from .errors import ConnectionConfigurationError, PermissionDeniedError, SpecError

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy

# Not AuthenticationError: managed identities fail for a while after their node has started. Not NotFoundError: what a
# task names may come.
FINAL = (SpecError, ConnectionConfigurationError, PermissionDeniedError)


def retry_policy() -> RetryPolicy | None:
    """
    Return the policy of all operators and sensors here that have none of their own.

    An error in the DAG, in the connection (a workspace that does not exist) or in the rights of its identity is the
    same at each try, so the task fails at once instead of hours of retries later. A task's ``retry_policy=``, or the
    DAG's in ``default_args``, replaces this.
    """
    return end_at_once(FINAL, "Another try would meet the same: the DAG, the connection or the rights must change.")
