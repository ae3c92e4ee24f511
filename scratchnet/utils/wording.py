"""Phrases that several messages use."""


def pixels(h: int, w: int) -> str:
    """Return a size for a message, height first as in all flags: "32×48 pixels (height × width)"."""
    return f"{h}×{w} pixels" + ("" if h == w else " (height × width)")
