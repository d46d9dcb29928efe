"""Which extensions of a name belong to a detected type (OWASP ASVS 5, 5.2.2). A reviewed table and one rule.

Python's ``mimetypes`` is not asked: it differs from one version of Python to the next, gives ``.exe`` and ``.dll`` to
``application/octet-stream``, and knows names of types that libmagic does not use.
"""

import re
from dataclasses import dataclass

#: What libmagic reports for unknown content and for an empty file.
UNRECOGNISED = frozenset({"application/octet-stream", "application/x-empty"})
#: Container formats of many others; libmagic does not always detect the format inside.
ZIP = frozenset({"application/zip", "application/x-zip", "application/java-archive"})
OLE = frozenset(
    {
        *("application/x-ole-storage", "application/cdfv2", "application/cdfv2-encrypted", "application/vnd.ms-office"),
        *("application/encrypted", "application/x-ms-msg", "application/vnd.ms-outlook"),
    }
)
CONTAINERS = ZIP | OLE | {"application/gzip", "application/x-gzip", "application/zlib"}


@dataclass(frozen=True)
class Format:
    """One that libmagic recognises by a signature.

    :param types: as libmagic names it; a file of these has one of the extensions, or none.
    :param extensions: mean this format and nothing else.
    :param shared: extensions that mean other formats, too.
    :param seen_as: other types under which libmagic reports good files of it.
    """

    types: frozenset[str]
    extensions: frozenset[str]
    shared: frozenset[str] = frozenset()
    seen_as: frozenset[str] = frozenset()


def _format(types: str, extensions: str, shared: str = "", seen_as: frozenset[str] = frozenset()) -> Format:
    return Format(frozenset(types.split()), frozenset(extensions.split()), frozenset(shared.split()), seen_as)


_OOXML = "application/vnd.openxmlformats-officedocument"
#: In an encrypted one the ZIP is inside OLE.
_SEEN_IN_OFFICE = ZIP | OLE | UNRECOGNISED

