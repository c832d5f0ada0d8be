"""Runs of a network that several threads share: who runs what, that nothing is mixed up, and what a failure costs."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cameraborn.detect.gathered import Gathered
from cameraborn.detect.observe import Observer

WAIT = 10


class Network:
    """Sums rows; it runs when it is let, and fails on what it is told to."""

    def __init__(self, fails_on=()):
        self.sizes, self.fails_on = [], fails_on
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, batch):
        self.sizes.append(len(batch))
        self.begun.release()
        assert self.go_on.acquire(timeout=WAIT)
        if set(batch[:, 0]) & set(self.fails_on):
            raise ValueError("broken")
        return batch.sum(1, keepdims=True).astype(np.float32)


def rows(value, count=1, width=3):
    return np.full((count, width), value, np.uint8)


def gathered(network, *, at_once=1, most=8):
    told = []
    return Gathered(network, at_once=at_once, most=most, told=told.append), told


def brought_while_busy(network, run, batches):
    """The results of batches of which the first is running when the others come, in their order."""
    with ThreadPoolExecutor(len(batches)) as threads:
        results = [threads.submit(run, batches[0])]
        assert network.begun.acquire(timeout=WAIT)
        for number, batch in enumerate(batches[1:], 1):
            results.append(threads.submit(run, batch))
            while len(run._waiting) < number:
                pass
        for _ in range(2 * len(batches)):
            network.go_on.release()
        return [result.exception(WAIT) or result.result(WAIT)[:, 0].tolist() for result in results]


def test_what_comes_while_a_network_runs_goes_through_it_together():
    network = Network()
    run, told = gathered(network)
    batches = [rows(1), rows(2, 2), rows(3), rows(4, 3)]
    assert brought_while_busy(network, run, batches) == [[3.0], [6.0, 6.0], [9.0], [12.0] * 3]
    assert network.sizes == [1, 6]
    assert told == [1, 3]


def test_a_run_has_no_more_rows_than_are_allowed_unless_one_brings_them():
    network = Network()
    run, told = gathered(network, most=4)
    batches = [rows(1), rows(2, 3), rows(3, 2), rows(4, 2), rows(5, 9)]
    assert [len(one) for one in brought_while_busy(network, run, batches)] == [1, 3, 2, 2, 9]
    assert network.sizes == [1, 3, 4, 9]
    assert told == [1, 1, 2, 1]


def test_batches_of_other_shapes_run_by_themselves():
    network = Network()
    run, _ = gathered(network)
    batches = [rows(1), rows(2), rows(3, width=5), rows(4)]
    assert brought_while_busy(network, run, batches) == [[3.0], [6.0], [15.0], [12.0]]
    assert network.sizes == [1, 1, 1, 1]


def test_one_that_a_network_fails_on_does_not_take_others_along():
    network = Network(fails_on=[3])
    run, _ = gathered(network)
    first, leads, broken, other = brought_while_busy(network, run, [rows(1), rows(2), rows(3), rows(4)])
    assert (first, leads, other) == ([3.0], [6.0], [12.0])
    assert isinstance(broken, ValueError)
    assert run(rows(5)).tolist() == [[15.0]]  # its place is free again


def test_an_encoders_threads_go_through_its_network_together(network_bundle):
    ((encoder, _),) = Observer(network_bundle).encoders
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 255, (200, 200, 3), np.uint8) for _ in range(8)]
    alone, told = [encoder.feature(crop) for crop in crops], []
    encoder.gather(1, told.append)
    with ThreadPoolExecutor(8) as threads:
        for number, feature in enumerate(threads.map(encoder.feature, crops * 20)):
            np.testing.assert_allclose(feature, alone[number % 8], rtol=1e-4, atol=1e-5)
    assert sum(told) == 160
    assert max(told) > 1


@pytest.mark.parametrize("at_once", [1, 2])
def test_many_threads_get_their_own_features_from_no_more_runs_than_are_allowed(at_once):
    running, most = [], []

    def network(batch):
        running.append(1)
        most.append(len(running))
        features = batch.sum(1, keepdims=True).astype(np.float32)
        running.pop()
        return features

    run, told = gathered(network, at_once=at_once)
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 80, (int(rng.integers(1, 5)), 3), np.uint8) for _ in range(500)]
    with ThreadPoolExecutor(8) as threads:
        for batch, features in zip(batches, threads.map(run, batches), strict=True):
            assert features.tolist() == batch.sum(1, keepdims=True).tolist()
    assert max(most) <= at_once
    assert sum(told) == len(batches)
    assert (run._free, len(run._waiting)) == (at_once, 0)
