"""The Chalice application: its routes and its event functions."""

from typing import Any

from chalice.app import Chalice, LambdaFunctionEvent, Rate, SQSEvent

from chalicelib.accounts import people_routes as people
from chalicelib.accounts import routes as auth
from chalicelib.accounts import second_factor_routes as second_factor
from chalicelib.accounts import session_routes as sessions
from chalicelib.api_keys import routes as api_keys
from chalicelib.files import routes as files
from chalicelib.health import routes as health
from chalicelib.invitations import routes as invitations
from chalicelib.kernel import logs
from chalicelib.kernel.config import settings
from chalicelib.tenants import routes as tenants
from chalicelib.uploads import companion_routes as companion
from chalicelib.uploads import routes as uploads
from chalicelib.web import openapi
from chalicelib.web.cors import register_preflight
from chalicelib.web.middleware import log_and_shape
from chalicelib.wiring import stores

app = Chalice(app_name="strongroom")
#: Each has its routes; docs and tests read them here.
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
    health.routes,
    openapi.routes,
)
app.api.binary_types = ["multipart/form-data"]

for blueprint in ROUTES:
    app.register_blueprint(blueprint)
register_preflight(app)
app.register_middleware(log_and_shape, "http")


@app.middleware("all")
def set_up_logging(event: Any, get_response: Any) -> Any:
    logs.configure(settings())
    # An HTTP request's context is a dictionary, and web/middleware.py names it; other events come with Lambda's own.
    request_id = getattr(getattr(event, "context", None), "aws_request_id", None)
    if request_id is not None:
        logs.clear_context()
        logs.add_context(request_id=request_id)
    return get_response(event)


@app.on_sqs_message(queue="uploads", name="process_uploads", batch_size=1)
def process_uploads(event: SQSEvent) -> dict[str, Any]:
    from chalicelib.processing.announcements import process_batch, read_batch

    return process_batch(stores(), read_batch(event.to_dict()))


@app.schedule(Rate(5, unit=Rate.MINUTES), name="sweep")
def sweep(event: LambdaFunctionEvent) -> dict[str, int]:
    from chalicelib.sweep.sweeping import sweep as run_sweep

    return run_sweep(stores())
