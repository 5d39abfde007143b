"""What a rank of two holds and reads, on weights of real size: `run.sh -m full`."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from ranks import HERE, TINY, RankServer, Server, binary

pytestmark = pytest.mark.full

FULL = HERE.parent / "EndToEnd/full-size"
SMALL = ["--tokenizer", str(TINY), "--max-model-len", "1024", "--max-num-seqs", "2", "--max-num-batched-tokens", "64",
         "--kv-cache-memory-bytes", "100000000"]
SHARE = 0.55


def peak_gib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 2**20


def test_a_rank_of_two_holds_half(figure):
    arguments = ["--model", str(FULL), "--load-format", "dummy", "-q", "int8", *SMALL]
    server = RankServer(2, [*arguments, "-tp", "2"], start_seconds=1500)
    peaks = [peak_gib(pid) for _, pid in sorted(server.processes().items())]
    assert server.stop() == 0, server.log()
    alone = Server(arguments, start_seconds=1500)
    whole = peak_gib(alone.process.pid)
    assert alone.stop() == 0
    figure(f"9B, int8, peak memory: {whole:.2f} GiB alone, {peaks[0]:.2f} and {peaks[1]:.2f} GiB over two processes: "
           f"{max(peaks) / whole:.1%}")
    assert max(peaks) <= SHARE * whole


def test_a_rank_of_two_reads_half(figure):
    """A checkpoint of over 2 GB on disk, of the shape of the 9B with fewer layers."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="martlet-checkpoint-"))
    try:
        source, target = directory / "shape", directory / "packed"
        source.mkdir()
        shape = json.loads((FULL / "config.json").read_text())
        shape["text_config"]["num_hidden_layers"] = 6
        shape["vision_config"]["depth"] = 2
        (source / "config.json").write_text(json.dumps(shape))
        for file in TINY.glob("*token*.json"):
            shutil.copy(file, source)
        subprocess.run([binary(), "quantize", str(source), str(target), "-q", "int8", "--load-format", "dummy"],
                       check=True, stdin=subprocess.DEVNULL, timeout=1500)
        size = sum(file.stat().st_size for file in target.glob("*.safetensors"))
        assert size >= 2e9, size
        server = RankServer(2, ["--model", str(target), *SMALL, "-tp", "2"], start_seconds=600)
        assert server.stop() == 0, server.log()
        found = dict(re.findall(r"Rank (\d) has read ([0-9.]+) GiB", server.log()))
        read = [float(found[rank]) for rank in ("0", "1")]
        figure(f"checkpoint of {size / 2**30:.2f} GiB: the ranks read {read[0]:.2f} and {read[1]:.2f} GiB: "
               f"{max(read) * 2**30 / size:.1%}")
        assert 0 < max(read) * 2**30 <= SHARE * size
    finally:
        shutil.rmtree(directory)
