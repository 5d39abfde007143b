"""Replicas behind HAProxy that die, restart and are full: what has not begun succeeds, what has ends, nothing hangs.

MARTLET_DEPLOY_RUNS says how often a replica is killed for each kind of body (2 unless told), the rolling restart takes
half as many rounds.
"""

import asyncio
import os
import statistics
import time

import pytest

from load import Load, ask, noise, request
from processes import Proxy, Replicas, wait_until

RUNS = int(os.environ.get("MARTLET_DEPLOY_RUNS", "2"))
EJECTED_SECONDS = 3

TEXT = [request(f"question {index % 7}", 150 + 50 * (index % 5), streams=index % 3 > 0) for index in range(35)]
# Half of them streamed; a 1.5 MB body each.
PICTURES = [request("look", 100, streams=index % 2 > 0, picture=noise(index)) for index in range(8)]


def figures(name, values, unit="s"):
    values = list(values)
    if values:
        print(f"  {name}: median {statistics.median(values):.3f} {unit}, worst {max(values):.3f} {unit}, of {len(values)}")


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
        await asyncio.sleep(1)
        # A replica that holds nothing shows nothing: the kill waits for one that works.
        deadline = time.monotonic() + 30
        while int(proxy.servers()[name]["scur"]) < 2:
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
