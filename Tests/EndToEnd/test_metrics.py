"""`/metrics` through Prometheus' own parser, the names that vLLM's dashboards read, and the small routes."""

import re
from concurrent.futures import ThreadPoolExecutor

from prometheus_client.parser import text_string_to_metric_families

from conftest import client_of
from server import MODEL

GAUGES = """
vllm:num_requests_running vllm:num_requests_waiting vllm:num_requests_waiting_by_reason vllm:kv_cache_usage_perc
vllm:engine_sleep_state vllm:cache_config_info vllm:gpu_cache_usage_perc vllm:num_requests_swapped
vllm:cpu_cache_usage_perc
"""

COUNTERS = """
vllm:prefix_cache_queries vllm:prefix_cache_hits vllm:mm_cache_queries vllm:mm_cache_hits vllm:num_preemptions
vllm:prompt_tokens vllm:generation_tokens vllm:prompt_tokens_by_source vllm:prompt_tokens_cached vllm:request_success
vllm:admission_rejections vllm:gpu_prefix_cache_queries vllm:gpu_prefix_cache_hits http_requests
"""

HISTOGRAMS = """
vllm:request_prompt_tokens vllm:request_generation_tokens vllm:request_max_num_generation_tokens
vllm:request_params_max_tokens vllm:request_params_n vllm:request_num_preemptions vllm:iteration_tokens_total
vllm:time_to_first_token_seconds vllm:inter_token_latency_seconds vllm:request_time_per_output_token_seconds
vllm:time_per_output_token_seconds vllm:e2e_request_latency_seconds vllm:request_queue_time_seconds
vllm:request_inference_time_seconds vllm:request_prefill_time_seconds vllm:request_decode_time_seconds
http_request_duration_seconds
"""


def test_names_and_types(client, tiny):
    client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=2)
    page = tiny.http.get("/metrics")
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {}
    for family in text_string_to_metric_families(page.text):
        assert family.name not in families, f"{family.name} stands twice"
        assert family.documentation and family.type != "unknown", family
        families[family.name] = family
    missing = [
        (kind, name) for kind, names in (("gauge", GAUGES), ("counter", COUNTERS), ("histogram", HISTOGRAMS))
        for name in names.split()
        if name not in families or families[name].type != kind
    ]
    assert not missing, missing
    for family in families.values():
        if family.name.startswith("vllm:") and family.name != "vllm:cache_config_info":
            assert all(s.labels["model_name"] == MODEL and s.labels["engine"] == "0" for s in family.samples), family


def test_every_engine_has_its_label(servers):
    """Of two engines behind one front both answer; each family has a sample of each, and what they have done adds up."""
    server = servers["two-engines"]
    client = client_of(server)

    def ask(index):
        return client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"{index} apples"}], max_tokens=16,
            extra_body={"ignore_eos": True})

    before = server.metric("vllm:generation_tokens_total")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    server.wait_idle()
    values = {}
    for family in text_string_to_metric_families(server.http.get("/metrics").text):
        engines = {sample.labels.get("engine") for sample in family.samples}
        if family.name.startswith("vllm:"):
            assert engines == {"0", "1"}, family
        for sample in family.samples:
            values[sample.name, sample.labels.get("engine")] = sample.value
    made = [values["vllm:generation_tokens_total", engine] for engine in ("0", "1")]
    assert min(made) > 0
    assert sum(made) - before == sum(answer.usage.completion_tokens for answer in answers) == 16 * 16
    assert values["martlet:kv_blocks", "0"] == values["martlet:kv_blocks", "1"] > 0
    assert "2 engines share the weights" in server.log()


