"""The routes of all subjects, in the order of the documents; app.py serves them, docs and tests read them here."""

from chalicelib.accounts import people_routes as people
from chalicelib.accounts import routes as auth
from chalicelib.accounts import second_factor_routes as second_factor
from chalicelib.accounts import session_routes as sessions
from chalicelib.api_keys import routes as api_keys
from chalicelib.audit import routes as audit
from chalicelib.console import routes as console
from chalicelib.events import routes as events
from chalicelib.files import routes as files
from chalicelib.health import routes as health
from chalicelib.invitations import routes as invitations
from chalicelib.tenants import routes as tenants
from chalicelib.uploads import companion_routes as companion
from chalicelib.uploads import routes as uploads
from chalicelib.web import openapi
from chalicelib.webhooks import routes as webhooks

ROUTES = (
    auth.routes,
    sessions.routes,
    second_factor.routes,
    people.routes,
    api_keys.routes,
    invitations.routes,
    tenants.routes,
    files.routes,
    uploads.routes,
    companion.routes,
    events.routes,
    audit.routes,
    webhooks.routes,
    health.routes,
    openapi.routes,
    console.routes,
)
