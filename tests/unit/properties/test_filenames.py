"""keys.clean_filename and the Content-Disposition, for any text."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib import keys
from chalicelib.files.disposition import attachment
from tests.unit.samples import NAMES

#: Any text at all, and text of what is awkward in names: separators, dots, marks, wide characters, controls.
TEXTS = st.one_of(
    st.text(max_size=400),
    st.text("./\\ \u0308\u0301é😀世\x00\n\"%;'_-aZ9\u202e\u200b\ufeff\u0345ßİ𠀀", max_size=400),
    st.builds(
        "{}{}{}".format, st.sampled_from(["con", "NUL", "Com1", "lpt\u00b2"]), st.text(" .", max_size=4), st.text()
    ),
    st.builds("{}.{}".format, st.text(max_size=300), st.text(max_size=30)),
    st.builds(lambda text, number: text * number, st.text(min_size=1, max_size=3), st.integers(1, 400)),
)
WINDOWS_DEVICES = {"con", "prn", "aux", "nul"} | {
    port + number for port in ("com", "lpt") for number in "0123456789¹²³"
}
ORGANIZATION = "0d3a2b6e-1111-4222-8333-444455556666"
FILE = "01890000-0000-7000-8000-000000000000"


@given(TEXTS)
@example("")
@example("\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
def test_cleaned_name_is_safe_everywhere(raw: str) -> None:
    name = keys.clean_filename(raw)
    assert name
    assert len(name) <= 255
    assert not re.search(r"[\x00-\x1f\x7f/\\]", name)
    assert not any(unicodedata.category(c)[0] in "CZ" and c != " " for c in name)
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    base = name.partition(".")[0].rstrip().lower()
    assert base not in WINDOWS_DEVICES
    for character in name:
        assert character in " .-_" or character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")


@given(TEXTS)
@example("\U00020000" * 255)
@example("\U00020000" * 250 + ".txt")
def test_key_of_any_name_fits(raw: str) -> None:
    key = keys.permanent_key(ORGANIZATION, FILE, keys.clean_filename(raw))
    assert len(key.encode()) <= 1024
    assert key.startswith(f"{ORGANIZATION}/{FILE}_")
    assert key.count("/") == 1


@given(TEXTS)
def test_cleaning_twice_changes_nothing(raw: str) -> None:
    once = keys.clean_filename(raw)
    assert keys.clean_filename(once) == once


@given(TEXTS)
def test_path_in_front_makes_no_difference(raw: str) -> None:
    last = raw.replace("\\", "/").rsplit("/", 1)[-1]
    assert keys.clean_filename(raw) == keys.clean_filename(last) == keys.clean_filename(f"../../{last}")


@given(st.text("abcäß世", min_size=1, max_size=300), st.text("abc123", min_size=1, max_size=10))
def test_extension_survives_cutting(stem: str, extension: str) -> None:
    assert keys.clean_filename(f"{stem}.{extension}").endswith(f".{extension}")


@given(st.text("abcdefgh XYZ_-äöüß世界", min_size=1, max_size=200).map(str.strip).filter(bool))
def test_name_that_is_fine_stays(name: str) -> None:
    assert keys.clean_filename(name) == name


@pytest.mark.parametrize(("raw", "cleaned"), NAMES.items())
def test_known_names(raw: str, cleaned: str) -> None:
    assert keys.clean_filename(raw) == cleaned


@pytest.mark.timeout(20)
def test_beginning_and_end_of_a_name_of_megabytes_are_kept() -> None:
    """Composing all of its accents would take a minute."""
    name = keys.clean_filename("report" + "\u0301\u0316" * 100_000 + ".pdf")
    assert name.startswith("repor")
    assert keys.clean_filename(name) == name
    assert name.endswith(".pdf")
    assert len(name) <= 255


# Token, quoted string and extended value of RFC 6266 and RFC 8187.
DISPOSITION = re.compile(
    r"attachment; filename=\"([\x20\x21\x23-\x5b\x5d-\x7e]*)\"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]*)"
)


@given(TEXTS)
def test_disposition_is_a_header_that_keeps_the_name(raw: str) -> None:
    for name in (raw, keys.clean_filename(raw)):
        try:
            name.encode()
        except UnicodeEncodeError:
            continue
        header = attachment(name)
        match = DISPOSITION.fullmatch(header)
        assert match, header
        assert unquote(match[2], errors="strict") == name
        assert header.isascii()


@given(st.uuids(), st.uuids())
def test_temp_key_round_trip(organization: object, file: object) -> None:
    assert keys.parse_temp_key(keys.temp_key(str(organization), str(file))) == (str(organization), str(file))


@given(st.text(max_size=100))
@example(f"{'0' * 8}-0000-0000-0000-{'0' * 12}/{'0' * 8}-0000-0000-0000-{'0' * 12}/more")
@example(f"{'0' * 8}-0000-0000-0000-{'0' * 12}/{'0' * 8}-0000-0000-0000-{'0' * 12}\n")
def test_only_our_keys_are_parsed(key: str) -> None:
    parsed = keys.parse_temp_key(key)
    assert parsed is None or keys.temp_key(*parsed) == key
