"""
The exceptions that this provider raises.

::

    AzureMachineLearningError
    ├── ConnectionConfigurationError    the Airflow connection, or the choice of workspace
    ├── SpecError                       what the DAG asks for is invalid
    ├── AuthenticationError             Microsoft Entra refused the credential (401)
    ├── PermissionDeniedError           the credential is good, but not allowed to do this (403)
    ├── NotFoundError                   it does not exist (404)
    ├── RequestRefusedError             the service refused the request (other 4xx)
    ├── TransientError                  try again later: network, 408, 429, 5xx
    ├── AmbiguousError                  which of several jobs is the task's own is not known
    ├── JobFailedError                  an AzureML job ended without success
    ├── ProvisioningFailedError         a compute, endpoint or deployment could not be made, changed or deleted
    └── WaitTimeoutError                what was waited for did not come in time
"""

from __future__ import annotations


class AzureMachineLearningError(Exception):
    """The base of all of them."""


class ConnectionConfigurationError(AzureMachineLearningError):
    """The Airflow connection is missing, lacks a field, has a wrong one, or points to another workspace."""


class SpecError(AzureMachineLearningError, ValueError):
    """What the DAG asks for is invalid: an unknown key, a name that AzureML refuses, a path with nothing there."""


class AuthenticationError(AzureMachineLearningError):
    """Microsoft Entra or AzureML did not accept the credential."""


class PermissionDeniedError(AzureMachineLearningError):
    """The credential is accepted, but its identity may not do this."""


class NotFoundError(AzureMachineLearningError):
    """The workspace, asset, job or datastore does not exist."""


class RequestRefusedError(AzureMachineLearningError):
    """
    The service refused the request.

    :param status: the HTTP status, e.g. 400 or 409.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class TransientError(AzureMachineLearningError):
    """
    The service could not answer now; the same request may succeed later.

    :param retry_after: seconds that the service asks to wait, or None.
    :param status: the HTTP status, e.g. 429; None if no answer came.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status


class AmbiguousError(AzureMachineLearningError):
    """It is not known which of several jobs is the task's own: neither taking one nor starting another is right."""


class JobFailedError(AzureMachineLearningError):
    """
    An AzureML job ended in Failed or Canceled, did not respond for too long, or is Paused where that counts as failure.

    :param job: the job's facts, as :meth:`Job.to_dict` gives them.
    """

    def __init__(self, message: str, *, job: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.job = job or {}


class ProvisioningFailedError(AzureMachineLearningError):
    """Azure began to make, change or delete a compute, endpoint or deployment, and failed."""


class WaitTimeoutError(AzureMachineLearningError):
    """What a task waited for did not come within its ``timeout``."""
