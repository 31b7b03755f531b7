"""How an online endpoint's requests are shared among its deployments, in percent. Pure."""

from __future__ import annotations

from typing import Any

from ..arguments import check_name
from ..errors import SpecError


def check_traffic(traffic: Any) -> dict[str, int]:
    """
    Return what a DAG asks for, without the deployments that get nothing.

    :raises SpecError: it does not map deployments to whole percentages that add up to 100, or to 0.
    """
    try:
        shares = {check_name("deployment", name): _whole(share) for name, share in traffic.items()}
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"traffic must map deployments to whole percentages, not {traffic!r}.") from None
    if negative := [name for name, share in shares.items() if share < 0]:
        raise SpecError(f"The traffic {shares} is negative for {', '.join(negative)}. Nothing was changed.")
    if sum(shares.values()) not in (0, 100):
        raise SpecError(f"The traffic {shares} adds up to {sum(shares.values())}, not to 100. Nothing was changed.")
    return served(shares)


def _whole(share: Any) -> int:
    """Return a percentage; templates make it text."""
    if isinstance(share, bool) or int(share) != float(share):
        raise ValueError
    return int(share)


def served(traffic: dict[str, int]) -> dict[str, int]:
    """Return a traffic without the deployments that get nothing: so are two of them the same, or not."""
    return {name: share for name, share in traffic.items() if share}


def next_traffic(now: dict[str, int], goal: dict[str, int], step: int | None) -> dict[str, int]:
    """
    Return the traffic after one step from what there is to what is wanted.

    :param now: deployment -> percent.
    :param goal: deployment -> percent.
    :param step: how many percent of the requests move; None: as many as it takes. Where there is no traffic yet, or
        none is wanted, all of it.
    """
    if step is None or sum(now.values()) != 100 or sum(goal.values()) != 100:
        return dict(goal)
    change = {name: goal.get(name, 0) - now.get(name, 0) for name in sorted({*now, *goal})}
    shares = {name: now.get(name, 0) for name in change}
    for sign in (1, -1):  # the same number of percent is given as is taken
        left = step
        for name, difference in change.items():
            part = min(left, max(0, sign * difference))
            shares[name] += sign * part
            left -= part
    return served(shares)
