import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import Augmentation, SampleSource, epoch_batches, open_dataset, prefetch
from scratchnet.utils.errors import UserError


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


def test_results_come_in_order_from_one_other_thread() -> None:
    results = list(prefetch(range(20), lambda n: (n, threading.get_ident()), ahead=3))
    assert [number for number, _ in results] == list(range(20))
    assert len({thread for _, thread in results} | {threading.get_ident()}) == 2
    assert not reading_threads()


def test_works_ahead_but_not_further_than_asked() -> None:
    done: list[int] = []
    results = prefetch(range(50), done.append, ahead=3)
    next(results)
    deadline = time.monotonic() + 5
    while len(done) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.01)
    assert done == [0, 1, 2, 3]


def test_errors_come_at_their_place() -> None:
    def make(number: int) -> int:
        if number == 3:
            raise UserError("broken.png: damaged")
        return number

    results = prefetch(range(9), make, ahead=8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(UserError, match=r"broken\.png"):
        next(results)
    assert not reading_threads()


def test_leaving_the_loop_ends_the_thread() -> None:
    made: list[int] = []

    def loop(results: Iterator[None]) -> None:
        for _ in results:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop(prefetch(range(10_000), made.append))
    assert len(made) < 100
    results = prefetch(range(100), made.append)
    next(results)
    results.close()  # type: ignore[attr-defined]
    for thread in reading_threads():
        thread.join(timeout=30)
    assert not reading_threads()


def test_closing_does_not_wait_for_the_thread() -> None:
    """The garbage collector closes an abandoned iterator in any thread, also in one that the other waits for."""
    going, released = threading.Event(), threading.Event()

    def make(n: int) -> int:
        if n == 2:
            going.set()
            assert released.wait(30)
        return n

    results = prefetch(range(10), make)
    assert next(results) == 0
    assert going.wait(30)
    results.close()  # type: ignore[attr-defined]
    assert len(reading_threads()) == 1
    released.set()
    for thread in reading_threads():
        thread.join(timeout=30)
    assert not reading_threads()


@pytest.fixture
def dataset(make_folder: Callable[..., Path]) -> SampleSource:
    return open_dataset(make_folder("abcdefg", size=(12, 12)))


EVERYTHING = Augmentation(flip_horizontal=True, crop=(8, 8), brightness=0.2, mosaic=0.5)


def test_an_epoch_holds_every_sample_once(dataset: SampleSource) -> None:
    whole = sorted(dataset.load(index)[0].tobytes() for index in range(7))
    batches = list(epoch_batches(dataset, 3, seed=0, epoch=0))
    assert [images.shape for images, _ in batches] == [(3, 12, 12, 3), (3, 12, 12, 3), (1, 12, 12, 3)]
    assert [masks.shape for _, masks in batches] == [(3, 12, 12), (3, 12, 12), (1, 12, 12)]
    assert sorted(image.tobytes() for images, _ in batches for image in images) == whole
    assert len(list(epoch_batches(dataset, 3, seed=0, epoch=0, drop_last=True))) == 2
    in_order = next(epoch_batches(dataset, 7, seed=0, epoch=0, shuffle=False))[0]
    assert all(np.array_equal(in_order[index], dataset.load(index)[0]) for index in range(7))


def test_epochs_repeat_and_differ(dataset: SampleSource) -> None:
    def epoch(seed: int, number: int) -> bytes:
        return b"".join(images.tobytes() for images, _ in epoch_batches(dataset, 2, seed, number, EVERYTHING))

    assert epoch(1, 2) == epoch(1, 2)
    assert len({epoch(1, 2), epoch(1, 3), epoch(2, 2)}) == 3


def test_a_sample_does_not_depend_on_its_batch(dataset: SampleSource) -> None:
    def images(batch_size: int) -> bytes:
        return b"".join(images.tobytes() for images, _ in epoch_batches(dataset, batch_size, 0, 0, EVERYTHING))

    assert images(1) == images(3) == images(7)


def test_different_sizes_need_a_crop(make_folder: Callable[..., Path]) -> None:
    root = make_folder("ab", size=(6, 8))
    make_folder("c", size=(9, 8))
    dataset = open_dataset(root)
    with pytest.raises(UserError, match=r"c is 9×8 pixels but a .* 6×8 \(height × width\); set a crop"):
        list(epoch_batches(dataset, 3, seed=0, epoch=0, shuffle=False))
    assert len(list(epoch_batches(dataset, 1, seed=0, epoch=0))) == 3
    (images, _) = next(epoch_batches(dataset, 3, 0, 0, Augmentation(crop=(5, 5))))
    assert images.shape == (3, 5, 5, 3)


def test_batch_size_must_be_positive(dataset: SampleSource) -> None:
    with pytest.raises(UserError, match="batch size 0"):
        epoch_batches(dataset, 0, seed=0, epoch=0)


def test_an_epoch_of_more_or_fewer_samples_than_the_set(dataset: SampleSource) -> None:
    def images_of(samples: int, **more: int) -> list[bytes]:
        batches = epoch_batches(dataset, 2, 0, 0, samples=samples, **more)  # type: ignore[arg-type]
        return [image.tobytes() for images, _ in batches for image in images]

    whole = images_of(len(dataset))
    assert sorted(images_of(3)) == sorted(whole[:3])
    repeated = images_of(3 * len(dataset) + 2)
    assert repeated[: len(dataset)] == whole
    assert {repeated.count(image) for image in whole} == {3, 4}
    assert repeated[len(dataset) : 2 * len(dataset)] != whole  # another order
    halves = [list(epoch_batches(dataset, 4, 0, 0, samples=12, rank=rank, ranks=2)) for rank in (0, 1)]
    both = [np.concatenate([one[0], other[0]]) for one, other in zip(*halves, strict=True)]
    for joined, (images, _) in zip(both, epoch_batches(dataset, 4, 0, 0, samples=12), strict=True):
        assert np.array_equal(joined, images)


def test_a_repeated_sample_is_augmented_anew(dataset: SampleSource) -> None:
    batches = epoch_batches(dataset, 1, 0, 0, Augmentation(brightness=0.5), samples=2 * len(dataset))
    images = [images.tobytes() for images, _ in batches]
    assert len(set(images)) == len(images)