FORMATS = (
    _format("image/jpeg image/jpg", "jpg jpeg jpe jfif jif jfi pjpeg pjp mpo", "thm insp"),
    _format("image/png", "png apng"),
    _format("image/gif", "gif"),
    _format("image/webp", "webp"),
    _format("image/bmp image/x-ms-bmp", "bmp", "dib rle"),
    # Raw files of cameras are TIFF.
    _format(
        "image/tiff image/x-canon-cr2 image/x-canon-crw image/x-fuji-raf image/x-olympus-orf image/x-sony-tim",
        "tif tiff",
        "dng nef nrw arw sr2 srf srw pef 3fr iiq dcr kdc erf mef mos cr2 crw raf orf rw2 rwl raw btf tf8 svs ndpi lsm"
        " fax gtif gtiff tim",
    ),
    _format(
        "image/heic image/heif image/heic-sequence image/heif-sequence image/avif image/avif-sequence",
        "heic heif heics heifs avif avifs",
        "hif",
        UNRECOGNISED | {"video/mp4", "video/quicktime"},
    ),
    _format("image/vnd.microsoft.icon image/x-icon", "ico", "cur", UNRECOGNISED),
    _format("image/vnd.adobe.photoshop", "psd psb", "pdd", UNRECOGNISED),
    _format("application/pdf", "pdf", "ai fdf", UNRECOGNISED),
    _format("text/rtf application/rtf", "rtf", "doc dot wri txt"),
    _format(
        "application/msword application/vnd.ms-excel application/vnd.ms-powerpoint application/vnd.ms-project"
        " application/vnd.ms-publisher application/vnd.visio",
        "doc dot xls xlt xla ppt pps pot ppa mpp mpt pub vsd vss vst",
        "xlm xlw wps wpt et dps wiz db",
        OLE | UNRECOGNISED | {"text/rtf", "application/rtf", "application/x-mswrite"},
    ),
    _format(f"{_OOXML}.wordprocessingml.document", "docx docm dotx dotm", seen_as=_SEEN_IN_OFFICE),
    _format(f"{_OOXML}.spreadsheetml.sheet", "xlsx xlsm xlsb xltx xltm xlam", seen_as=_SEEN_IN_OFFICE),
    _format(
        f"{_OOXML}.presentationml.presentation",
        "pptx pptm ppsx ppsm potx potm ppam",
        "thmx sldx sldm",
        _SEEN_IN_OFFICE,
    ),
    _format(
        " ".join(
            f"application/vnd.oasis.opendocument.{kind}{suffix}"
            for kind in ("text", "spreadsheet", "presentation", "graphics", "chart", "formula", "image")
            for suffix in ("", "-template")
        )
        + " application/vnd.oasis.opendocument.text-master application/vnd.oasis.opendocument.text-web",
        "odt ott odm oth ods ots odp otp odg otg odf odc",
        "otf otc odi oti",
        ZIP | UNRECOGNISED | {"application/encrypted"},
    ),
    _format("application/epub+zip", "epub", seen_as=ZIP),
    _format("application/x-7z-compressed", "7z", "cb7 001"),
    _format(
        "video/mp4 audio/mp4 audio/x-m4a audio/x-mp4a-latm video/x-m4v video/quicktime video/3gpp video/3gpp2"
        " audio/3gpp audio/3gpp2 video/mj2",
        "mp4 m4v m4a m4b m4p m4r mov qt 3gp 3gpp 3g2",
        "f4v f4a f4b mj2 mjp2 cr3 heic heif hif avif aac alac mqv lrv insv crm amr",
        UNRECOGNISED | {"audio/x-hx-aac-adts", "audio/mpeg"},
    ),
    _format("audio/x-wav audio/wav audio/vnd.wave", "wav", "wave bwf rf64 amb", UNRECOGNISED | {"audio/mpeg"}),
    _format("audio/flac audio/x-flac", "flac", "fla", UNRECOGNISED | {"audio/mpeg"}),
    _format("audio/ogg video/ogg application/ogg", "ogg oga ogv opus", "ogx spx ogm", UNRECOGNISED),
    _format("video/webm video/x-matroska audio/x-matroska audio/webm", "webm mkv mka", "mks mk3d weba"),
    _format("video/x-msvideo", "avi", "divx xvid", UNRECOGNISED),
    _format(
        "application/x-dosexec application/vnd.microsoft.portable-executable application/x-msdownload",
        "exe dll scr com pif cpl ocx",
        "sys drv efi mui acm ax tsp node pyd xll bin vst vst3 tlb rll winmd mun fon",
    ),
    _format("application/x-msi", "msi msp msm mst", seen_as=OLE),
    _format("application/x-ms-shortcut", "lnk"),
)

#: Text has no signature, so libmagic's guess about it refuses no name. Archives are certainly not text.
_TEXTS = "txt csv tsv md rst log json xml html htm xhtml css svg yaml yml ini toml eml ics vcf"
_SCRIPTS = "js mjs cjs vbs vbe jse wsf wsh hta ps1 psm1 bat cmd sh bash reg inf url py php pl rb"
TEXT_EXTENSIONS = frozenset(f"{_TEXTS} {_SCRIPTS}".split())

#: A longer suffix, other letters or only digits belong to a sentence or a version ("Report 2.1", "Dr. Meyer").
_EXTENSION = re.compile(r"(?=.*[a-z])[a-z0-9_+-]{1,16}")


def extension_of(filename: str) -> str:
    """The extension in lower case without the dot; empty when there is none."""
    stem, _, last = filename.rpartition(".")
    extension = last.lower()
    return extension if stem and _EXTENSION.fullmatch(extension) else ""


def belongs(filename: str, mime_type: str) -> bool:
    """Whether the extension belongs to this detected type. A name without an extension passes."""
    extension = extension_of(filename)
    if not extension or mime_type == "application/x-empty":
        return True
    formats = [known for known in FORMATS if mime_type in known.types]
    if formats:
        return any(extension in known.extensions | known.shared for known in formats)
    claimed = [known for known in FORMATS if extension in known.extensions]
    if claimed:
        return any(mime_type in known.seen_as for known in claimed)
    return not (extension in TEXT_EXTENSIONS and mime_type in CONTAINERS)


def usual_extensions(mime_type: str) -> list[str]:
    """The extensions of this type, for an error message; empty when the table has none."""
    return sorted(extension for known in FORMATS if mime_type in known.types for extension in known.extensions)
