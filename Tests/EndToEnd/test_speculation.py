"""`--speculative-config`: the same answers, sooner."""

import concurrent.futures
import json

import pytest

from server import MODEL, Server, refused, tiny_arguments

CONFIG = json.dumps({"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_min": 1, "prompt_lookup_max": 3,
                     "disable_by_batch_size": 16})

REQUESTS = [
    {"temperature": 0, "max_tokens": 60},
    {"temperature": 0, "max_tokens": 60, "ignore_eos": True, "logprobs": True, "top_logprobs": 3},
    {"temperature": 0.2, "seed": 3, "n": 3, "max_tokens": 40},
    {"temperature": 0.4, "top_p": 0.9, "seed": 5, "max_tokens": 40, "min_tokens": 10, "logprobs": True},
    {"temperature": 0, "frequency_penalty": 0.2, "max_tokens": 60},
    {"temperature": 0, "repetition_penalty": 0.9, "max_tokens": 60, "stop": ["e", "an"]},
]


def answers(server):
    """Choices and usage of every request, whole and streamed, one after the other and then at once."""
    def whole(more):
        body = {"model": MODEL, "messages": [{"role": "user", "content": "one two three one two three one"}], **more}
        answer = server.http.post("/v1/chat/completions", json=body).json()
        return answer["choices"], answer["usage"]["completion_tokens"]

    def streamed(more):
        body = {"model": MODEL, "messages": [{"role": "user", "content": "one two one two one"}], **more,
                "stream": True, "stream_options": {"include_usage": True}}
        texts, ends, usage = {}, {}, None
        for line in server.http.post("/v1/chat/completions", json=body).text.splitlines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = (chunk.get("usage") or {}).get("completion_tokens", usage)
            for choice in chunk["choices"]:
                index = choice["index"]
                texts[index] = texts.get(index, "") + (choice["delta"].get("content") or "")
                ends[index] = choice["finish_reason"] or ends.get(index)
        return texts, ends, usage

    found = [(whole(more), streamed(more)) for more in REQUESTS]
    with concurrent.futures.ThreadPoolExecutor(len(REQUESTS)) as pool:
        together = list(pool.map(whole, REQUESTS))
    return json.dumps([found, together], sort_keys=True)


def test_answers_are_those_without():
    found = []
    for more in [], ["--speculative-config", CONFIG]:
        server = Server(tiny_arguments(*more))
        try:
            found.append(answers(server))
            server.wait_idle()
            names = {name for name, _ in server.metrics()}
            assert ("vllm:spec_decode_num_drafts_total" in names) == bool(more)
            if more:
                assert server.metric("vllm:spec_decode_num_accepted_tokens_total") > 50
                assert server.metric("vllm:spec_decode_num_draft_tokens_total") > \
                    server.metric("vllm:spec_decode_num_accepted_tokens_total")
                first = server.metric("vllm:spec_decode_num_accepted_tokens_per_pos_total", position="0")
                assert 0 < first <= server.metric("vllm:spec_decode_num_drafts_total")
                assert "Speculative decoding is enabled" in server.log()
        finally:
            assert server.stop() == 0
    assert found[0] == found[1]


@pytest.mark.parametrize("config, reason", [
    ('{"method": "eagle", "num_speculative_tokens": 4}', "not built yet"),
    ('{"method": "ngram"}', "num_speculative_tokens"),
    ('{"method": "ngram", "num_speculative_tokens": 400}', "num_speculative_tokens"),
])
def test_what_cannot_be_is_refused(config, reason):
    status, text = refused(tiny_arguments("--speculative-config", config))
    assert status == 2 and "--speculative-config" in text and reason in text
