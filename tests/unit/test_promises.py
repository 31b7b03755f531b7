"""Each promise that README and the pages make, and the tests that fail when it is broken."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from pydoc import locate

import pytest

ROOT = Path(__file__).parents[2]

WATCHERS = {
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
    "of open ones that are older, further pages of the list tell": (
        "test_a_poll_reads_no_more_than_the_pages_that_tell_of_open_jobs_and_some_in_turn",
        "test_a_list_that_calls_ended_jobs_running_is_found_out_job_by_job",
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
    "What was announced in them may have started nothing, so it is told again": (
        "test_what_was_announced_just_before_an_asset_fell_out_of_use_is_announced_again",
    ),
    "(30 seconds), `[scheduler] parsing_cleanup_interval` (60) and half a minute more": (
        "test_an_announcement_is_sure_after_airflows_own_intervals_and_half_a_minute",
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


PROMISES: dict[str, dict[str, tuple[str, ...]]] = {
    "docs/watchers.md": WATCHERS,
    "README.md": {
        "A task that is retried after a crash makes nothing twice": (
            "test_sigkill_after_any_call_leaves_one_job",
            "test_sigkill_after_any_call_leaves_one_version_of_whole_files",
            "test_sigkill_after_any_call_acts_once",
        ),
        "Deferred, they take no worker slot": (
            "test_a_deferred_sensor_resumes_when_the_job_completes_and_returns_its_facts",
        ),
        "A failed job fails its task with the service's own reason in the task's log": (
            "test_a_failed_job_fails_the_task_with_the_services_reason_in_its_log",
        ),
        "name assets without asking Azure, so DAG files stay fast to parse": (
            "test_what_dag_files_and_the_triggerer_import_loads_no_azure_package",
        ),
        "Connections made for `airflow-provider-azure-machinelearning` keep working": (
            "test_a_connection_of_the_provider_that_this_one_succeeds_works_unchanged",
        ),
        "nothing of the product imports it": ("test_a_room_imports_only_from_itself_and_from_rooms_below",),
        '*Test* of a saved connection answers "Bad Request" while its port is empty': (
            "test_airflows_fault_73298_test_of_a_saved_connection_without_port_is_a_bad_request",
        ),
        "*Edit* shows only those extra fields that the connection already has": (
            "test_airflows_fault_edit_shows_only_the_extra_fields_that_a_connection_has",
        ),
    },
    "docs/concepts.md": {
        "Naming it asks Azure nothing": ("test_what_dag_files_and_the_triggerer_import_loads_no_azure_package",),
        "in the order in which AzureML made them, each version once": (
            "test_versions_come_oldest_first_however_airflow_orders_events",
            "test_a_version_that_is_announced_twice_counts_once_as_it_was_last",
        ),
        "finds what its earlier try made: one job, one version, one endpoint": (
            "test_sigkill_after_any_call_leaves_one_job",
            "test_sigkill_after_any_call_leaves_one_version",
            "test_sigkill_after_any_call_acts_once",
        ),
        "Clearing a finished task makes a new one": (
            "test_a_cleared_task_makes_a_new_version",
            "test_a_cleared_task_submits_anew",
        ),
        "Only the connection's id and names are stored there, never a secret": (
            "test_airflows_database_holds_no_secret_while_a_sensor_is_deferred",
        ),
        "cancels the job that it started, never one that it only watches": (
            "test_marking_the_task_failed_cancels_its_job",
            "test_a_trigger_of_somebody_elses_job_cancels_nothing",
        ),
    },
    "docs/how-to/logs.md": {
        "nothing, and asks for nothing": ("test_without_logs_nothing_but_the_waits_is_asked",),
        "where it names them only at the end, the whole log is shown then": (
            "test_lines_are_shown_while_the_job_runs_and_the_rest_when_it_has_ended",
        ),
        "while the job writes it, from the worker and from the triggerer alike": (
            "test_lines_are_shown_while_the_job_runs_and_the_rest_when_it_has_ended",
        ),
        "At most one request a job (and running step) and `poll_interval`": (
            "test_a_thousand_logs_cost_one_request_a_job_and_interval_at_most_and_delay_no_wait",
        ),
        "then a line links to the rest in studio": ("test_more_than_the_limit_is_not_shown_and_there_is_a_link",),
        "A line is shown once it is whole; of a progress bar (`\\r`) its last state": (
            "test_a_line_is_shown_once_it_is_whole_and_once",
            "test_of_a_progress_bar_the_last_state_is_shown",
        ),
        "one that was replaced is shown from its beginning": (
            "test_a_file_that_was_replaced_is_shown_from_its_beginning",
        ),
        "So a retry, and a triggerer that dies, go on from there": (
            "test_another_try_goes_on_where_the_first_was",
            "test_a_triggerer_that_dies_goes_on_where_it_was",
        ),
        "Nothing is lost": ("test_a_worker_killed_at_each_call_shows_all",),
        "a warning says so with the link, and the job is waited for without its log": (
            "test_storage_that_refuses_each_address_is_given_up_with_a_link",
        ),
    },
    "docs/how-to/read-and-download.md": {
        "says where a version is": ("test_a_version_is_read_where_it_is",),
        "put in place once all are there": ("test_sigkill_at_any_call_shows_nothing_until_all_is_there",),
        "each object appears whole": (
            "test_a_store_that_fails_shows_no_file_that_is_half_written_and_a_retry_goes_on",
            "test_sigkill_at_any_call_leaves_whole_files_and_a_retry_the_rest",
        ),
        "asks for those that the store tells no equal MD5 of": ("test_what_is_there_whole_is_not_asked_for_again",),
        "written under a hidden name, then renamed": ("test_a_connection_that_breaks_shows_nothing_half_written",),
        "blobs whose names would leave the folder": ("test_a_name_that_would_leave_the_folder_is_refused",),
        "would be one file": (
            "test_two_that_would_be_one_file_or_a_file_and_a_folder_are_refused",
            "test_one_that_does_not_tell_case_refuses_names_that_differ_in_it_alone",
        ),
        "a link that leads out of the folder": ("test_a_link_in_it_that_leads_out_is_refused",),
        "room. Empty blobs": ("test_one_without_room_is_said_before_anything_is_asked_for",),
        "Empty blobs that stand for folders are left out": ("test_empty_blobs_that_stand_for_folders_are_no_files",),
    },
    "docs/how-to/dev-to-prod.md": {
        "Both make one copy for one task run, also when the worker is killed": (
            "test_sigkill_after_any_call_shares_once_and_still_announces",
            "test_sigkill_after_any_call_leaves_one_copy_of_whole_files",
            "test_sigkill_after_any_call_shares_an_environment_once",
            "test_sigkill_after_any_call_leaves_one_copy",
        ),
        "with the version as partition key": ("test_the_version_can_be_the_partition_key_of_the_event",),
        "OpenLineage is told that it came from the source": ("test_lineage_leads_from_the_version_to_its_copy",),
        "A pipeline component is not copied": ("test_a_pipeline_component_is_refused_with_the_reason",),
        "and fails with the registry's reason, or after an hour": (
            "test_one_that_fails_fails_the_task_with_its_reason_and_a_retry_makes_the_version",
            "test_one_that_never_ends_is_given_up_after_an_hour_and_said",
        ),
        '`if_exists="fail"` (before anything is changed) or `"reuse"`': (
            "test_a_version_that_exists_fails_the_task_or_is_reused_without_an_event",
        ),
        "an operator for them with a registry is an import error of the DAG": (
            "test_what_registries_do_not_have_is_refused_at_parse",
        ),
        "A version that was deleted in a registry never comes back": (
            "test_a_version_that_was_deleted_from_a_registry_never_comes_back",
            "test_a_number_whose_version_was_deleted_is_passed_over",
        ),
        "gives the endpoint the traffic that it had at the beginning": (
            "test_a_version_goes_from_dev_to_prod_and_one_that_fails_is_taken_back",
        ),
    },
    "docs/how-to/deploy-from-the-registry.md": {
        "Each step is one for one task run, also when a worker dies": ("test_sigkill_after_any_call_acts_once",),
        "A deployment that has traffic is not deleted": ("test_a_deployment_with_traffic_is_not_deleted",),
        "sends it a request before it has traffic": ("test_a_file_is_sent_to_a_deployment_without_traffic",),
    },
    "docs/how-to/event-queue.md": {
        "it polls at once when something has happened": (
            "test_a_message_in_the_event_queue_makes_a_watcher_look_that_polls_each_quarter_of_an_hour",
        ),
        "one that is lost, late, repeated or wrong costs latency, never a version": (
            "test_a_queue_that_is_not_there_costs_latency_and_no_more",
            "test_what_is_no_event_goes_to_the_poison_queue_and_the_rest_works_on",
        ),
        "One queue may hold the events of several workspaces, and several triggerers may hear it": (
            "test_two_triggerers_on_one_queue_hear_every_message_of_every_workspace",
        ),
    },
    "docs/how-to/many-workspaces.md": {
        "refuses to run before it changes anything": ("test_a_workspace_argument_that_is_not_the_connections",),
        "Connections that sign in as the same principal share what Azure lets it read": (
            "test_connections_of_one_principal_share_a_budget_for_each_subscription_and_host",
        ),
    },
    "docs/how-to/private-networks.md": {
        "tries each of them from where it runs": (
            "test_all_that_works_is_listed_and_nothing_is_left_behind",
            "test_a_registry_and_an_event_queue_can_be_read_as_well",
        ),
        "`login.chinacloudapi.cn` | `login.microsoftonline.us`": (
            "test_with_a_client_secret",
            "test_what_is_uploaded_is_in_the_clouds_storage_and_comes_back",
            "test_endpoints_are_invoked_with_a_token_of_the_cloud",
        ),
    },
    "docs/how-to/promotion-by-tag.md": {
        "A metric that is no finite number is `None`": ("test_what_is_no_finite_number_is_none_as_json_has_none",),
        "and a version whose job is not known has none": ("test_a_version_that_no_job_made_has_none",),
        "cost one list together": ("test_watchers_with_tags_share_a_call_for_each_model",),
    },
    "docs/how-to/scale.md": {
        "So a list that lags delays an event by its lag at most": (
            "test_a_list_that_lags_delays_by_its_lag_at_most",
            "test_a_list_that_never_changes_is_distrusted_until_all_is_read_one_by_one",
        ),
        "At most 500 pages of a list are read in a round": (
            "test_of_a_list_without_end_500_pages_are_read_in_a_round",
        ),
        "a wait that asks for what another asks costs nothing": ("test_waits_for_the_same_thing_cost_one_read",),
        "a refusal (429) quietens all of its readers": ("test_a_429_for_one_reader_quietens_all",),
        "every event rests on a read of the thing itself": (
            "test_a_job_is_called_ended_by_a_read_and_never_by_a_list_alone",
        ),
        "loads no Azure package": ("test_what_dag_files_and_the_triggerer_import_loads_no_azure_package",),
    },
    "docs/how-to/sign-in.md": {
        "the machine's identity, and nothing else": ("test_a_secret_in_the_environment_does_not_win_silently",),
        "With `managed_identity` an `AZURE_CLIENT_SECRET` that happens to be set on a worker does not win": (
            "test_a_secret_in_the_environment_does_not_win_silently",
        ),
        "line ends that were flattened to `\\n` or to blanks are understood": (
            "test_in_the_connection_however_a_form_or_secrets_backend_keeps_it",
        ),
        "With *Azure cloud* everything is that cloud's": (
            "test_with_what_the_environment_says",
            "test_a_job_is_submitted_with_its_code_and_its_failure_is_told_from_run_history",
            "test_a_registry_is_found_in_the_clouds_own_discovery",
        ),
        "the api-version of all that this provider asks of a workspace": (
            "test_an_api_version_in_the_connection_is_that_of_all_that_this_provider_asks_of_the_workspace",
        ),
        "It writes a blob to each blob datastore and deletes it": (
            "test_all_that_works_is_listed_and_nothing_is_left_behind",
        ),
        "The second prints a custom role": ("test_the_role_that_it_prints_is_enough_for_what_it_says",),
        "Where a datastore keeps no credential, or the identity may not read it, uploads use the identity itself": (
            "test_a_datastore_without_credentials_is_used_as_the_connections_identity",
            "test_a_secret_that_is_not_given_out_is_replaced_by_the_identity",
        ),
    },
    "docs/emulator.md": {
        "gives each test a clean workspace in one emulator for the whole session": (
            "test_each_test_gets_a_clean_workspace",
        ),
        "all that Azure may do to you at once": ("test_the_unkind_mode_is_what_the_page_lists",),
        "turn on, all at once, what the real service does or may do": ("test_the_unkind_mode_is_what_the_page_lists",),
        "250 reads at once and 25 more a second": ("test_a_full_bucket_lets_a_burst_out_at_once_and_then_25_a_second",),
        "nothing is left running, not even when the command itself is killed": (
            "test_nothing_outlives_a_program_that_is_killed",
        ),
        "Only 127.0.0.1 is listened on": ("test_only_loopback_is_listened_on",),
    },
    "docs/releasing.md": {
        "the same bytes on every machine": (
            "test_two_builds_of_a_commit_have_the_same_bytes_whatever_the_user_and_the_time",
        ),
        "It believes a service only if that knows an old release with known vulnerabilities": (
            "test_an_audit_that_could_not_ask_is_told_from_one_that_found_nothing",
        ),
    },
    "SECURITY.md": {
        "names and the connection's id, never a secret": (
            "test_airflows_database_holds_no_secret_while_a_sensor_is_deferred",
        ),
        "runs the examples at DEBUG and looks for each of these secrets": (
            "test_no_secret_is_in_logs_database_xcom_rendered_templates_or_the_list_of_processes_also_at_debug",
        ),
    },
    "docs/how-to/data-aware-scheduling.md": {
        "or it is in Azure already (`azureml://datastores/...`, `https://...`), and nothing is uploaded": (
            "test_what_is_in_azure_already_is_registered_where_it_is",
        ),
    },
    "docs/migration.md": {
        "nothing is, unless `AZUREML_GIT_*` says it": (
            "test_nothing_of_git_is_told_and_nothing_is_printed",
            "test_git_is_told_where_the_environment_says_so",
        ),
    },
    "docs/reference/operators.md": {
        "share an online endpoint's traffic, at once or step by step": (
            "test_from_and_to_no_traffic_it_goes_at_once",
            "test_gradually_it_moves_step_by_step",
        ),
    },
    "docs/architecture.md": {
        "of Airflow it imports `airflow.sdk` at most": ("test_what_an_asset_is_needs_of_airflow_its_task_sdk_alone",),
        "The product never imports it, and it imports nothing of the product": (
            "test_a_room_imports_only_from_itself_and_from_rooms_below",
        ),
        "never up and never in a circle": (
            "test_a_room_imports_only_from_itself_and_from_rooms_below",
            "test_no_modules_import_each_other_in_a_circle",
        ),
        "each once for all who ask": ("test_watchers_with_tags_share_a_call_for_each_model",),
        "it is never taken for the truth": ("test_what_is_no_event_goes_to_the_poison_queue_and_the_rest_works_on",),
        "each version once, oldest first": (
            "test_versions_come_oldest_first_however_airflow_orders_events",
            "test_a_version_that_is_announced_twice_counts_once_as_it_was_last",
        ),
    },
    "CHANGELOG.md": {
        "Nothing is lost when lists lag behind": (
            "test_lists_that_lag_behind_lose_nothing",
            "test_a_triggerer_that_restarts_during_a_bad_deployment_does_not_begin_anew",
            "test_a_crash_repeats_nothing_that_is_stored_and_a_pause_what_nobody_may_have_heard",
        ),
        "One result for one task run, also when a worker or triggerer dies or an answer is lost": (
            "test_sigkill_after_any_call_acts_once",
            "test_a_lost_answer_does_not_make_two",
            "test_the_triggerer_can_be_killed_and_replaced",
        ),
        "moves traffic at once or step by step": (
            "test_from_and_to_no_traffic_it_goes_at_once",
            "test_gradually_it_moves_step_by_step",
        ),
        "`execution_timeout` holds for a whole try, deferred or not": (
            "test_execution_timeout_holds_over_a_deferral",
            "test_the_execution_timeout_holds_in_the_triggerer_too",
        ),
        "Whole or not at all: what cannot be read is named before anything is sent": (
            "test_a_folder_with_something_unreadable_reaches_no_storage",
            "test_what_is_damaged_on_the_way_is_not_registered",
            "test_what_storage_holds_otherwise_than_it_was_sent_is_not_registered",
            "test_a_retry_sends_only_what_is_missing",
            "test_a_failed_upload_with_no_retry_to_come_leaves_nothing_behind",
            "test_on_kill_ends_an_upload_within_seconds",
        ),
        "Errors that another try cannot mend end a task at once, whatever its `retries`": (
            "test_an_error_that_a_retry_cannot_mend_ends_the_task",
            "test_a_policy_of_the_tasks_or_of_the_dags_own_replaces_it",
        ),
    },
}


DOCSTRINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "datasets/events.py": {
        "oldest first and each one once": (
            "test_versions_come_oldest_first_however_airflow_orders_events",
            "test_a_version_that_is_announced_twice_counts_once_as_it_was_last",
        ),
        "Events that say nothing of AzureML versions are passed over": (
            "test_events_that_say_nothing_of_versions_are_passed_over",
        ),
    },
    "datasets/workspace.py": {
        "whose collection has this name in any case": ("test_case_does_not_matter_to_azure_nor_to_a_workspace",),
        "name, URI and group always agree": (
            "test_an_asset_is_named_for_people_and_has_azuremls_own_long_id_as_uri",
            "test_hook_lineage_makes_the_same_asset",
        ),
    },
    "provider/hook.py": {
        "Making one looks nothing up": ("test_making_a_hook_looks_nothing_up",),
        "or whatever else ends the task, ends it too, at once": (
            "test_a_task_that_runs_out_of_time_ends_what_it_asks",
            "test_on_kill_ends_a_download_within_seconds",
        ),
    },
    "provider/operators/batch.py": {
        "otherwise the task succeeds once it has started": (
            "test_without_waiting_the_task_ends_when_its_job_has_started",
        ),
        "how many seconds one try waits for the job at most": ("test_a_job_that_takes_too_long_is_canceled",),
    },
    "provider/operators/compute.py": {
        "A compute that exists is used, once its settings are compared": (
            "test_with_the_same_settings_it_is_used",
            "test_with_other_settings_it_is_used_with_a_warning",
        ),
    },
    "provider/operators/endpoint.py": {
        "An endpoint that exists is used, once its settings are compared": (
            "test_with_the_same_settings_it_is_used",
            "test_with_other_settings_it_is_used_with_a_warning_or_an_error",
        ),
        "it is deleted and made anew": (
            "test_the_tasks_own_is_deleted_and_made_anew",
            "test_somebody_elses_is_left_alone",
        ),
    },
    "provider/operators/job.py": {
        "Cancel the job that this task run submitted, once": (
            "test_the_worker_cancels_our_job_once_also_from_a_signal_handler",
        ),
        "otherwise the task succeeds once it is submitted": (
            "test_without_waiting_the_task_ends_when_the_job_is_submitted",
        ),
        "One request a job and ``poll_interval`` at most; 4 MiB of a job at most": (
            "test_a_thousand_logs_cost_one_request_a_job_and_interval_at_most_and_delay_no_wait",
            "test_more_than_the_limit_is_not_shown_and_there_is_a_link",
        ),
        "how many seconds one try waits for the job at most": ("test_a_job_that_takes_too_long_is_canceled",),
    },
    "provider/operators/moving.py": {
        "One that is known to be the copy of another version fails the task in any case": (
            "test_what_exists_is_reused_only_if_it_may_be_the_copy",
        ),
    },
    "provider/operators/schedule.py": {
        "Each run of the task replaces it once": ("test_a_cleared_task_replaces_it_and_a_retry_does_not",),
        "Let an AzureML schedule submit its job now, once for one task run": (
            "test_it_submits_the_job",
            "test_a_lost_answer_is_no_second_job",
        ),
    },
    "provider/operators/traffic.py": {
        "at once or gradually": ("test_from_and_to_no_traffic_it_goes_at_once", "test_gradually_it_moves_step_by_step"),
        "None: all at once": ("test_it_is_shared_and_what_else_the_endpoint_has_stays",),
        "An endpoint without traffic gets all of it at once too": ("test_from_and_to_no_traffic_it_goes_at_once",),
    },
    "provider/triggers/watch_experiment.py": {
        "Announces each job of an experiment once": ("test_jobs_of_an_experiment_are_announced_when_they_end",),
    },
    "provider/triggers/watch_version.py": {
        "once, when it first matches": (
            "test_each_new_version_is_announced_once_whoever_made_it",
            "test_every_version_is_told_exactly_once_in_whatever_order_lists_show_them",
        ),
    },
    "sensors/job.py": {
        "The task only watches: ending it never cancels the job": ("test_watching_never_cancels",),
        "One request a job and ``poke_interval`` at most when deferred": (
            "test_a_thousand_logs_cost_one_request_a_job_and_interval_at_most_and_delay_no_wait",
        ),
    },
    "sensors/watchers.py": {
        "Each version is announced once, when it first matches": (
            "test_each_new_version_is_announced_once_whoever_made_it",
            "test_every_version_is_told_exactly_once_in_whatever_order_lists_show_them",
        ),
        "The triggerer polls once per workspace, kind, interval and queue": (
            "test_five_hundred_watched_models_cost_the_polls_of_one",
        ),
        "a message makes the next poll happen at once": (
            "test_a_message_in_the_event_queue_makes_a_watcher_look_that_polls_each_quarter_of_an_hour",
        ),
    },
    "emulator/emulator.py": {
        "Stop everything; without `persist` nothing is left": ("test_nothing_is_left_after_stop",),
        "End the service at once, as a crash does": ("test_a_crash_keeps_the_state",),
        "may do nothing else": ("test_a_grant_covers_what_is_below_its_scope_and_nothing_else",),
    },
    "provider/operators/base_waiting.py": {
        "``execution_timeout`` holds for a whole try, deferred or not": (
            "test_execution_timeout_holds_over_a_deferral",
            "test_the_execution_timeout_holds_in_the_triggerer_too",
        ),
        "how many seconds one try waits at most": ("test_azure_goes_on_when_the_task_has_waited_long_enough",),
    },
    "provider/operators/base_resource.py": {
        "once its settings are compared with the ones asked for": (
            "test_with_the_same_settings_it_is_used",
            "test_with_other_settings_it_is_updated_where_that_is_wanted",
        ),
        "each run of the task once": (
            "test_a_cleared_task_updates_the_deployment_and_a_retry_does_not",
            "test_a_cleared_task_replaces_it_and_a_retry_does_not",
        ),
    },
    "provider/triggers/base.py": {
        "then fires once": ("test_waits_that_end_leave_nothing_behind",),
        "the connection's id and names, never a secret": (
            "test_airflows_database_holds_no_secret_while_a_sensor_is_deferred",
        ),
    },
    "provider/triggers/watch.py": {
        "so nothing is lost or announced anew when the triggerer restarts": (
            "test_what_is_made_while_the_triggerer_is_down_is_announced_when_it_is_back",
            "test_a_crash_repeats_nothing_that_is_stored_and_a_pause_what_nobody_may_have_heard",
        ),
        "It never ends and never fails": (
            "test_no_version_is_lost_while_everything_around_the_watchers_fails",
            "test_a_state_that_airflow_itself_cannot_read_does_not_stop_the_watcher",
        ),
    },
}
"""The same of what users import, by the file that it is in."""

COMMON: dict[str, tuple[str, ...]] = {
    "nothing was changed": (
        "test_a_clear_error_before_anything_is_changed",
        "test_what_is_not_there_or_has_failed_is_refused_and_nothing_changed",
        "test_what_does_not_add_up_is_refused_before_any_call",
        "test_what_is_invalid_is_refused_before_anything_is_made",
    ),
    "nothing was made": ("test_an_environment_that_cannot_be", "test_a_component_that_cannot_be"),
    "nothing was registered": ("test_a_failed_upload_with_no_retry_to_come_leaves_nothing_behind",),
    "nothing was started": ("test_what_cannot_be_starts_nothing",),
    "status ``Deleted`` once it is gone": (
        "test_a_compute_is_deleted_and_waited_for",
        "test_a_deployment_and_an_endpoint_are_deleted_and_waited_for",
        "test_it_is_deleted_and_waited_for_once_it_is_disabled",
    ),
    "and nothing is uploaded, made or announced": ("test_the_same_content_makes_no_upload_no_version_and_no_event",),
    "The files are read once to know": ("test_the_same_content_makes_no_upload_no_version_and_no_event",),
    "nothing is at the destination before all of it is there": (
        "test_sigkill_at_any_call_shows_nothing_until_all_is_there",
    ),
    "In an object store, each object appears whole": (
        "test_sigkill_at_any_call_leaves_whole_files_and_a_retry_the_rest",
    ),
    "it does not exist, or holds nothing": ("test_what_cannot_be_downloaded",),
    "The request is sent once for each try": ("test_no_answer_in_time_is_worth_another_try",),
}
"""What several docstrings say in the same words."""

NONE = (
    "in seconds since the epoch; None: never",
    "when the whole list does not mention it",
    "or None if there is nothing yet",
    "Check once.",
    "how many items a page of a list has: 50, or 3 when unkind",
    "in every other workspace, the secret of the default datastore is not given out",
    "is noticed after 300 seconds",
    "learns of it with its next heartbeat, within 5 seconds",
    "A triggerer that is lost is noticed after 30 seconds",
    "A task whose trigger fires before the end of its worker process",
    "Mind that clients repeat more than one thinks",
    "the real service says nothing",
    "What was never recorded is a guess",
    "resource groups nothing was recorded",
    "`order by change`: whether",
    "three at most",
    "`batch job keeps`",
    "`registry import keeps`",
    "an upload that fails for good leaves its files in there",
    "To start a DAG for each job that ends in an experiment",
    "can be lost between the two",
    "in each kind of workspace is not recorded",
    "Several triggerers know nothing of each other",
    "azure-identity's `DefaultAzureCredential`: the first way that works",
    "was never recorded",
    "an XCom of a task that returned nothing or was skipped",
    "a module that names the workspace once",
    "A dict costs nothing",
    "The version was lost",
    "a name, or nothing",
    "`operators.traffic`: at once",
    "Nothing in this repository holds a token",
    "could only end with 3",
    "**Never lost, rarely repeated.**",
    "lets all of this and more happen at once",
    "14 at most",
    "may get no event for what is made in between",
    "is started for nothing",
    "seconds between two polls at most while polls fail",
    "One list request per workspace, kind and interval",
    "a message makes the next poll happen at once",
    "Nothing happens yet",
    "nothing else, because that is what Airflow's database keeps",
    "makes it poll at once",
    "An operator or sensor checks once, and defers",
    "claims nothing that was not recorded",
    "a whole Airflow",
    "within 83 minutes",
    "a path with nothing there",
    "never for a DAG file",
    "for as long as it, or one of its parts, is held",
    "once there are deployments",
    "do not check before this time",
    "nothing to do for jobs and deployments",
)
"""Of sentences that read like promises and are none: what Azure, Airflow or users do, measured, or explained."""

WORDS = re.compile(
    r"\b(?:never|always|once|nothing|lost|whole|at most|no secret|one request|in any case)\b"
    r"|\bwithin \w+ (?:seconds|minutes)\b",
    re.IGNORECASE,
)
# Of the others, performance.md is measured, azure-calls.md is written by a test, and adding-a-noun.md says what to do.
PAGES = (
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    *(
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if path.name not in ("performance.md", "azure-calls.md", "adding-a-noun.md")
    ),
)


@cache
def text_of(page: str) -> str:
    return " ".join((ROOT / page).read_text().split())


@cache
def names_of_tests() -> set[str]:
    texts = [file.read_text() for file in (ROOT / "tests").rglob("test_*.py")]
    return {name for text in texts for name in re.findall(r"^ *(?:async )?def (test_\w+)", text, re.MULTILINE)}


@pytest.mark.parametrize(("page", "promise"), [(page, promise) for page in PROMISES for promise in PROMISES[page]])
def test_the_page_makes_this_promise_and_tests_hold_it(page, promise):
    assert promise in text_of(page)
    assert set(PROMISES[page][promise]) <= names_of_tests()


def sentences(text: str) -> list[str]:
    """Split prose; items of lists, rows of tables and parameters of docstrings stand for themselves."""
    text = re.sub(r"^```.*?^```", "\n\n", text, flags=re.MULTILINE | re.DOTALL)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\. |:\w+))", text)
    return [part for block in blocks for part in re.split(r"(?<=[.!?:])\s+(?=[A-Z`*\[\"])", " ".join(block.split()))]


@cache
def docstrings() -> dict[str, str]:
    """Return what is said of the names that users import, by the file that it is in."""
    said: dict[str, dict[str, None]] = defaultdict(dict)
    for name in re.findall(r"^airflow_provider_azureml[\w.]+", (ROOT / "tests/surface.txt").read_text(), re.MULTILINE):
        public = locate(name)
        for owner in inspect.getmro(public) if isinstance(public, type) else [public]:
            if owner.__module__.startswith("airflow_provider_azureml."):
                members = [value for key, value in vars(owner).items() if not key.startswith("_")]
                docs = [inspect.getdoc(one) or "" for one in (owner, *members) if not isinstance(one, (str, tuple))]
                said[Path(inspect.getfile(owner)).relative_to(ROOT).as_posix()] |= dict.fromkeys(docs)
    return {file: "\n\n".join(docs) for file, docs in said.items()}


def unheld(text: str, *held: Iterable[str]) -> list[str]:
    known = [*NONE, *(promise for each in held for promise in each)]
    return [part for part in sentences(text) if WORDS.search(part) and not any(one in part for one in known)]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_promises_is_held_by_a_test(page):
    text = (ROOT / page).read_text()
    if page == "CHANGELOG.md":
        text = text[text.index("\n## 0.1.0") :]  # what is newer is on the pages
    assert unheld(text, PROMISES.get(page, {})) == []


def test_what_docstrings_of_the_public_surface_promise_is_held_by_a_test():
    assert DOCSTRINGS.keys() <= docstrings().keys()
    for file, text in docstrings().items():
        assert unheld(text, DOCSTRINGS.get(file, {}), COMMON) == [], file
        said = " ".join(text.split())
        for promise, tests in DOCSTRINGS.get(file, {}).items():
            assert promise in said
            assert set(tests) <= names_of_tests()


def test_every_entry_is_of_something_that_is_said():
    said = " ".join([*map(text_of, PAGES), *(" ".join(text.split()) for text in docstrings().values())])
    assert [one for one in (*NONE, *COMMON) if one not in said] == []
    assert {test for tests in COMMON.values() for test in tests} <= names_of_tests()
