"""On AWS: what a deployment must not destroy, and what one organisation or client must not take from the others."""

from __future__ import annotations

from tests.protections.catalogue.places import UNIT_TESTS
from tests.protections.catalogue.protection import Protection

DEPLOYMENT_TESTS = f"{UNIT_TESTS}/operator/test_deployment.py"
INTERRUPTED_TESTS = f"{UNIT_TESTS}/operator/test_interrupted_deployments.py"
REMOVALS_TESTS = f"{UNIT_TESTS}/operator/test_interrupted_removals.py"
RECOVERY_TESTS = f"{UNIT_TESTS}/operator/test_recovery.py"
COMMAND_EVENTS_TESTS = f"{UNIT_TESTS}/operator/test_command_events.py"
PARAMETERS_TESTS = f"{UNIT_TESTS}/operator/test_parameters.py"
LEFTOVERS_TESTS = f"{UNIT_TESTS}/operator/test_leftovers.py"
ACCOUNT_TESTS = f"{UNIT_TESTS}/operator/test_account.py"
FAIR_SHARE_TESTS = f"{UNIT_TESTS}/logic/test_fair_share.py"
TABLE_COUNTERS_TESTS = f"{UNIT_TESTS}/stores/test_table_counters.py"
ADDRESSES_TESTS = f"{UNIT_TESTS}/http/test_addresses.py"

DEPLOYMENT = (
    Protection(
        "A change that may replace data counts as one that does",
        "Change.loses_data",
        "self._may_be_replaced",
        "False",
        (f"{DEPLOYMENT_TESTS}::test_change_that_may_lose_data_counts_as_one_that_does",),
    ),
    Protection(
        "Nothing is changed before it is confirmed",
        "deploy_stack",
        "confirm is not None and not confirm(changes)",
        "False",
        (f"{DEPLOYMENT_TESTS}::test_nothing_is_made_before_it_is_confirmed",),
    ),
    Protection(
        "A version that no record tells of is not what a failed deployment returns to",
        "Running.good_release",
        "self.version() == records[0].what_runs and check_once(api_url(self.session, outputs), self.live.transport)",
        "check_once(api_url(self.session, outputs), self.live.transport)",
        (f"{INTERRUPTED_TESTS}::test_version_that_is_taken_back",),
    ),
    Protection(
        "A rollback after a deployment that died returns to the last version that answered",
        "choose",
        "records and running is not None and all(record.what_runs != running for record in records)",
        "False",
        (f"{INTERRUPTED_TESTS}::test_rollback_after_a_return_that_died",),
    ),
    Protection(
        "The functions' version of Python is not changed by who deploys",
        "require_same_runtime",
        "running != runtime",
        "False",
        (f"{INTERRUPTED_TESTS}::test_version_of_python_is_not_changed_by_who_deploys",),
    ),
    Protection(
        "The buckets of a stack that is there keep their names",
        "names_buckets_by_region",
        'outputs.get("TempBucket", "").endswith(f"-{region}")',
        "True",
        (
            f"{INTERRUPTED_TESTS}::"
            "test_buckets_of_a_new_stack_have_the_region_and_those_of_an_older_one_keep_their_names",
        ),
    ),
    Protection(
        "A dry run of a deployment changes nothing",
        "deploy_stack",
        "if dry_run:\n        _drop_plan(cloudformation, planned, existing)\n        "
        "return Deployment({}, changed=False)",
        "pass",
        (f"{DEPLOYMENT_TESTS}::test_dry_run_shows_the_changes_and_leaves_nothing",),
    ),
    Protection(
        "A domain without a certificate is refused before anything is packaged",
        "check_together",
        'not _holds(assertion["Assert"], values)',
        "False",
        (f"{PARAMETERS_TESTS}::test_what_the_stack_has_counts_for_what_goes_together",),
    ),
    Protection(
        "A removal that died is finished by the next one, logs and releases included",
        "what_exists",
        "release_history.ids(s3, artifacts, stage)",
        "[]",
        (f"{REMOVALS_TESTS}::test_removal_is_finished_by_the_next_run",),
    ),
    Protection(
        "A backup has one moment: its name is taken once",
        "make_backup",
        "there is not None",
        "False",
        (f"{RECOVERY_TESTS}::test_backup_has_every_table_and_is_listed_and_deleted",),
    ),
    Protection(
        "Rows that a restore brings back are told",
        "_restore_all_rows",
        "_tell(stores, source, whose, rows=count)",
        "pass",
        (f"{COMMAND_EVENTS_TESTS}::test_command_is_told",),
    ),
    Protection(
        "What an earlier stack has left is kept where one of it holds data",
        "clear_leftovers",
        "not _OF[kind].is_empty(session, name)",
        "False",
        (f"{LEFTOVERS_TESTS}::test_nothing_is_removed_where_one_holds_data",),
    ),
    Protection(
        "A bucket in another region is no left-over",
        "_look_for_bucket",
        "region != session.region_name",
        "False",
        (f"{LEFTOVERS_TESTS}::test_bucket_of_the_same_stage_in_another_region_is_left_alone",),
    ),
    Protection(
        "A table's deletion protection is set",
        "protect_tables",
        "dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)",
        "pass",
        (f"{LEFTOVERS_TESTS}::test_tables_are_protected_once",),
    ),
    Protection(
        "The triggers leave the API half of the account",
        "concurrency_shares",
        "executions // 2",
        "executions",
        (f"{ACCOUNT_TESTS}::test_triggers_of_a_new_account_leave_the_api_half",),
    ),
    Protection(
        "One organisation leaves places of processing to the others",
        "FileStore._move_counters",
        "difference.begins_processing",
        "False",
        (f"{FAIR_SHARE_TESTS}::test_slow_files_of_one_leave_workers_to_the_others",),
    ),
    Protection(
        "Of many that begin the next window of a counter one does",
        "TableCounters._count_in_window",
        "condition=CounterRow.ends_at <= now",
        "pass",
        (f"{TABLE_COUNTERS_TESTS}::test_count_of_somebody_who_begins_the_next_window_first_is_kept",),
    ),
    Protection(
        "Of X-Forwarded-For only what trusted proxies have added is believed",
        "exact_address",
        "told[-1 - proxies] if len(told) > proxies and _is_address(told[-1 - proxies]) else peer",
        "told[0]",
        (f"{ADDRESSES_TESTS}::test_only_what_trusted_proxies_have_added_counts",),
    ),
)
