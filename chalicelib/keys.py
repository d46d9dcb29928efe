"""The only maker and parser of keys: S3 objects, index partitions, rate counters.

Every key of a tenant's thing starts with its organisation, and no function here can be called without one: this file is
what to audit for leaks between tenants.
"""

import base64
import hashlib
import re
import secrets
import unicodedata
import uuid
import zlib

import uuid6

from chalicelib.kernel import base62
from chalicelib.kernel.lookalikes import skeleton_of
from chalicelib.kernel.nfc import MAX_COMPOSED_CHARACTERS, compose

#: An S3 key is at most 1,024 bytes of UTF-8 (AWS limit).
MAX_OBJECT_KEY_BYTES = 1024
#: What most file systems take for a name, in characters; so a download keeps its name.
MAX_FILENAME_CHARACTERS = 255
#: Spreads the rows that still have work to do over partitions of the index that the sweep reads.
UNFINISHED_SHARDS = 8
#: Spreads one organisation's events that are not published yet: a partition takes 1,000 write units a second (AWS
#: limit), and an event in a transaction takes two.
OUTBOX_SHARDS = 4
#: Spreads the webhooks over partitions of the index that the sweep reads.
WEBHOOK_SHARDS = 4
#: More than any sequence has, so that sequences sort as texts; ``_MOMENT_DIGITS`` likewise of epoch seconds.
_SEQUENCE_DIGITS = 15
_MOMENT_DIGITS = 12
FALLBACK_FILENAME = "unnamed"
#: Windows opens a device for these, whatever follows the first dot, also after spaces (Microsoft, "Naming Files, Paths,
#: and Namespaces"). CONIN$ and CONOUT$ lose their sign before.
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\.|$)", re.IGNORECASE | re.ASCII)

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: 62^17 is more than 2^96.
INVITATION_ID_CHARACTERS = 17
_INVITATION_ID_BYTES = 12
_TEMP_KEY = re.compile(rf"({_UUID})/({_UUID})")
_UUID_BYTES = 36


def new_organization_id() -> str:
    return str(uuid.uuid4())


def is_organization_id(text: str) -> bool:
    return re.fullmatch(_UUID, text) is not None


def new_user_id() -> str:
    return str(uuid.uuid4())


def new_file_id() -> str:
    """A UUIDv7 (RFC 9562): its order is the order of creation, also within one millisecond of one process."""
    return str(uuid6.uuid7())


def new_webhook_id() -> str:
    """A UUIDv7, as of files."""
    return str(uuid6.uuid7())


def is_webhook_id(text: str) -> bool:
    return re.fullmatch(_UUID, text) is not None


def is_user_id(text: str) -> bool:
    return re.fullmatch(_UUID, text) is not None


def skeleton_key(username: str) -> str:
    """Where the table of usernames holds what a name looks like. No username has such a sign.

    A hash: the skeleton of a long name may be longer than a key can be.
    """
    digest = hashlib.sha256(skeleton_of(username).encode()).digest()
    return f"skeleton#{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def new_invitation_id() -> str:
    return base62.encode(secrets.token_bytes(_INVITATION_ID_BYTES), INVITATION_ID_CHARACTERS)


def invitation_id_of(organization_id: str, email: str) -> str:
    """The same for every spelling of an address, so that a condition on the row keeps it from being invited twice.

    Whether case counts before the @ is up to the receiver (RFC 5321, 2.4), and hardly any lets it.
    """
    digest = hashlib.sha256(f"{organization_id}\0{email.casefold()}".encode()).digest()
    return base62.encode(digest[:_INVITATION_ID_BYTES], INVITATION_ID_CHARACTERS)


def is_invitation_id(text: str) -> bool:
    return re.fullmatch(rf"[0-9A-Za-z]{{{INVITATION_ID_CHARACTERS}}}", text) is not None


def is_file_id(text: str) -> bool:
    return re.fullmatch(_UUID, text) is not None


def temp_key(organization_id: str, file_id: str) -> str:
    return f"{organization_id}/{file_id}"


def parse_temp_key(key: str) -> tuple[str, str] | None:
    """``(organization_id, file_id)`` of a temp object's key, or None when it is not one that we made."""
    match = _TEMP_KEY.fullmatch(key)
    return (match[1], match[2]) if match else None


def named_by(key: str) -> dict[str, str]:
    """What a log line says of a temp object's key; of one that we did not make, nothing."""
    parsed = parse_temp_key(key)
    return {"organization_id": parsed[0], "file_id": parsed[1]} if parsed else {}


def permanent_prefix(organization_id: str, file_id: str) -> str:
    """What the permanent keys of one file start with, whatever its name."""
    return f"{organization_id}/{file_id}_"


def permanent_key(organization_id: str, file_id: str, filename: str) -> str:
    return permanent_prefix(organization_id, file_id) + filename


