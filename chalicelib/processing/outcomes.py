"""What comes of one announcement of an upload."""

from enum import StrEnum


class Outcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    #: Its time was over; the next announcement goes on.
    CONTINUES = "continues"
    #: The SHA-256 that was due is there.
    HASHED = "hashed"
    #: It never will be.
    NOT_HASHED = "not_hashed"
    ALREADY_COMPLETED = "already_completed"
    ALREADY_FAILED = "already_failed"
    UNKNOWN_FILE = "unknown_file"
    FOREIGN_KEY = "foreign_key"
    HELD_BY_ANOTHER = "held_by_another"
    WAITS_ITS_TURN = "waits_its_turn"
