import pytest

from scratchnet.training import Schedule


def test_constant():
    schedule = Schedule("constant", 0.3)
    assert [schedule.at(epoch, updates, 8) for epoch, updates in ((0, 0), (7, 4), (99, 8))] == [0.3] * 3


def test_step_falls_at_every_multiple():
    schedule = Schedule("step", 1.0, decay=0.5, step_epochs=3)
    assert [schedule.at(epoch, 99, 100) for epoch in range(8)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_step_by_updates():
    schedule = Schedule("step", 1.0, decay=0.1, step_epochs=1, step_updates=9000)
    rates = [schedule.at(5, updates, 20000) for updates in (0, 8999, 9000, 17999, 18000)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_poly_falls_to_zero():
    schedule = Schedule("poly", 2.0)
    assert schedule.at(0, 0, 6) == 2.0
    assert schedule.at(3, 3, 6) == pytest.approx(2 * 0.5**0.9)
    assert schedule.at(9, 6, 6) == 0.0
    assert schedule.at(9, 7, 6) == 0.0  # never a complex number


def test_plateau_waits_then_drops_and_waits_again():
    schedule = Schedule("plateau", 1.0, decay=0.1, step_epochs=2)
    rates = []
    for improved in (True, False, False, False, True, False, False):
        schedule.note(improved)
        rates.append(round(schedule.at(0, 0, 9), 12))
    assert rates == [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01]
    assert (schedule.drops, schedule.waited) == (2, 0)


def test_plateau_goes_on_where_it_was():
    schedule = Schedule("plateau", 1.0, decay=0.5, step_epochs=3, drops=1, waited=2)
    assert schedule.at(0, 0, 9) == 0.5
    schedule.note(False)
    assert schedule.at(0, 0, 9) == 0.25


def test_only_plateau_drops():
    schedule = Schedule("constant", 1.0, step_epochs=1)
    for _ in range(5):
        schedule.note(False)
    assert (schedule.at(4, 4, 9), schedule.drops) == (1.0, 0)