def clean_filename(raw: str) -> str:
    """A name that is safe in a key, a header and a file system; never empty.

    Path parts, control characters and marks of direction go; the name of a Windows device gets ``_`` in front;
    letters and digits of any script, space, ``.``, ``-`` and ``_`` stay. At most
    255 characters, and short enough in UTF-8 that the whole permanent key fits S3's 1,024 bytes. A name that has to be
    cut keeps its extension.
    """
    name = raw.replace("\\", "/").rsplit("/", 1)[-1]
    if len(name) > MAX_COMPOSED_CHARACTERS:
        half = MAX_COMPOSED_CHARACTERS // 2
        name = name[:half] + name[-half:]
    name = compose(name)
    kept = "".join(c for c in name if c in " .-_" or c.isalnum() or unicodedata.category(c) in ("Mn", "Mc"))
    # Stripping characters can leave a base letter next to a combining mark; normalise again so that cleaning is
    # idempotent.
    kept = compose(kept)
    if kept.startswith(".") and not name.startswith("."):
        # "😀.jpg": nothing is left of the stem, but what kind of file it is should stay.
        kept = FALLBACK_FILENAME + kept
    # A leading dot hides a file, a trailing dot or space is dropped by Windows.
    kept = kept.strip(". ")
    budget_bytes = MAX_OBJECT_KEY_BYTES - len(permanent_prefix("x" * _UUID_BYTES, "x" * _UUID_BYTES))
    kept = _shorten(_no_device(kept), MAX_FILENAME_CHARACTERS, budget_bytes)
    # Cutting can leave such a name too, a short one.
    return _no_device(kept) or FALLBACK_FILENAME


def _no_device(name: str) -> str:
    return f"_{name}" if _WINDOWS_DEVICE.match(name) else name


def _shorten(name: str, max_characters: int, max_bytes: int) -> str:
    if len(name) <= max_characters and len(name.encode()) <= max_bytes:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 20:
        stem, dot, extension = name, "", ""
    tail = dot + extension
    stem = stem[: max_characters - len(tail)]
    while len((stem + tail).encode()) > max_bytes:
        stem = stem[:-1]
    return stem.rstrip(". ") + tail


def status_partition(organization_id: str, status: str) -> str:
    return f"{organization_id}#{status}"


def mime_partition(organization_id: str, mime_type: str) -> str:
    return f"{organization_id}#{mime_type}"


def removed_partition(organization_id: str) -> str:
    """Where the row of a deleted file waits until its objects are gone: no listing of the organisation reads it."""
    return f"removed#{organization_id}"


def open_uploads_partition(organization_id: str) -> str:
    """Where the table of files holds, for each user, the list of open uploads: no listing of files reads it."""
    return f"open#{organization_id}"


def is_open_uploads_partition(partition: str) -> bool:
    return partition.startswith("open#")


def organization_of_removed(partition: str) -> str | None:
    """The organisation whose deleted files this partition holds, or None when it holds living ones."""
    prefix = "removed#"
    return partition.removeprefix(prefix) if partition.startswith(prefix) else None


def unfinished_shard(file_id: str) -> str:
    return f"shard-{zlib.crc32(file_id.encode()) % UNFINISHED_SHARDS}"


def unfinished_shards() -> list[str]:
    return [f"shard-{number}" for number in range(UNFINISHED_SHARDS)]


def outbox_partition(organization_id: str, target_id: str) -> str:
    """Where an event waits to be published. All events of one thing are in one, so that they stay in order."""
    return f"{organization_id}#{zlib.crc32(target_id.encode()) % OUTBOX_SHARDS}"


def outbox_partitions(organization_id: str) -> list[str]:
    return [f"{organization_id}#{number}" for number in range(OUTBOX_SHARDS)]


def organization_of_outbox(partition: str) -> str:
    return partition.rpartition("#")[0]


def outbox_moment(time: str, event_id: str) -> str:
    return f"{time}#{event_id}"


def parse_outbox_moment(moment: str) -> tuple[str, str]:
    """``(time, event_id)``"""
    time, _, event_id = moment.partition("#")
    return time, event_id


def seal_prefix(organization_id: str) -> str:
    """What the keys of an organisation's sealed events start with."""
    return f"sealed/{organization_id}/"


def seal_key(organization_id: str, first_sequence: int) -> str:
    """Of the sealed file that begins with this event. In the order of the keys the files follow each other."""
    return f"{seal_prefix(organization_id)}{first_sequence:018d}.jsonl"


def export_key(organization_id: str, export_id: str) -> str:
    return f"exports/{organization_id}/{export_id}.jsonl"


def webhook_shard(webhook_id: str) -> str:
    return f"shard-{zlib.crc32(webhook_id.encode()) % WEBHOOK_SHARDS}"


def webhook_shards() -> list[str]:
    return [f"shard-{number}" for number in range(WEBHOOK_SHARDS)]


def deliveries_partition(organization_id: str, webhook_id: str) -> str:
    return f"{organization_id}#{webhook_id}"


def due_partition(organization_id: str, webhook_id: str) -> str:
    """Where it is noted when deliveries are to be tried again: no listing of deliveries reads it."""
    return f"due#{organization_id}#{webhook_id}"


def delivery_place(sequence: int) -> str:
    return f"{sequence:0{_SEQUENCE_DIGITS}d}"


def parse_delivery_id(text: str) -> int | None:
    """The sequence of the event that a delivery is of; None when it can't be one."""
    return int(text) if re.fullmatch(rf"[1-9][0-9]{{0,{_SEQUENCE_DIGITS - 1}}}", text) else None


def due_place(moment: int, sequence: int) -> str:
    return f"{moment:0{_MOMENT_DIGITS}d}#{delivery_place(sequence)}"


def parse_due_place(place: str) -> tuple[int, int]:
    """``(moment, sequence)``"""
    moment, _, sequence = place.partition("#")
    return int(moment), int(sequence)


def counter_key(limit_and_who: str) -> str:
    """Of a rate counter in DynamoDB: the same length for everybody, and no address or name that could be read."""
    return hashlib.sha256(limit_and_who.encode()).hexdigest()


def count_key(status: str, mime_type: str | None) -> str:
    """The name of an organisation's counter of files with this status and detected type."""
    return f"{status}|{mime_type or '-'}"
