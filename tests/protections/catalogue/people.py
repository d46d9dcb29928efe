"""Who may do what in an organisation."""

from __future__ import annotations

from tests.protections.catalogue.protection import Protection

PEOPLE_TESTS = "tests/unit/http/test_people.py"
PERMISSIONS_TESTS = "tests/unit/http/test_permissions.py"

PEOPLE = (
    Protection(
        "A route is for those who have its scope",
        "_check_permission",
        "isinstance(needs, Scope) and not caller.may(needs)",
        "False",
        (f"{PERMISSIONS_TESTS}::test_route_asks_for_its_scope_and_nothing_else",),
    ),
    Protection(
        "Nobody gives a role with more than their own scopes",
        "change_person",
        "role is not None and not caller.may_give(role)",
        "False",
        (f"{PEOPLE_TESTS}::test_nobody_gives_or_touches_more_than_their_own",),
    ),
    Protection(
        "Nobody changes somebody who may do more",
        "_touchable",
        "not caller.may_give(user.role)",
        "False",
        (
            f"{PEOPLE_TESTS}::test_nobody_gives_or_touches_more_than_their_own",
            f"{PEOPLE_TESTS}::test_admin_can_do_nothing_to_an_owner",
        ),
    ),
    Protection(
        "An organisation keeps an owner",
        "count_owners",
        "exists & (OrganizationRow.owners > 1)",
        "exists",
        (
            f"{PEOPLE_TESTS}::test_last_owner_stays",
            f"{PEOPLE_TESTS}::test_two_owners_who_go_at_each_other_leave_one",
        ),
    ),
    Protection(
        "A changed role reaches the sessions that are open",
        "UserStore.replace",
        "[entry.partition(':')[2] for entry in changed.live_sessions] if told else []",
        "[]",
        (
            f"{PEOPLE_TESTS}::test_promotion_reaches_every_session",
            f"{PERMISSIONS_TESTS}::test_changed_role_counts_at_the_next_request",
        ),
    ),
    Protection(
        "A ticket does no more than its user may by now",
        "redeem_ticket",
        "replace(caller, scopes=caller.scopes & TICKET_SCOPES)",
        "ticket.caller",
        (f"{PERMISSIONS_TESTS}::test_changed_role_counts_at_the_next_request",),
    ),
)
