"""Phrases that several messages use."""


def pixels(h: int, w: int) -> str:
    """Return a size for a message, height first as in all flags: "32×48 pixels (height × width)"."""
    return f"{h}×{w} pixels" + ("" if h == w else " (height × width)")


def duration(seconds: float) -> str:
    """Return a duration in two units at most.

    >>> [duration(value) for value in (7.4, 95, 3 * 3600 + 1800, 50 * 3600)]
    ['7 s', '1 min 35 s', '3 h 30 min', '2 d 2 h']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
