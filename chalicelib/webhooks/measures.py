"""What the visits of workers to webhooks are measured by: metrics of the stage, not of one organisation."""

from dataclasses import dataclass, field

from chalicelib.kernel.config import Settings
from chalicelib.kernel.metrics import put_count, put_milliseconds


@dataclass
class Measures:
    """Of one visit.

    :param completed_to_delivered: milliseconds from the completion of a file to an endpoint's taking its event at the
        first try. Only of endpoints that did not fail before: how long one is away is not ours.
    :param failed_tries: tries after which the event is tried again, or given up.
    :param disabled: whether the endpoint was disabled because it fails.
    """

    completed_to_delivered: list[float] = field(default_factory=list)
    failed_tries: int = 0
    disabled: bool = False

    def write(self, settings: Settings) -> None:
        put_milliseconds(settings, "CompletedToDelivered", self.completed_to_delivered)
        for name, count in (("FailedTries", self.failed_tries), ("WebhooksDisabled", int(self.disabled))):
            if count:
                put_count(settings, name, count)
