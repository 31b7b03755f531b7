"""Each promise that docs/watchers.md makes, and the tests that fail when it is broken."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROMISES = {
    "Each version once, when it first matches": (
        "test_each_new_version_is_announced_once_whoever_made_it",
        "test_every_version_is_told_exactly_once_in_whatever_order_lists_show_them",
    ),
    'what is there already is taken as known (`start="latest"`) or announced (`start="all"`)': (
        "test_what_is_made_while_the_triggerer_is_down_is_announced_when_it_is_back",
        "test_start_all_announces_what_is_there_in_one_event",
    ),
    "ordered, each version once, as it was last announced": (
        "test_versions_come_oldest_first_however_airflow_orders_events",
        "test_a_version_that_is_announced_twice_counts_once_as_it_was_last",
    ),
    "All are read once an hour in any case": (
        "test_versions_made_out_of_turn_and_from_the_archive_are_announced_at_the_hourly_second_check",
    ),
    "A job that is NotResponding has not ended": (
        "test_a_job_that_does_not_respond_is_announced_when_it_ends_after_all",
    ),
    "of up to 100 versions and 64 KB; more make further events, in order": (
        "test_a_long_announcement_comes_in_events_of_a_hundred_in_order_and_a_kill_between_them_loses_none",
        "test_every_version_is_in_one_event_in_order_and_no_event_is_large",
        "test_of_2000_versions_made_while_no_triggerer_ran_none_is_lost_and_a_crash_repeats_an_event_at_most",
    ),
    "What is made while Airflow is down is announced when it is back": (
        "test_what_is_made_while_the_triggerer_is_down_is_announced_when_it_is_back",
    ),
    "what is made while the DAG is paused when it goes on": ("test_a_paused_consumer_hears_of_it_when_it_goes_on",),
    "Lists that lag behind what was made are looked at again": (
        "test_lists_that_lag_behind_lose_nothing",
        "test_a_restart_while_a_list_lags_behind_loses_nothing",
    ),
    "A version that was deleted and made again is announced again": (
        "test_no_version_is_lost_while_everything_around_the_watchers_fails",
    ),
    "A tag that an old version gets is noticed at the next poll": (
        "test_a_tag_that_an_old_version_gets_is_noticed_whether_lists_show_changes_first_or_not",
        "test_an_old_version_of_a_model_that_gets_another_one_at_each_poll_is_promoted_and_noticed_at_the_next_poll",
    ),
    "what Airflow had stored is not announced again; what it had not, is": (
        "test_a_crash_repeats_nothing_that_is_stored_and_a_pause_what_nobody_may_have_heard",
        "test_an_event_that_airflow_did_not_store_is_told_again",
    ),
    "the two minutes are about four": (
        "test_a_triggerer_that_crashes_in_a_loop_with_news_in_between_tells_no_long_backlog_again",
    ),
    "announcements wait for the repair": (
        "test_what_is_made_during_a_bad_deployment_is_announced_after_the_repair",
        "test_what_was_announced_just_before_an_asset_fell_out_of_use_is_announced_again",
        "test_no_version_is_lost_while_everything_around_the_watchers_fails",
    ),
    "the triggerer restarts meanwhile, or is down": (
        "test_a_triggerer_that_restarts_during_a_bad_deployment_does_not_begin_anew",
        "test_a_triggerer_that_was_down_during_a_bad_deployment_does_not_begin_anew",
    ),
    "what was kept cannot be read": ("test_a_copy_that_somebody_has_spoilt_does_not_stop_the_watcher",),
    "the copy counts; without one, all is announced again": (
        "test_a_state_that_cannot_be_read_is_told_loudly_and_the_copy_counts",
        "test_without_a_copy_an_unreadable_state_leads_to_repeating_and_never_to_forgetting",
    ),
    "never before the service's `Retry-After`, whatever an event queue says": ("test_nudges_shorten_no_back_off",),
    "A permission that is given back, or a connection that is corrected": (
        "test_a_revoked_permission_is_logged_once_and_heals",
        "test_a_connection_that_is_corrected_in_airflow_is_taken_up",
    ),
    "They share one poll, and each has its own memory": (
        "test_each_consumer_of_one_model_has_its_own_memory",
        "test_a_consumer_of_jobs_that_was_paused_for_an_hour_hears_all_of_it_though_another_went_on",
        "test_a_promotion_that_came_while_one_filter_was_paused_is_told_though_another_filter_went_on",
        "test_consumers_of_one_thing_have_each_a_trigger_of_their_own_that_share_a_poll",
    ),
    "Its name and URI hold the filter and the consumer": ("test_two_filters_never_share_an_identity",),
    "`azureml:health` under its state": (
        "test_a_failing_watcher_says_why_and_since_when_on_its_assets_page",
        "test_the_assets_page_says_how_it_is_also_after_a_bad_deployment_and_when_airflow_did_not_take_it_at_first",
    ),
    "announces again what was made since": ("test_replaying_and_forgetting_are_asked_for_and_done_once",),
    "In Airflow's statistics": (
        "test_what_watchers_do_is_in_airflows_statistics",
        "test_metrics_are_on_the_pages_and_the_dashboard_asks_for_no_others",
    ),
    "A platform team sets in Airflow's configuration": (
        "test_a_platform_team_sets_how_often_is_polled_at_most",
        "test_a_platform_team_sets_how_late_a_poll_is_tried_again_at_most",
        "test_a_platform_team_sets_how_many_reads_a_second_go_out",
    ),
    "one page, shared by all filters on the asset": ("test_watchers_with_tags_share_a_call_for_each_model",),
    "a message that is lost, late, repeated or wrong costs latency": (
        "test_what_is_no_event_goes_to_the_poison_queue_and_the_rest_works_on",
        "test_a_queue_that_is_not_there_costs_latency_and_no_more",
        "test_a_list_that_lags_behind_its_event_is_looked_at_again",
    ),
    "A poll that finds nothing new costs no more than that": (
        "test_a_poll_that_finds_nothing_new_costs_one_read_however_many_versions_and_models_there_are",
        "test_a_poll_that_finds_nothing_new_costs_a_page_whatever_there_is",
        "test_five_hundred_watched_models_cost_the_polls_of_one",
    ),
    "Lists are asked for four at a time, in turn, within one budget": (
        "test_two_hundred_tagged_models_under_a_small_budget_all_get_their_turn",
        "test_a_thousand_models_with_tags_under_arms_bucket_are_all_heard_within_three_intervals",
    ),
    "a page that is refused is asked for again alone": (
        "test_a_list_of_many_pages_of_which_some_are_refused_is_read_to_its_end",
        "test_a_backlog_of_7500_versions_on_150_pages_of_which_2_percent_are_refused_is_told_in_order",
    ),
    "less than 16 KB for 10,000 versions of any names": (
        "test_ten_thousand_versions_of_any_names_and_a_hundred_young_ones_take_less_than_16_kb",
    ),
    "several triggerers may hear it": (
        "test_two_triggerers_on_one_queue_hear_every_message_of_every_workspace",
        "test_one_queue_serves_models_and_jobs",
    ),
    "Events of other workspaces are ignored": (
        "test_nudges_have_a_least_spacing_and_those_of_other_workspaces_are_not_heeded",
    ),
    "A message that is no event moves to `azureml-events-poison`": (
        "test_what_is_no_event_goes_to_the_poison_queue_and_the_rest_works_on",
    ),
}


@cache
def page() -> str:
    return " ".join((ROOT / "docs" / "watchers.md").read_text().split())


@cache
def names_of_tests() -> set[str]:
    texts = [file.read_text() for file in (ROOT / "tests").rglob("test_*.py")]
    return {name for text in texts for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, re.MULTILINE)}


@pytest.mark.parametrize("promise", PROMISES)
def test_the_page_makes_this_promise_and_tests_hold_it(promise):
    assert promise in page()
    assert set(PROMISES[promise]) <= names_of_tests()
