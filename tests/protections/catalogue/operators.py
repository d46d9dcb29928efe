"""What an operator's command can break."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    OPERATOR_ACCOUNTS_TESTS,
    PARAMETERS_TESTS,
    RELEASES_TESTS,
    REMOVAL_TESTS,
)
from tests.protections.catalogue.protection import Protection

OPERATORS = (
    Protection(
        "A value that the application refuses is not deployed",
        "_check_by_setting",
        "setting.parse(name, value.strip())",
        "pass",
        (f"{PARAMETERS_TESTS}::test_wrong_parameter_is_one_sentence_before_anything_is_packaged",),
    ),
    Protection(
        "Secret parameters are not shown, nor kept with a release",
        "secrets_of",
        "parameter.get('NoEcho') or name in hidden",
        "False",
        (f"{PARAMETERS_TESTS}::test_only_changed_parameters_are_shown_and_secrets_never",),
    ),
    Protection(
        "A package that can't be imported is not deployed",
        "try_import",
        "done.returncode != 0",
        "False",
        (f"{RELEASES_TESTS}::test_package_that_can_t_be_imported_is_found_with_its_cause",),
    ),
    Protection(
        "An organisation is deleted only after its name was typed",
        "_require_name",
        "typed.strip() != organization.name",
        "False",
        (f"{REMOVAL_TESTS}::test_another_answer_than_its_name_deletes_nothing",),
    ),
    Protection(
        "An organisation that is being deleted takes no more uploads",
        "remove_organization",
        "set_quota(stores, organization_id, 0, 0)",
        "pass",
        (f"{REMOVAL_TESTS}::test_upload_of_a_request_under_way_finds_no_room",),
    ),
    Protection(
        "An organisation is marked as deleted only when nothing is left of it",
        "_mark",
        "held != Holdings(0, 0, 0, 0, 0, 0)",
        "False",
        (f"{REMOVAL_TESTS}::test_what_comes_at_the_last_moment_keeps_the_organization_from_being_marked",),
    ),
    Protection(
        "What an interrupted deletion has begun is finished by the next",
        "_remove_files",
        "finish_removal(stores, removed)",
        "pass",
        (f"{REMOVAL_TESTS}::test_objects_that_an_interrupted_run_has_left_are_deleted_by_the_next",),
    ),
    Protection(
        "A deleted organisation is not found",
        "OrganizationStore.find",
        "row.deleted_at is None",
        "True",
        (f"{REMOVAL_TESTS}::test_all_of_an_organization_is_deleted_and_nothing_of_another",),
    ),
    Protection(
        "A policy is not wiped by a command without a rule",
        "set_policy",
        "not changes",
        "False",
        (f"{OPERATOR_ACCOUNTS_TESTS}::test_policy_without_a_rule_is_refused_and_wipes_nothing",),
    ),
)
