"""Builds the stores of this process once, each on first use, from the settings.

What is behind a port is typed as the port, so that logic sees no more of it and mypy proves that it fits. A test gives
its own: ``Stores(settings, objects=…)``, and :func:`install` makes them those of the process. Imports are inside the
properties on purpose: a function that never touches the cache or S3 does not load their clients at cold start.
"""

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.config import Settings, settings
from chalicelib.kernel.metrics import put_count

if TYPE_CHECKING:
    from chalicelib.accounts.ports import Counters
    from chalicelib.accounts.session_store import SessionStore
    from chalicelib.accounts.store import UserStore
    from chalicelib.api_keys.store import ApiKeyStore
    from chalicelib.audit.archive_store import ArchiveStore
    from chalicelib.events.feed_store import FeedStore
    from chalicelib.events.outbox_store import Outbox
    from chalicelib.files.open_uploads_store import OpenUploadsStore
    from chalicelib.files.store import FileStore
    from chalicelib.invitations.store import InvitationStore
    from chalicelib.platform.mail import Mailer
    from chalicelib.platform.tables import Tables
    from chalicelib.processing.ports import Objects, Queue
    from chalicelib.tenants.store import OrganizationStore
    from chalicelib.uploads.ports import DirectUploads
    from chalicelib.webhooks.delivery_store import DeliveryStore
    from chalicelib.webhooks.ports import Sender
    from chalicelib.webhooks.store import WebhookStore
    from chalicelib.webhooks.wakeup_ports import WakeupQueue


class Stores:
    def __init__(self, settings: Settings, **given: Any) -> None:
        """:param given: stores to use instead of building them, by the name of their property."""
        self.settings = settings
        for name, store in given.items():
            if not isinstance(getattr(type(self), name, None), cached_property):
                raise TypeError(f"There is no store called {name}.")
            vars(self)[name] = store

    @cached_property
    def tables(self) -> "Tables":
        from chalicelib.platform.tables import Tables

        return Tables(
            self.settings.table_prefix,
            partial(put_count, self.settings, "Contention", 1),
            fast_path=self.settings.aws_fast_path == "on",
        )

    @cached_property
    def outbox(self) -> "Outbox":
        from chalicelib.events.outbox_store import Outbox

        return Outbox(self.tables)

    @cached_property
    def feed(self) -> "FeedStore":
        from chalicelib.events.feed_store import FeedStore

        return FeedStore(self.tables, self.settings.event_retention_days)

    @cached_property
    def webhooks(self) -> "WebhookStore":
        from chalicelib.webhooks.store import WebhookStore

        return WebhookStore(self.tables)

    @cached_property
    def deliveries(self) -> "DeliveryStore":
        from chalicelib.webhooks.delivery_store import DeliveryStore

        return DeliveryStore(self.tables)

    @cached_property
    def wakeups(self) -> "WakeupQueue":
        from chalicelib.platform.wakeup_queue import SqsWakeupQueue

        return SqsWakeupQueue(self.settings.webhooks_queue_url)

    @cached_property
    def sender(self) -> "Sender":
        from chalicelib.platform.outbound import OutboundSender

        return OutboundSender(self.settings.webhook_allowed_hosts)

    @cached_property
    def archive(self) -> "ArchiveStore":
        from chalicelib.audit.archive_store import ArchiveStore

        s = self.settings
        return ArchiveStore(s.audit_bucket, s.audit_lock_days, s.s3_public_endpoint_url, s.s3_addressing_style)

    @cached_property
    def organizations(self) -> "OrganizationStore":
        from chalicelib.tenants.store import OrganizationStore

        return OrganizationStore(self.tables)

    @cached_property
    def users(self) -> "UserStore":
        from chalicelib.accounts.store import UserStore

        return UserStore(self.tables)

    @cached_property
    def sessions(self) -> "SessionStore":
        from chalicelib.accounts.session_store import SessionStore

        return SessionStore(self.tables)

    @cached_property
    def api_keys(self) -> "ApiKeyStore":
        from chalicelib.api_keys.store import ApiKeyStore

        return ApiKeyStore(self.tables)

    @cached_property
    def invitations(self) -> "InvitationStore":
        from chalicelib.invitations.store import InvitationStore

        return InvitationStore(self.tables, self.users, self.api_keys)

    @cached_property
    def mailer(self) -> "Mailer | None":
        """None where no e-mail is sent."""
        from chalicelib.platform.mail import Mailer

        return Mailer(self.settings.mail_from) if self.settings.mail_from else None

    @cached_property
    def files(self) -> "FileStore":
        from chalicelib.files.store import FileStore

        return FileStore(self.tables, self.open_uploads)

    @cached_property
    def open_uploads(self) -> "OpenUploadsStore":
        from chalicelib.files.open_uploads_store import OpenUploadsStore

        s = self.settings
        return OpenUploadsStore(self.tables, s.max_open_uploads_per_user, s.max_open_percent_per_user)

    @cached_property
    def objects(self) -> "Objects":
        from chalicelib.platform.objects import ObjectStore

        s = self.settings
        return ObjectStore(
            s.temp_bucket,
            s.permanent_bucket,
            s.s3_public_endpoint_url,
            s.s3_addressing_style,
            fast_path=s.aws_fast_path == "on",
        )

    @cached_property
    def direct_uploads(self) -> "DirectUploads":
        from chalicelib.uploads.store import DirectUploadStore

        s = self.settings
        return DirectUploadStore(
            s.temp_bucket,
            s.s3_public_endpoint_url,
            s.s3_addressing_style,
            part_checksums=s.part_checksums == "crc64nvme",
        )

    @cached_property
    def queue(self) -> "Queue":
        from chalicelib.platform.queue import UploadsQueue

        return UploadsQueue(self.settings.uploads_queue_url, self.settings.temp_bucket)

    @cached_property
    def counters(self) -> "Counters":
        on_fallback = partial(put_count, self.settings, "CacheFallback", 1)
        if self.settings.cache_url is None and self.settings.rate_counters == "table":
            from chalicelib.platform.table_counters import TableCounters

            return TableCounters(self.tables, on_fallback)
        from chalicelib.platform.rate_counters import RateCounters

        return RateCounters(self.settings.cache_url, on_fallback)

    @cached_property
    def own_counters(self) -> "Counters":
        """Those of this process alone, whatever the others count."""
        from chalicelib.platform.rate_counters import RateCounters

        return RateCounters(None)

    def is_outage(self, error: Exception) -> bool:
        """Whether something that we depend on is away, as opposed to a bug."""
        from chalicelib.platform.outages import is_outage

        return is_outage(error)


_process: Stores | None = None


def stores() -> Stores:
    """The stores of this process."""
    global _process
    if _process is None:
        _process = Stores(settings())
    return _process


def install(replacement: Stores | None) -> None:
    """Make these the stores of this process; None builds them anew from the settings at the next use."""
    global _process
    _process = replacement
