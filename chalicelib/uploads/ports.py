"""Port: storage that clients send bytes to by themselves, as uploads need it.

``chalicelib.wiring`` builds what is behind it: S3. Besides the errors that a method names, each that asks storage can
raise any error of an outage (``Stores.is_outage``), and may have taken effect all the same.
"""

from typing import Protocol

from chalicelib.uploads.parts import Part, PresignedPost


class DirectUploads(Protocol):
    """Forms and uploads in parts that end as the temp object of one file: the one that processing opens.

    What a form or a URL allows is fixed when it is signed, and signing asks nobody. Whoever has one can use it, also
    again, until it expires.
    """

    @property
    def bucket(self) -> str:
        """The name of the bucket, for clients; it gives no access."""

    @property
    def origin(self) -> str:
        """Scheme and host of what is signed, which a page has to be allowed to talk to."""

    def presign_post(
        self,
        organization_id: str,
        file_id: str,
        *,
        least_bytes: int,
        most_bytes: int,
        content_type: str,
        sha256_hex: str | None,
        ttl_seconds: int,
    ) -> PresignedPost:
        """A form for exactly this object. Storage refuses another key or type, a size outside the bounds, and bytes of
        another SHA-256 when one is given; then it also verifies the object as a whole (``TempObject.verified_sha256``).

        :param least_bytes: the smallest size that is taken; ``most_bytes`` is the largest.
        """

    def start_multipart(self, organization_id: str, file_id: str, content_type: str) -> str:
        """:returns: the upload id, which names the upload together with organisation and file."""

    def presign_part(
        self,
        organization_id: str,
        file_id: str,
        upload_id: str,
        number: int,
        *,
        exact_bytes: int | None,
        ttl_seconds: int,
        crc64nvme: str | None = None,
    ) -> str:
        """A URL to PUT one part to, also again: the later bytes count. Headers of the client's own do no harm.

        :param number: from 1 to ``MAX_PARTS``.
        :param exact_bytes: storage refuses another length; None takes any.
        :param crc64nvme: base64 of the part's CRC64NVME: storage refuses other bytes, and a request without it in the
            header ``x-amz-checksum-crc64nvme``. None takes any.
        """

    def parts(self, organization_id: str, file_id: str, upload_id: str) -> list[Part]:
        """All that have arrived, by number.

        :raises ObjectMissing: there is no such upload (any more): completed, aborted or expired.
        """

    def complete(self, organization_id: str, file_id: str, upload_id: str, parts: list[Part]) -> bool:
        """Assemble these parts; the upload is over then, and parts that are not listed are gone.

        An object that is there already is not overwritten: an earlier call assembled it, and its answer was lost.

        :param parts: at least one, as :meth:`parts` told them.
        :returns: whether it is done. False: storage is still at it after the time that we have, and goes on.
        :raises ObjectMissing: there is no such upload (any more).
        :raises BadInput: storage refuses the parts: one has not arrived or has another ETag, one but the last is
            smaller than ``MIN_PART_BYTES``, or they are not in order.
        :raises Conflict: another call is assembling the same upload.
        """

    def abort(self, organization_id: str, file_id: str, upload_id: str) -> None:
        """Delete the parts that have arrived; there is no such upload any more. Repeatable."""

    def has_arrived(self, organization_id: str, file_id: str) -> bool:
        """Whether the object exists, without a right to read it."""

    def arrived_fingerprint(self, organization_id: str, file_id: str) -> str | None:
        """The ETag of the object that is there, as ``TempObject.etag`` tells it, or None when there is none."""
