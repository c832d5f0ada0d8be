"""Threads that requests share: who is let in, in what order pictures are worked on, and what ends work."""

import asyncio
import threading
import time

import pytest

pytest.importorskip("fastapi")

from cameraborn.serve.limits import Limits, Refusal
from cameraborn.serve.pool import Pool


def in_pool(talk, *, jobs=2, **limits):
    """What `talk(pool)` returns."""

    async def inside():
        pool = Pool(jobs, Limits(**limits))
        try:
            return await asyncio.wait_for(talk(pool), 30)
        finally:
            pool.close()

    return asyncio.run(inside())


def test_results_stand_in_the_order_of_what_was_given():
    async def talk(pool):
        def work(seconds):
            time.sleep(seconds)
            return seconds

        return await pool.each(work, [0.2, 0.0, 0.1])

    assert in_pool(talk) == [0.2, 0.0, 0.1]


def test_a_request_with_many_pictures_keeps_nobody_waiting():
    ended = []

    async def talk(pool):
        def work(name):
            time.sleep(0.05)
            ended.append(name)

        large = asyncio.create_task(pool.each(work, ["large"] * 20))
        await asyncio.sleep(0.01)
        await pool.each(work, ["small"])
        await large

    in_pool(talk)
    assert "small" in ended[:6]
    assert len(ended) == 21


def test_nobody_is_let_in_whose_turn_would_come_too_late():
    """Work that is thrown away when the time is over keeps others from theirs."""

    async def talk(pool):
        async with pool.accepted():
            assert not pool.is_full
        work = asyncio.create_task(pool.each(lambda _: time.sleep(0.05), range(30)))
        await asyncio.sleep(0.01)
        assert pool.pending == 30  # a tenth of a second each, as nothing is known yet: 1.5 s for two threads
        with pytest.raises(Refusal) as refused:
            async with pool.accepted():
                pass
        await work
        async with pool.accepted():
            pass
        return refused.value

    refusal = in_pool(talk, max_seconds=1.0)
    assert (refusal.status, refusal.kind, refusal.headers["Retry-After"]) == (429, "queue-full", "2")
    in_pool(lambda pool: pool.each(lambda _: None, range(30)), max_seconds=1.0)  # one request may be as large


@pytest.mark.parametrize("threads", [1, 2])
def test_requests_go_before_what_is_left_of_a_job(threads):
    """A video of a job has a thread for a minute, and there may be as many as threads."""

    async def talk(pool):
        over, seconds = threading.Event(), []

        def film():
            while not over.wait(0.005):
                seconds.append(pool.give_way())
            return "all"

        films = [asyncio.create_task(pool.aside(film)) for _ in range(threads)]
        await asyncio.sleep(0.05)
        assert pool.working == threads
        assert await pool.each(lambda name: time.sleep(0.1) or name, "abc") == ["a", "b", "c"]
        over.set()
        assert await asyncio.gather(*films) == ["all"] * threads
        assert sum(seconds) > 0.2  # they had no thread meanwhile
        return pool.retry_after, pool.pending

    assert in_pool(talk, jobs=threads) == (1, 0)


def most_at_work(talk):
    """How many threads work at a time at most while `talk(pool, work, job)` lasts, of 2 processors, and how often."""
    at_work, most = [], []

    def work(_=None):
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.05)  # long beside what a busy machine takes to start a thread
        at_work.pop()

    async def inside(pool):
        def job():
            work()
            pool.give_way()

        await talk(pool, work, job)

    in_pool(inside)
    return max(most), len(most)


def test_twice_as_many_threads_work_as_there_are_processors():
    """So that some wait for a network, and go through it together."""

    async def talk(pool, work, job):
        await asyncio.gather(*(pool.each(work, range(5)) for _ in "abcd"), *(pool.aside(job) for _ in "abc"))

    assert most_at_work(talk) == (4, 23)


def test_one_request_has_a_thread_a_processor():
    async def talk(pool, work, job):
        await pool.each(work, range(10))

    assert most_at_work(talk) == (2, 10)


def test_jobs_have_a_thread_a_processor():
    async def talk(pool, work, job):
        await asyncio.gather(*(pool.aside(job) for _ in range(10)))

    assert most_at_work(talk) == (2, 10)


def test_no_job_is_taken_up_while_requests_have_all_processors():
    async def talk(pool):
        over = threading.Event()
        request = asyncio.create_task(pool.each(lambda _: over.wait(5), "ab"))
        await asyncio.sleep(0.02)
        job = asyncio.create_task(pool.aside(lambda: over.is_set()))
        await asyncio.sleep(0.05)
        assert not job.done()
        over.set()
        await request
        return await job

    assert in_pool(talk)


def test_pictures_that_share_processors_do_not_look_slow():
    """Twice as many are worked on at a time as there are processors: each takes twice as long."""

    async def talk(pool):
        await asyncio.gather(*(pool.each(lambda _: time.sleep(0.2), range(10)) for _ in "ab"))
        return pool._takes(100)

    assert in_pool(talk) < 100 * 0.15 / 2


def test_a_slow_job_does_not_make_requests_look_slow():
    async def talk(pool):
        await pool.aside(lambda: time.sleep(0.5))
        async with pool.accepted():
            pass
        return pool.retry_for_jobs(100) > pool._takes(100)

    assert in_pool(talk)


def test_no_further_picture_is_begun_after_one_that_fails():
    begun = []

    async def talk(pool):
        def work(number):
            begun.append(number)
            if number == 1:
                raise ValueError("broken")
            time.sleep(0.05)

        with pytest.raises(ValueError, match="broken"):
            await pool.each(work, range(50))
        await asyncio.sleep(0.2)
        return pool.pending

    assert in_pool(talk) == 0
    assert len(begun) < 10


def test_when_the_time_is_over_work_is_told_to_stop():
    stopped = []

    async def talk(pool):
        with pytest.raises(Refusal) as refused:
            async with pool.accepted() as stop, pool.in_time():
                await pool.each(lambda _: stopped.append(stop.wait(10)), [None])
        await asyncio.sleep(0.1)
        return refused.value

    refusal = in_pool(talk, max_seconds=0.2)
    assert (refusal.status, refusal.kind) == (503, "out-of-time")
    assert stopped == [True]
