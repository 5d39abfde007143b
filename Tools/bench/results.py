"""The JSON of one commit: samples by file of weights, work and program. A part that is run again goes on where it
stopped."""

import json
import os
import pathlib
import platform
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def commit():
    """Short name of the checkout's commit, marked when files differ from it; results of a commit and its own file do
    not count as a difference."""
    ask = lambda *words: subprocess.run(["git", *words], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    changed = ask("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks")
    return (ask("rev-parse", "--short", "HEAD") or "unknown") + ("-changed" if changed else "")


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": cpu, "processors": os.cpu_count(), "memory_gib": round(memory / 2**30, 1),
            "system": platform.platform()}


class Results:
    """benchmarks/results/peers-COMMIT.json, written after every sample."""

    def __init__(self, path=None, threads=None):
        self.path = path or ROOT / f"benchmarks/results/peers-{commit()}.json"
        if self.path.exists():
            self.data = json.loads(self.path.read_text())
            asked = threads or self.data["threads"]
            if self.data["threads"] != asked:
                raise SystemExit(f"{self.path.name} is of {self.data['threads']} threads, not {asked}")
        else:
            self.data = {"machine": machine(), "commit": commit(), "threads": threads, "files": {}, "limits": {},
                         "samples": {}}

    def write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.data, indent=1) + "\n")
        part.rename(self.path)

    def add(self, file, work, program, value):
        self.samples(file, work, program, create=True).append(value)
        self.write()

    def add_all(self, file, program, values):
        """values: by work; all of them or, after a stop, none."""
        for work, value in values.items():
            self.samples(file, work, program, create=True).append(value)
        self.write()

    def samples(self, file, work, program, create=False):
        works = self.data["samples"]
        if create:
            return works.setdefault(file, {}).setdefault(work, {}).setdefault(program, [])
        return works.get(file, {}).get(work, {}).get(program, [])

    def programs(self, file, work):
        return self.data["samples"].get(file, {}).get(work, {})

    def best(self, file, work, prefix):
        """The program whose name begins with `prefix` and whose median is the best: least of seconds and bytes,
        greatest of rates; None if there is none."""
        candidates = {name: statistics.median(values) for name, values in self.programs(file, work).items()
                      if name.startswith(prefix) and values}
        return (min if is_cost(work) else max)(candidates, key=candidates.get) if candidates else None


def is_cost(work):
    """Whether less is better."""
    return work.endswith(("seconds", "bytes"))
