"""Damage to files: what transfers, editors, wrong tools and hostile people do to bytes and to text."""

import io
import struct
import warnings
import zipfile
import zlib

WHOLE_NUMBERS = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
"""Values of header fields at which readers go wrong."""

ABSURD = (
    *("0", "-1", "1", "2", "255", "256", "1e300", "-1e300", "1e-300", "nan", "inf", "-inf", "1" + "0" * 30, "9" * 5000),
    *("0x10", "1_000", "٣", "1,5", "99999999", "-0", "3.5", "true", "", " ", "''", "x" * 3000),
)
"""Words where a number is meant."""

TEXTS = (
    *(
        "\ufeff",
        "\x00",
        "\x1b[31m",
        "é",
        "e\u0301",
        "\u202e",
        "😀",
        "\\",
        "../..",
        "/",
        "\t",
        "\r",
        '"',
        "'''",
        ",",
        ";",
    ),
    *("[[[[", "]", "{", "=", "#", "-", "--", "%s", "\\u0000", "CON", "日本語", "\ud7ff", "\u2028"),
)
"""Characters at which text goes wrong."""

LARGEST = 1 << 22
"""Bytes or characters of an input; changes that repeat parts could make gigabytes one after the other."""

MAGIC = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\x00", b"MM\x00*", b"II+\x00", b"GIF89a", b"BM", b"RIFF"),
    *(b"PK\x03\x04", b"\x80\x02", b"\x80\x05", b"%!PS-Adobe", b"P5\n", b"P6\n", b"\x93NUMPY", b"\x1f\x8b", b"SIMPLE"),
    *(
        b"version https://git-lfs",
        b"\x00\x00\x00\x0cjP  ",
        b"qoif",
        b"DDS ",
        b"8BPS",
        b"%PDF-1.4",
        b"<svg",
        b"\x01\xda",
    ),
)


def damaged(data, others, rng):
    """Return bytes with one to four random changes; ``others`` are good files whose parts may be put in."""
    for _ in range(1 + rng.geometric(0.6) % 4):
        change = CHANGES[rng.integers(len(CHANGES))]
        data = change(data, others, rng)[:LARGEST]
    return data


def damaged_text(text, rng):
    """Return a text with one to four changes to its lines, its numbers and its characters."""
    for _ in range(1 + rng.geometric(0.6) % 4):
        change = TEXT_CHANGES[rng.integers(len(TEXT_CHANGES))]
        text = change(text, rng)[:LARGEST]
    return text


def encoded(text, rng):
    """Return a text's bytes: mostly UTF-8, at times as another system or editor writes it."""
    how = ("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")[rng.integers(8)]
    return text.encode(how, "replace")


