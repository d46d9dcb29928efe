"""The Chalice application: its routes and its event functions."""

from typing import Any

from chalice.app import Chalice, DynamoDBEvent, LambdaFunctionEvent, Rate, SQSEvent

from chalicelib.all_routes import ROUTES
from chalicelib.kernel import logs
from chalicelib.kernel.acting import act_as_system
from chalicelib.kernel.config import settings
from chalicelib.web.cors import register_preflight
from chalicelib.web.middleware import log_and_shape
from chalicelib.wiring import stores

app = Chalice(app_name="strongroom")
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
        act_as_system(request_id)
    return get_response(event)


@app.on_sqs_message(queue="uploads", name="process_uploads", batch_size=1)
def process_uploads(event: SQSEvent) -> dict[str, Any]:
    from chalicelib.processing.announcements import process_batch, read_batch

    return process_batch(stores(), read_batch(event.to_dict()))


@app.schedule(Rate(5, unit=Rate.MINUTES), name="sweep")
def sweep(event: LambdaFunctionEvent) -> dict[str, int]:
    from chalicelib.sweep.sweeping import sweep as run_sweep

    return run_sweep(stores())


@app.on_dynamodb_record(stream_arn="event-outbox", name="publish_events", starting_position="TRIM_HORIZON")
def publish_events(event: DynamoDBEvent) -> dict[str, int]:
    from chalicelib.events.publishing import publish_records
    from chalicelib.webhooks.wakeups import wake_for_records

    records = event.to_dict()["Records"]
    published = publish_records(stores(), records)
    return {"published": published, "woken": wake_for_records(stores(), records)}


@app.on_sqs_message(queue="webhooks", name="deliver_webhooks", batch_size=10)
def deliver_webhooks(event: SQSEvent) -> dict[str, Any]:
    from chalicelib.webhooks.batches import deliver_batch, read_batch

    return deliver_batch(stores(), read_batch(event.to_dict()))


@app.schedule(Rate(1, unit=Rate.HOURS), name="audit")
def audit(event: LambdaFunctionEvent) -> dict[str, int]:
    from chalicelib.audit.upkeep import keep_up

    return keep_up(stores())
