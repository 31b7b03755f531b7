"""Moving an endpoint's traffic step by step: no request goes nowhere, and no step moves more than was said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from airflow_provider_azureml.provider.resources.traffic import check_traffic, next_traffic


@some.composite
def shares(draw: some.DrawFn) -> dict[str, int]:
    """Up to four deployments that share all requests."""
    cuts = sorted(draw(some.lists(some.integers(0, 100), max_size=3)))
    edges = [0, *cuts, 100]
    names = draw(some.permutations(["blue", "green", "red", "white"]))
    return {name: high - low for name, low, high in zip(names, edges, edges[1:], strict=False) if high > low}


@given(shares(), shares(), some.integers(1, 100))
def test_every_step_is_whole_and_small_and_the_goal_is_reached_in_as_few_as_can_be(now, goal, step):
    moved = sum(max(0, goal.get(name, 0) - share) for name, share in {**dict.fromkeys(goal, 0), **now}.items())
    steps = 0
    while now != goal:
        after = next_traffic(now, goal, step)
        assert check_traffic(after) == after
        assert sum(abs(after.get(name, 0) - now.get(name, 0)) for name in {*now, *after}) <= 2 * step
        now, steps = after, steps + 1
    assert steps == -(-moved // step)


def test_from_and_to_no_traffic_it_goes_at_once():
    assert next_traffic({}, {"blue": 100}, 10) == {"blue": 100}
    assert next_traffic({"blue": 100}, {}, 10) == {}
    assert next_traffic({"blue": 100}, {"green": 100}, None) == {"green": 100}
