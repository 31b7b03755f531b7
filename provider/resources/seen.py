"""What somebody who waits for a resource has seen of it."""

from __future__ import annotations


class Seen(set[str]):
    """
    The states met so far, so that each is logged once; and operations that are known to be done.

    :ivar last: the state at the last check, for the log.
    """

    last = ""
