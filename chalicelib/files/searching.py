"""Looking for files by name: any part of it, whatever its case and accents.

No index holds names: one would cost a write with every upload and find beginnings only. A search reads the names of the
list that it would filter, newest first, a bounded number with each request, and its cursor goes on from there.
"""

import unicodedata

from chalicelib.files.cursors import make_cursor, read_cursor
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.wiring import Stores

#: What one request reads at most, whatever matches: some 1.8 MB, 215 read units (DynamoDB: half a unit for each 4 KB).
MAX_NAMES_READ = 2000
#: As long as a name can be.
MAX_SOUGHT_CHARACTERS = 255


def search_page(
    stores: Stores,
    caller: Caller,
    sought: str,
    *,
    status: str | None,
    mime_type: str | None,
    cursor: str | None,
    limit: int,
) -> tuple[list[File], str | None]:
    """Files whose names have every word of ``sought`` in them, newest first, and the cursor of the next page.

    A page can be short, or empty, and have a next one: so many names were read without a match. Following the cursor
    finds each file once.

    :raises BadInput: nothing to look for, too much of it, or a cursor that was not made for this search.
    """
    words = words_of(sought)
    organization_id = caller.organization_id
    # Of the words, so that another spelling of the same search goes on with the same cursor.
    name = " ".join(words)
    before_id = read_cursor(organization_id, status, mime_type, cursor, name) if cursor is not None else None
    names = stores.files.names(organization_id, status, mime_type, before_id, MAX_NAMES_READ)
    matching = [file_id for file_id, filename in names if matches(filename, words)]
    last_id = names[-1][0] if len(names) == MAX_NAMES_READ else None
    if len(matching) > limit:
        last_id = matching[limit - 1]
    found = stores.files.find_many(organization_id, matching[:limit])
    # What was deleted or changed between the two reads is not shown as what it was.
    page = [
        file
        for file_id in matching[:limit]
        if (file := found.get(file_id)) is not None
        and status in (None, file.status)
        and mime_type in (None, file.mime_type)
        and matches(file.filename, words)
    ]
    return page, make_cursor(organization_id, status, mime_type, last_id, name) if last_id is not None else None


def words_of(sought: str) -> list[str]:
    """:raises BadInput: none, or more than a name can have."""
    if len(sought) > MAX_SOUGHT_CHARACTERS:
        raise BadInput(f"name has {len(sought)} characters; a name has at most {MAX_SOUGHT_CHARACTERS}.")
    # Of nothing but accents nothing is left; it is looked for as it is, and found nowhere.
    words = sorted(set(fold(sought).split() or sought.split()))
    if not words:
        raise BadInput("name is empty; give a part of a name, or leave it out.")
    return words


def matches(filename: str, words: list[str]) -> bool:
    folded = fold(filename)
    return all(word in folded for word in words)


def fold(text: str) -> str:
    """Without case, width and accents (Unicode's form NFKD, and full case folding).

    Accents are the marks of Latin, Greek and Cyrillic letters; others stay, in many scripts they are the vowels.
    """
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not "\u0300" <= character <= "\u036f").casefold()
