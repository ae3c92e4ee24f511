"""Only the most recently used captures hold memory."""

import numpy as np

from scratchnet.engine.capture.capture import Capture
from scratchnet.engine.capture.capture_cache import MAX_CAPTURES, CaptureCache


def filled(count):
    cache = CaptureCache()
    for key in range(count):
        cache.put(key, Capture(np.zeros(1)))
    return cache


def held(cache, count):
    return [key for key in range(count) if key in cache and cache.get(key) is not None]


def test_a_key_is_known_before_its_pass_is_captured():
    cache = CaptureCache()
    cache.put("key", None)
    assert "key" in cache
    assert cache.get("key") is None


def test_the_least_recently_used_capture_is_dropped_first_and_its_key_stays():
    cache = filled(MAX_CAPTURES)
    cache.get(0)
    cache.put("new", Capture(np.zeros(1)))
    assert 1 in cache
    assert held(cache, MAX_CAPTURES) == [0, *range(2, MAX_CAPTURES)]


def test_the_number_of_keys_is_limited():
    cache = filled(10 * MAX_CAPTURES)
    assert len(cache) == 2 * MAX_CAPTURES
    assert sum(capture is not None for capture in cache.values()) == MAX_CAPTURES


def test_clearing_drops_all():
    cache = filled(2)
    cache.clear()
    assert len(cache) == 0
    assert 0 not in cache