def damaged_zip(data, rng):
    """Return an archive with one changed member, sound by its checksums: what no accident does, but a hand may."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [[info.filename, archive.read(info)] for info in archive.infolist()]
    chosen = int(rng.integers(len(members)))
    deed = rng.integers(8)
    if deed == 0:
        del members[chosen]
    elif deed == 1:
        members.append(list(members[chosen]))
    elif deed == 2:
        members[chosen][0] = _word(TEXTS, rng) + members[chosen][0]
    elif deed == 3:
        members[chosen][1] = members[rng.integers(len(members))][1]
    elif deed == 4:
        members.append(["extra", bytes(int(rng.integers(1 << 20)))])
    elif members[chosen][1].lstrip()[:1] == b"{" or deed == 5:
        members[chosen][1] = damaged_text(members[chosen][1].decode("utf-8", "replace"), rng).encode("utf-8", "replace")
    else:
        members[chosen][1] = damaged(members[chosen][1], [member[1] for member in members], rng)
    made, form = io.BytesIO(), (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[rng.integers(2)]
    with zipfile.ZipFile(made, "w", form) as archive, warnings.catch_warnings(action="ignore"):
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, form)
    return made.getvalue()


def with_checksums(data):
    """Return a damaged PNG whose chunks have right checksums again, so that the damage gets further in."""
    made, place = bytearray(data), 8
    while place + 12 <= len(made):
        end = place + 8 + int.from_bytes(made[place : place + 4], "big")
        if end + 4 > len(made):
            break
        made[end : end + 4] = struct.pack(">I", zlib.crc32(made[place + 4 : end]))
        place = end + 4
    return bytes(made)


def _word(words, rng):
    return words[int(rng.integers(len(words)))]


def _place(data, rng):
    """A place in the data, most often in its first bytes, where headers are."""
    end = max(1, min(len(data), 256) if rng.random() < 0.6 else len(data))
    return int(rng.integers(end))


def _part(data, rng):
    start = _place(data, rng)
    return start, start + int(rng.integers(1, 1 + max(1, min(len(data) - start, 4 ** int(rng.integers(1, 7))))))


def _flip(data, others, rng):
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if made:
            made[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(made)


def _truncate(data, others, rng):
    return data[: int(rng.integers(len(data) + 1))]


def _field(data, others, rng):
    """Overwrite a field of a header."""
    place, width = _place(data, rng), int(2 ** rng.integers(4))
    value = _word(WHOLE_NUMBERS, rng) % 256**width
    return data[:place] + value.to_bytes(width, ("big", "little")[rng.integers(2)]) + data[place + width :]


def _cut_out(data, others, rng):
    start, end = _part(data, rng)
    return data[:start] + data[end:]


def _double(data, others, rng):
    start, end = _part(data, rng)
    return data[:end] + data[start:end] * int(rng.integers(1, 5)) + data[end:]


def _insert(data, others, rng):
    place = _place(data, rng)
    return data[:place] + rng.bytes(int(rng.integers(1, 64))) + data[place:]


def _splice(data, others, rng):
    other = _word(others, rng)
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def _magic(data, others, rng):
    start = _word(MAGIC, rng) if rng.random() < 0.5 else _word(others, rng)[: 2 ** int(rng.integers(1, 6))]
    return start + data[len(start) :]


def _append(data, others, rng):
    return data + (_word(others, rng) if rng.random() < 0.5 else bytes(int(rng.integers(1 << 12))))


CHANGES = (_flip, _flip, _truncate, _field, _field, _field, _cut_out, _double, _insert, _splice, _magic, _append)


def _token(text, rng):
    """Put an absurd number in the place of a word."""
    words = text.split(" ") if " " in text and rng.random() < 0.5 else text.split(",")
    words[rng.integers(len(words))] = _word(ABSURD, rng)
    return (" " if " " in text else ",").join(words)


def _number(text, rng):
    """Put an absurd number in the place of a number."""
    places = [i for i, letter in enumerate(text) if letter.isdigit()]
    if not places:
        return text
    start = places[rng.integers(len(places))]
    end = start + 1
    while end < len(text) and (text[end].isdigit() or text[end] == "."):
        end += 1
    return text[:start] + _word(ABSURD, rng) + text[end:]


def _line(text, rng):
    """Lose, double, swap or lengthen a line."""
    lines = text.split("\n")
    first, second = rng.integers(len(lines)), rng.integers(len(lines))
    deed = rng.integers(5)
    if deed == 0:
        del lines[first]
    elif deed == 1:
        lines.insert(second, lines[first])
    elif deed == 2:
        lines[first], lines[second] = lines[second], lines[first]
    elif deed == 3:
        lines[first] *= min(int(rng.integers(2, 2000)), LARGEST // max(1, len(lines[first])))
    else:
        lines[first] = lines[first][: int(rng.integers(len(lines[first]) + 1))]
    return "\n".join(lines)


def _characters(text, rng):
    place = int(rng.integers(len(text) + 1))
    return text[:place] + _word(TEXTS, rng) + text[place + int(rng.integers(3)) :]


def _nested(text, rng):
    """Open brackets without end."""
    place, mark = int(rng.integers(len(text) + 1)), _word(("[", "{", '{"a":', "("), rng)
    return text[:place] + mark * int(rng.integers(1, 6000)) + text[place:]


def _line_ends(text, rng):
    return text.replace("\n", _word(("\r\n", "\r", "\n\n", "\u2028", "\x00\n"), rng))


TEXT_CHANGES = (_token, _number, _number, _line, _line, _characters, _characters, _nested, _line_ends)
