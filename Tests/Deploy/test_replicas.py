"""Replicas behind HAProxy that die, restart and are full: what has not begun succeeds, what has ends, nothing hangs.

MARTLET_FAULT_RUNS says how often a replica is killed for each kind of body (2 unless told), the rolling restart takes
half as many rounds.
"""

import asyncio
import json
import os
import signal
import statistics
import time

import pytest

from load import Load, ask, noise, request
from processes import Proxy, Replicas, wait_until

RUNS = int(os.environ.get("MARTLET_FAULT_RUNS", "2"))
EJECTED_SECONDS = 3

TEXT = [request(f"question {index % 7}", 150 + 50 * (index % 5), streams=index % 3 > 0) for index in range(35)]
# Half of them streamed; a 1.5 MB body each.
PICTURES = [
    request("look", 1000 if index % 2 else 50, streams=index % 2 > 0, picture=noise(index)) for index in range(8)]


def figures(name, values):
    values = list(values)
    if values:
        median, worst = statistics.median(values), max(values)
        print(f"  {name}: median {median:.3f} s, worst {worst:.3f} s, of {len(values)}")


class Tally:
    """What kills under load did to the requests, over all runs."""

    def __init__(self):
        self.asked = self.unstarted = self.lost = self.broken = self.hung = self.in_flight = 0
        self.ends, self.waits, self.ejections = [], [], []

    def add(self, answers, killed_at, victim, ejected_at):
        self.asked += len(answers)
        self.ejections.append(ejected_at - killed_at)
        for answer in answers:
            open_then = answer.begun <= killed_at <= answer.ended
            self.in_flight += open_then
            self.hung += answer.verdict == "hung"
            # The head was on its way when the replica died: it came within a moment, and from that replica.
            is_victims = answer.verdict == "broken" and answer.fields.get("x-replica") == victim \
                and answer.begun <= killed_at and answer.head <= killed_at + 1
            if is_victims:
                self.broken += 1
                self.ends.append(answer.ended - killed_at)
                continue
            if answer.head and answer.head <= killed_at:
                # Started elsewhere, or over by then.
                assert answer.verdict == "complete", answer
                continue
            self.unstarted += 1
            self.lost += answer.verdict != "complete"
            if open_then and answer.verdict == "complete":
                self.waits.append(answer.ended - killed_at)

    def show(self, name):
        share = 100 * (1 - self.lost / self.unstarted)
        print(f"\n{name}: {self.asked} requests in {len(self.ejections)} runs, {self.in_flight} open at a kill; "
              f"{self.unstarted} not started, {self.lost} of them lost ({share:.3f} % succeed); "
              f"{self.broken} streams broken, {self.hung} hung")
        figures("out of rotation after the kill", self.ejections)
        figures("a broken stream's end after the kill", self.ends)
        figures("answer of what was not started, after the kill", self.waits)


async def kill_under_load(replicas, proxy, requests, width, victim, tally):
    """One run: load, a kill once streams run everywhere, more load until the dead one is out, and a moment longer."""
    name = proxy.NAMES[victim]
    async with Load(proxy.port, requests, width) as load:
        # Some have begun, some wait, and the replica works: before that a kill would show little.
        deadline = time.monotonic() + 60
        while len(load.answers) < width or int(proxy.servers()[name]["scur"]) < 2:
            assert time.monotonic() < deadline, "the load does not reach the replica"
            await asyncio.sleep(0.005)
        killed_at = replicas.kill(victim)
        while proxy.is_up(name):
            assert time.monotonic() < killed_at + 30, f"{name} is still up 30 s after its death"
            await asyncio.sleep(0.01)
        ejected_at = time.monotonic()
        await asyncio.sleep(1)
    tally.add(load.answers, killed_at, name, ejected_at)


@pytest.mark.parametrize("kind,requests,width", [("text", TEXT, 32), ("1.5 MB pictures", PICTURES, 12)])
def test_a_killed_replica(replicas, proxy, kind, requests, width):
    tally = Tally()
    for run in range(RUNS):
        victim = run % 3
        asyncio.run(kill_under_load(replicas, proxy, requests, width, victim, tally))
        replicas.bury(victim)
        replicas.start(victim)
        proxy.wait_up()
    tally.show(f"kill -9, {kind}")
    print(f"  memory of HAProxy: {proxy.memory() >> 20} MiB")
    assert tally.lost <= tally.unstarted / 1000
    assert tally.hung == 0
    assert tally.waits, "no request was open and not started at any kill: the test shows nothing"
    assert max(tally.ejections) <= EJECTED_SECONDS
    assert max(tally.ends, default=0) <= 5


async def freeze_under_load(replicas, proxy, victim):
    """Stops a replica without ending it, lets it go on once it is out; gives the answers and the seconds until then."""
    process, name = replicas.servers[victim].process, proxy.NAMES[victim]
    async with Load(proxy.port, TEXT, 24) as load:
        await asyncio.sleep(1)
        begun = time.monotonic()
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.to_thread(wait_until, lambda: not proxy.is_up(name), "the frozen one out")
            seconds = time.monotonic() - begun
            while not any(answer.begun > begun + seconds for answer in load.answers):
                await asyncio.sleep(0.01)
        finally:
            process.send_signal(signal.SIGCONT)
    return load.answers, seconds