def test_strict_syntax(tiny):
    """Every line is one of the text format's; every family is announced before its samples; nothing stands twice."""
    name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
    label = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
    sample = re.compile(rf"({name})(\{{(?:{label}(?:,{label})*)?\}})? (-?[0-9.eE+-]+|[+-]Inf|NaN)")
    text = tiny.http.get("/metrics").text
    assert text.endswith("\n") and "\n\n" not in text
    announced, seen = {}, set()
    for line in text[:-1].split("\n"):
        if line.startswith("# "):
            kind, family, rest = line[2:].split(" ", 2)
            assert kind in ("HELP", "TYPE") and (kind, family) not in announced, line
            announced[kind, family] = rest
            continue
        match = sample.fullmatch(line)
        assert match, line
        family = match[1]
        if ("TYPE", family) not in announced:
            family = re.sub(r"_(bucket|sum|count)$", "", family)
        assert ("TYPE", family) in announced and ("HELP", family) in announced, line
        assert match[1] + (match[2] or "") not in seen, line
        seen.add(match[1] + (match[2] or ""))


def test_histograms_are_cumulative_and_end_in_infinity(tiny):
    for family in text_string_to_metric_families(tiny.http.get("/metrics").text):
        if family.type != "histogram":
            continue
        rows = {}
        for s in family.samples:
            labels = tuple(sorted((k, v) for k, v in s.labels.items() if k != "le"))
            rows.setdefault(labels, {"buckets": []})
            if s.name.endswith("_bucket"):
                rows[labels]["buckets"].append((float(s.labels["le"]), s.value))
            elif s.name.endswith("_count"):
                rows[labels]["count"] = s.value
        for row in rows.values():
            bounds, counts = zip(*row["buckets"])
            assert list(bounds) == sorted(set(bounds)) and bounds[-1] == float("inf"), family.name
            assert list(counts) == sorted(counts) and counts[-1] == row["count"], family.name


def test_tokens_are_counted(client, tiny):
    names = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:e2e_request_latency_seconds_count",
             "vllm:request_prompt_tokens_count", "vllm:time_to_first_token_seconds_count")
    before = [tiny.metric(name) for name in names]
    ended = tiny.metric("vllm:request_success_total", finished_reason="length")
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "count"}], max_tokens=7, extra_body={"ignore_eos": True})
    gained = [tiny.metric(name) - value for name, value in zip(names, before)]
    assert gained == [answer.usage.prompt_tokens, 7, 1, 1, 1]
    assert tiny.metric("vllm:request_success_total", finished_reason="length") == ended + 1


def test_small_routes(tiny):
    assert tiny.http.get("/version").json()["version"]
    for path in ("/health", "/livez", "/readyz", "/ping"):
        assert tiny.http.get(path).status_code == 200
    text = 'do(action="Tap", element=[1,2]) 你好 🙂'
    tokens = tiny.http.post("/tokenize", json={"model": MODEL, "prompt": text}).json()
    assert tokens["count"] == len(tokens["tokens"]) and tokens["max_model_len"] == 4096
    assert tiny.http.post("/detokenize", json={"model": MODEL, "tokens": tokens["tokens"]}).json()["prompt"] == text


def test_the_reference_tokenizer_agrees(tiny):
    """Ids that the `tokenizers` package gives for the renderings of MODEL.md 5.1, on this tokenizer.json."""
    expected = [
        291, 293, 296, 10, 288, 254, 162, 246, 107, 164, 108, 223, 30, 220, 275, 7, 287, 28, 1, 281, 1, 8, 297, 10]
    tokens = tiny.http.post("/tokenize", json={"messages": [
        {"role": "user", "content": '你是谁? do(action="Tap")'}]}).json()["tokens"]
    assert tokens == expected
    tokens = tiny.http.post("/tokenize", json={"messages": [
        {"role": "system", "content": [{"type": "text", "text": "A"}]}, {"role": "assistant", "content": "<think>B"},
        {"role": "tool", "content": "C"}, {"role": "user", "content": ""}]}).json()["tokens"]
    assert tokens == [291, 293, 295, 10, 32, 297, 10, 305, 33, 296, 10, 297, 10]
