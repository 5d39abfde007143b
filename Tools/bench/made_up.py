"""A GGUF file of the GLM-4 9B text shape (MODEL.md 1.1, 8.2) with made-up weights, written as it is made.

Every block has quants at random and a scale such that weights have the deviation of a trained matrix; norms are ones.
Numbers stay sensible through all layers, so that no program meets denormals or infinities that a real model lacks. The
vocabulary is the 256 bytes and names for the rest: prompts are given as ids.
"""

import pathlib
import struct

import numpy

LAYERS, HIDDEN, INNER, HEADS, KV_HEADS, HEAD, VOCABULARY, POSITIONS = 40, 4096, 13696, 32, 2, 128, 151552, 65536
# GGUF's numbers for types of values and of tensors.
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
TENSOR_F32, TENSOR_F16, TENSOR_Q4_0, TENSOR_Q8_0, TENSOR_BF16 = 0, 1, 2, 8, 30
ELEMENT_BYTES = {TENSOR_F32: 4, TENSOR_F16: 2, TENSOR_BF16: 2}
BLOCK_BYTES = {TENSOR_Q4_0: 18, TENSOR_Q8_0: 34}
# Standard deviation of quants drawn evenly from 16 and from 256 values.
QUANT_DEVIATION = {TENSOR_Q4_0: 4.6, TENSOR_Q8_0: 73.9}
ALIGNMENT = 32
TYPES = {"Q4_0": TENSOR_Q4_0, "Q8_0": TENSOR_Q8_0}
# What llama.cpp calls the types of whole files.
FILE_TYPES = {"Q4_0": 2, "Q8_0": 7}


def tensors(kind):
    """(name, shape with the innermost first, type) in file order."""
    yield "token_embd.weight", (HIDDEN, VOCABULARY), kind
    for layer in range(LAYERS):
        prefix = f"blk.{layer}."
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            yield f"{prefix}{name}.weight", (HIDDEN,), TENSOR_F32
        for name, rows in (("attn_q", HEADS * HEAD), ("attn_k", KV_HEADS * HEAD), ("attn_v", KV_HEADS * HEAD)):
            yield f"{prefix}{name}.weight", (HIDDEN, rows), kind
            yield f"{prefix}{name}.bias", (rows,), TENSOR_F32
        yield f"{prefix}attn_output.weight", (HEADS * HEAD, HIDDEN), kind
        yield f"{prefix}ffn_up.weight", (HIDDEN, 2 * INNER), kind
        yield f"{prefix}ffn_down.weight", (INNER, HIDDEN), kind
    yield "output_norm.weight", (HIDDEN,), TENSOR_F32
    yield "output.weight", (HIDDEN, VOCABULARY), kind


def parameter_count():
    return sum(int(numpy.prod(shape)) for _, shape, _ in tensors(TENSOR_Q4_0))


def byte_count(shape, kind):
    count = int(numpy.prod(shape))
    return count * ELEMENT_BYTES[kind] if kind in ELEMENT_BYTES else count // 32 * BLOCK_BYTES[kind]


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def number(value):
    return struct.pack("<I", value)


def real(value):
    return struct.pack("<f", value)


def strings(values):
    return struct.pack("<IQ", STRING, len(values)) + b"".join(map(string, values))


def metadata(name):
    """(key, type, encoded value)."""
    # GPT-2's names of bytes: printable ones stand for themselves, the others for letters from U+0100 on.
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    tokens = [chr(byte) for byte in plain] + [chr(256 + index) for index in range(len(other))] + ["ab"]
    end = VOCABULARY - 1
    tokens += [f"unused{index}" for index in range(len(tokens), end)] + ["<|endoftext|>"]
    types = numpy.ones(VOCABULARY, "<i4")
    types[end] = 3
    yield "general.architecture", STRING, string("glm4")
    yield "general.type", STRING, string("model")
    yield "general.name", STRING, string(f"GLM-4 9B shape, made-up weights, {name}")
    yield "general.file_type", U32, number(FILE_TYPES[name])
    yield "general.quantization_version", U32, number(2)
    for key, value in (
        ("block_count", LAYERS), ("context_length", POSITIONS), ("embedding_length", HIDDEN),
        ("feed_forward_length", INNER), ("attention.head_count", HEADS), ("attention.head_count_kv", KV_HEADS),
        ("rope.dimension_count", HEAD // 2), ("vocab_size", VOCABULARY),
    ):
        yield f"glm4.{key}", U32, number(value)
    yield "glm4.attention.layer_norm_rms_epsilon", F32, real(1e-5)
    yield "glm4.rope.freq_base", F32, real(10000)
    yield "tokenizer.ggml.model", STRING, string("gpt2")
    yield "tokenizer.ggml.pre", STRING, string("glm4")
    yield "tokenizer.ggml.tokens", ARRAY, strings(tokens)
    yield "tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ", I32, VOCABULARY) + types.tobytes()
    yield "tokenizer.ggml.merges", ARRAY, strings(["a b"])
    yield "tokenizer.ggml.eos_token_id", U32, number(end)
    yield "tokenizer.ggml.add_bos_token", BOOL, b"\0"


def padding(length):
    return b"\0" * (-length % ALIGNMENT)


def head(items, tensors):
    """Everything before the tensors' data. items: (key, type, encoded value); tensors: (name, shape with the innermost
    first, type)."""
    infos, offset = [], 0
    for tensor, shape, kind in tensors:
        infos.append(string(tensor) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset))
        length = byte_count(shape, kind)
        offset += length + len(padding(length))
    data = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(items))
    data += b"".join(string(key) + struct.pack("<I", kind) + value for key, kind, value in items) + b"".join(infos)
    return data + padding(len(data))


def blocks(rng, count, kind, deviation):
    """`count` quantised blocks with values of about this standard deviation."""
    data = numpy.frombuffer(rng.bytes(count * BLOCK_BYTES[kind]), numpy.uint8).reshape(count, -1).copy()
    scales = rng.uniform(0.5, 1.5, count) * deviation / QUANT_DEVIATION[kind]
    data[:, :2] = scales.astype("<f2").view(numpy.uint8).reshape(count, 2)
    return data.tobytes()


def write(path, name):
    """Writes the file of type `name` (Q4_0, Q8_0): whole or, under this name, not at all."""
    path = pathlib.Path(path)
    part = path.with_suffix(".part")
    rng = numpy.random.Generator(numpy.random.SFC64(9))
    # Blocks made at once.
    piece = 1 << 20
    with open(part, "wb") as file:
        file.write(head(list(metadata(name)), tensors(TYPES[name])))
        for tensor, shape, kind in tensors(TYPES[name]):
            length = byte_count(shape, kind)
            if kind == TENSOR_F32:
                values = numpy.ones(shape) if tensor.endswith("norm.weight") else rng.normal(0, 0.1, shape)
                file.write(values.astype("<f4").tobytes())
            else:
                count = length // BLOCK_BYTES[kind]
                for start in range(0, count, piece):
                    file.write(blocks(rng, min(piece, count - start), kind, shape[0] ** -0.5))
            file.write(padding(length))
    part.rename(path)