def test_a_frozen_replica(replicas, proxy):
    """It gets nothing more after two checks without an answer; the others serve on; what it held, it answers later."""
    answers, seconds = asyncio.run(freeze_under_load(replicas, proxy, 1))
    print(f"\nSIGSTOP: out of rotation after {seconds:.1f} s; {len(answers)} requests, "
          f"{sum(answer.verdict != 'complete' for answer in answers)} failed")
    assert seconds <= 10
    assert {answer.verdict for answer in answers} == {"complete"}


async def restart_in_turn(replicas, proxy, requests, width, rounds):
    """Every replica in turn: SIGTERM, drained and gone with 0, a new process, in rotation again. Gives the answers."""
    drains = []
    async with Load(proxy.port, requests, width) as load:
        for _ in range(rounds):
            for index in range(3):
                await asyncio.sleep(0.5)
                begun = time.monotonic()
                assert await asyncio.to_thread(replicas.servers[index].stop) == 0, replicas.servers[index].log()
                drains.append(time.monotonic() - begun)
                await asyncio.to_thread(replicas.start, index)
                await asyncio.to_thread(proxy.wait_up)
    return load.answers, drains


def test_a_rolling_restart(replicas, proxy):
    """Nobody notices: no request fails, whatever its body, and every stream is whole."""
    rounds = max(1, RUNS // 2)
    requests = [TEXT[index % len(TEXT)] if index % 4 else PICTURES[index // 4 % len(PICTURES)] for index in range(64)]
    answers, drains = asyncio.run(restart_in_turn(replicas, proxy, requests, 24, rounds))
    failed = [answer for answer in answers if answer.verdict != "complete"]
    print(f"\nrolling restart: {len(answers)} requests in {rounds} rounds of three restarts, {len(failed)} failed")
    figures("SIGTERM to exit", drains)
    assert not failed, failed[:3]
    assert len({answer.fields["x-replica"] for answer in answers}) == 3


@pytest.fixture
def full_house():
    """Three replicas that run one request and queue one, and a proxy of their own."""
    replicas = Replicas(3, "--max-num-seqs", "1", "--max-num-queued-reqs", "1")
    proxy = Proxy(replicas.ports)
    yield replicas, proxy
    proxy.stop()
    replicas.stop()


def test_all_at_capacity(full_house):
    """Who cannot be taken is told so, by a replica's own 503 with when to come back; the others are served."""
    _, proxy = full_house

    async def main():
        long = request("long", 2000, streams=True)
        return await asyncio.gather(*(ask(proxy.port, long) for _ in range(60)))

    answers = asyncio.run(main())
    refused = [answer for answer in answers if answer.verdict == "refused"]
    print(f"\nat capacity: {len(answers)} at once on 6 places, {len(refused)} refused")
    figures("a refusal", (answer.ended - answer.begun for answer in refused))
    assert {answer.verdict for answer in answers} == {"complete", "refused"}
    assert sum(1 for answer in answers if answer.verdict == "complete") >= 6
    for answer in refused:
        assert answer.status == 503 and int(answer.fields["retry-after"]) >= 1, answer
        assert json.loads(answer.text)["error"]["type"] == "ServiceUnavailableError"


def test_no_replica_at_all(full_house):
    """The proxy's own answer is an OpenAI error with when to come back, at once."""
    replicas, proxy = full_house
    for index in range(3):
        replicas.kill(index)
    wait_until(lambda: not any(map(proxy.is_up, proxy.NAMES)), "all replicas out")
    answer = asyncio.run(ask(proxy.port, TEXT[0]))
    assert answer.verdict == "refused" and answer.status == 503
    assert int(answer.fields["retry-after"]) == 5 and json.loads(answer.text)["error"]["code"] == 503
    assert answer.ended - answer.begun < 5


def test_the_memory_of_bodies(full_house):
    """What README.md says of HAProxy's memory: at most four buffers a request, while 100 of 1.5 MB are open at once."""
    _, proxy = full_house
    before = proxy.memory()

    async def main():
        asked = [asyncio.create_task(ask(proxy.port, PICTURES[0])) for _ in range(100)]
        most = 0
        while not all(task.done() for task in asked):
            most = max(most, proxy.memory())
            await asyncio.sleep(0.02)
        return [task.result() for task in asked], most

    answers, most = asyncio.run(main())
    print(f"\nmemory of HAProxy: {before >> 20} MiB idle, {most >> 20} MiB with 100 bodies of "
          f"{len(PICTURES[0]) / 1e6:.2f} MB at once: {(most - before) / 100 / (1 << 20):.1f} MiB each")
    assert {answer.verdict for answer in answers} <= {"complete", "refused"}
    assert most - before <= 100 * 4 * 2097152
