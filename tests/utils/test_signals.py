import os
import signal
import sys

import pytest

from scratchnet.utils.signals import Terminated, stop_if_asked, stop_on_sigterm, stoppable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def test_sigterm_stops_between_two_items_and_the_next_one_is_deadly():
    done, before = [], signal.getsignal(signal.SIGINT)  # ignored in a background job of a shell

    def steps():
        for item in stoppable(range(5)):
            if item == 2:
                os.kill(os.getpid(), signal.SIGTERM)
                assert {signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)} == {signal.SIG_DFL}
            done.append(item)

    with stop_on_sigterm(), pytest.raises(Terminated, match="stopped by SIGTERM"):
        steps()
    assert done == [0, 1, 2]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before
    stop_if_asked()  # the note is gone


def test_a_handler_of_the_program_is_kept():
    def own(number, frame):
        raise AssertionError("not called")

    signal.signal(signal.SIGTERM, own)
    try:
        with stop_on_sigterm():
            assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
