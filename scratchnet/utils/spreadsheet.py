"""Cells of CSV tables that spreadsheets open."""


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet reads as a formula.

    >>> harmless("=1+1")
    "'=1+1"
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
