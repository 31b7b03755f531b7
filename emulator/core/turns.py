"""Which form an answer takes, where the service was seen to answer in several, or where it is not known how it does.

Of the first kind nothing can be set: with `both_forms` each has its turn. Of the second (`WAYS`: no recording,
specification or source tells) a test sets a way: `configure(answers={"step bodies": "null"})`; what nobody has set is
the first, and with `both_forms` each in its turn.
"""

from __future__ import annotations

from collections import Counter

WAYS: dict[str, tuple[str, ...]] = {
    # Where run history tells what became of a named output: the run's own outputs, the definition that was submitted.
    "registered outputs": ("run", "definition", "both", "neither"),
    # Type names in a run's outputs: azure-ai-ml compares with the first, older api-versions spelt the second.
    "output types": ("uri_folder", "UriFolder"),
    # The path of a model made of a job's output: its place in the datastore, or `azureml://jobs/...` as it was sent.
    "paths of job outputs": ("resolved", "as sent"),
    # GET of a pipeline's step: recorded in 2023 without properties; the SDK also allows for null.
    "step bodies": ("absent", "null"),
    # The addresses of a run's log files: signed (as SDKs since v1 read them), or such that the reader's identity must
    # open them, as a workspace without keys might give; or none while the job runs.
    "log files": ("signed", "unsigned", "none while it runs"),
    # What getLogs says of a deployment that failed before its containers began.
    "logs of no container": ("nothing", "null", "not found"),
    # The status of "Cannot create a deployment in endpoint E because it is in Updating provisioning state." (the words:
    # Azure/azure-sdk-for-net#36961, where the endpoint had been read as Succeeded before).
    "endpoint is busy": ("bad request", "conflict"),
    # What a batch endpoint's job keeps of the invocation's name and tags. The name may become its display name
    # (recorded for the one that the service makes up) or its own.
    "batch job keeps": ("tags", "name", "display name", "name and tags", "nothing"),
    # Whether a second invocation with the same repeatability-request-id gives the first one's job.
    "repeatability": ("ignored", "honoured"),
    # POST .../registries/R/import, what models.share and data.share send: done at once, or an operation (the SDK takes
    # both), and whether the copy has the tags, description and properties of what it was made of.
    "registry import": ("done", "accepted"),
    "registry import keeps": ("tags", "nothing"),
    # What a registry says of a version that is being made and cannot be seen yet, when it is asked for again.
    "registry makes it already": ("conflict", "accepted"),
    # How an operation of a registry tells that it failed: a status as ARM's have it, an error alone, a refusal.
    # Recorded are operations that succeed.
    "registry operation fails": ("status", "error", "refusal"),
    # Whether the place for an upload is the same one for the same version ("create or get", says the SDK's source).
    "registry upload place": ("same", "new"),
    # Whether a registry tells the next version of data: azure-ai-ml never asks.
    "registry next data version": ("told", "untold"),
    # PUT of a version that exists in a registry, with other tags: recorded is only the making.
    "registry update": ("done", "accepted"),
    # Whether $orderBy=modifiedtime works for versions of models too: the specification says so for data. A service
    # keeps to what it does, so this has no turns.
    "order by change": ("honoured", "ignored", "refused"),
}


class Turns:
    """Every form in its turn, or always the first."""

    def __init__(self, *, both: bool) -> None:
        self.both = both
        self._taken: Counter[str] = Counter()

    def take(self, question: str, forms: int = 2) -> int:
        """Return which of so many forms is due for an answer; the first is the one seen last, or most often."""
        if not self.both:
            return 0
        self._taken[question] += 1
        return (self._taken[question] - 1) % forms


def check(answers: dict[str, str]) -> dict[str, str]:
    """Return the ways that were asked for, or raise ValueError."""
    for question, way in answers.items():
        if question not in WAYS:
            raise ValueError(f"no question {question!r}; there are {', '.join(WAYS)}")
        if way not in WAYS[question]:
            raise ValueError(f"{question!r} cannot be {way!r}, only {', '.join(WAYS[question])}")
    return answers
