"""Detection of file types by their first bytes, for messages about files that are not images."""

from contextlib import suppress
from pathlib import Path

HEAD_BYTES = 512
"""Number of bytes at the start of a file that `detect_file_type` examines."""

_MAGIC = (
    (0, b"version https://git-lfs", "a git-lfs pointer", "run `git lfs pull` to fetch the real file"),
    (0, b"%!PS", "PostScript (EPS)", ""),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript (EPS)", ""),
    (0, b"%PDF-", "a PDF document", ""),
    (4, b"ftypavif", "an AVIF image", "install a Pillow with AVIF, or convert it to PNG"),
    (4, b"ftypavis", "an AVIF image", "install a Pillow with AVIF, or convert it to PNG"),
    (4, b"ftypcrx", "a camera's raw image (CR3)", ""),
    *((4, b"ftyp" + brand, "a HEIC/HEIF image", "") for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    (4, b"ftyp", "a video (MP4 or QuickTime)", "save its frames as images"),
    (128, b"DICM", "a DICOM image", ""),
    (0, b"\x93NUMPY", "a NumPy array (.npy)", ""),
    (0, b"PK\x03\x04", "a ZIP archive (or an .npz, .docx or .xlsx file)", "unpack it"),
    (0, b"PK\x05\x06", "an empty ZIP archive", ""),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it"),
    (0, b"BZh", "a bzip2 archive", "unpack it"),
    (0, b"\xfd7zXZ", "an xz archive", "unpack it"),
    (0, b"(\xb5/\xfd", "a zstd archive", "unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (0, b"Rar!", "a RAR archive", "unpack it"),
    (257, b"ustar", "a tar archive", "unpack it"),
    (0, b"\xff\x0a", "a JPEG XL image", ""),
    (4, b"JXL \r\n\x87\n", "a JPEG XL image", ""),
    (0, b"8BPS", "a Photoshop document", ""),
    (0, b"gimp xcf", "a GIMP document", ""),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR image", ""),
    (0, b"#?RADIANCE", "a Radiance HDR image", ""),
    (0, b"#?RGBE", "a Radiance HDR image", ""),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)", ""),
    (40, b" EMF", "a Windows metafile (EMF)", ""),
    (0, b"\x89HDF", "an HDF5 file", ""),
    (0, b"MATLAB 5.0", "a MATLAB file (.mat)", ""),
    (0, b"SIMPLE  =", "a FITS image", ""),
    (0, b"CDF", "a NetCDF file", ""),
    (0, b"GRIB", "a GRIB file", ""),
    (0, b"BUFR", "a BUFR file", ""),
    (0, b"NRRD", "an NRRD image", ""),
    (344, b"n+1\0", "a NIfTI image", ""),
    (0, b"ObjectType =", "a MetaImage header (.mhd)", ""),
    (8, b"CR\x02", "a camera's raw image (CR2)", ""),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw image (RAF)", ""),
    (0, b"IIRO", "a camera's raw image (ORF)", ""),
    (0, b"IIU\0", "a camera's raw image (RW2)", ""),
    (8, b"AVI ", "a video (AVI)", "save its frames as images"),
    (8, b"WAVE", "a sound (WAV)", ""),
    (0, b"\x1aE\xdf\xa3", "a video (Matroska or WebM)", "save its frames as images"),
    (0, b"\0\0\x01\xba", "a video (MPEG)", "save its frames as images"),
    (0, b"SQLite format 3", "an SQLite database", ""),
    (0, b"ZISRAWFILE", "a Zeiss microscope image (CZI)", ""),
    (0, b"\x70\0\0\0\x2a", "a Leica microscope file", ""),
    (208, b"MAP ", "an MRC volume", ""),
    (0, b"Image type: ", "an image in IFUNC's format (IM)", ""),
    (0, b"P7\n", "a PAM image", ""),
    (0, b"II\xbc\x01", "a JPEG XR image", ""),
    (0, b"BPG\xfb", "a BPG image", ""),
    (0, b"FLIF", "a FLIF image", ""),
    (0, b"{\\rtf", "a document (RTF)", ""),
    *(
        (0, b"\x80" + version, "a pickle of Python", "save the array in it as PNG")
        for version in (b"\2", b"\3", b"\4", b"\5")
    ),
    (0, b"AT&TFORM", "a DjVu document", ""),
    (0, b"MZ", "a program (.exe)", ""),
    (0, b"\x7fELF", "a program", ""),
)
"""Offset, bytes at that offset, description, advice."""

_IMAGES = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"), (0, b"\xff\xd8\xff", "JPEG"), (0, b"GIF87a", "GIF"), (0, b"GIF89a", "GIF"),
    (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"), (0, b"II+\0", "TIFF"), (0, b"MM\0+", "TIFF"), (0, b"BM", "BMP"),
    (8, b"WEBP", "WEBP"), (4, b"jP  \r\n\x87\n", "JPEG2000"), (0, b"\xff\x4f\xff\x51", "JPEG2000"),
    (0, b"qoif", "QOI"), (4, b"ftypavif", "AVIF"),
)  # fmt: skip
"""Offset, bytes at that offset, Pillow's name of the format."""


def image_format_of(head: bytes) -> str | None:
    """Return Pillow's name of the image format that a file begins with, or None."""
    return next((name for start, magic, name in _IMAGES if head[start : start + len(magic)] == magic), None)


def detect_file_type(head: bytes) -> tuple[str, str] | None:
    """Return the type of a file that is not a readable image, and advice; None if it is unknown.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` bytes, or all bytes of a shorter file.
    """
    for start, magic, description, advice in _MAGIC:
        if head[start : start + len(magic)] == magic:
            return description, advice or "convert it to PNG"
    return None if image_format_of(head) else _detect_text_type(head)


_TEXTS = (
    (("<!doctype html", "<html", "<head", "<body"), "a web page (HTML)", "a download has failed: get the image itself"),
    (("<svg",), "an SVG drawing", "save it as PNG"),
    (("<?xml", "<!--", "<annotation"), "an XML file", "get the image itself; draw annotations as masks"),
    (("{", "["), "a JSON file", "get the image itself; draw annotations as masks"),
)


def _detect_text_type(head: bytes) -> tuple[str, str] | None:
    """Return the type of a text file and advice, or None if it is not text."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = ""
    for cut in range(4):  # the last character may be incomplete
        with suppress(UnicodeDecodeError):
            text = head[: len(head) - cut].decode(encoding).lstrip()
            break
    if not text or any(ord(c) < 32 and c not in "\t\r\n\f\v" for c in text):
        return None
    start = text.lower()
    if start.startswith(("<?xml", "<!--")):  # the root element follows the declaration and comments
        start = next(
            (start[at:] for word in ("<svg", "<!doctype html", "<html") if (at := start.find(word)) > 0), start
        )
    known = ((description, advice) for words, description, advice in _TEXTS if start.startswith(words))
    return next(known, ("text", "get or export the image itself"))


def detect_file_type_of(path: Path | str) -> tuple[str, str] | None:
    """Apply `detect_file_type` to a regular file."""
    with Path(path).open("rb") as file:
        return detect_file_type(file.read(HEAD_BYTES))
