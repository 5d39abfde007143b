"""A client that behaves as Open-AutoGLM's does (API.md 3.1, 3.2): its requests, its history, its marker parser."""

import pytest

from agent import SYSTEM, Agent, parse_action
from conftest import client_of
from pictures import data_url, image_tokens, screenshot
from server import MODEL


def test_preflight(tiny):
    answer = Agent(tiny).preflight()
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.completion_tokens <= 5


def test_three_steps(tiny):
    agent = Agent(tiny)
    hits = tiny.metric("vllm:prefix_cache_hits_total")
    for step in range(3):
        # Made-up weights may never end: a bias on the end token grows no answer beyond a screen of text.
        agent.step(
            f"** Screen Info **\n\n{{\"step\": {step}}}", screenshot(270, 600 + 28 * step), logit_bias={"308": 2.0},
            min_tokens=8)
        assert agent.finish_reason in ("stop", "length", None)
    assert len(agent.messages) == 7
    assert all(isinstance(m["content"], list) for m in agent.messages if m["role"] == "user")
    # The system prompt is shared by all steps, so each later step found it computed.
    system = len(tiny.http.post("/tokenize", json={"prompt": SYSTEM, "add_special_tokens": False}).json()["tokens"])
    assert tiny.metric("vllm:prefix_cache_hits_total") - hits >= 2 * (system // 16 * 16)


def test_a_whole_screenshot_costs_what_the_reference_says(tiny):
    tokens = tiny.http.post("/tokenize", json={"model": MODEL, "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": data_url(screenshot(1080, 2400))}},
        {"type": "text", "text": "x"}]}]}).json()
    assert tokens["count"] == 4 + 2 + 3354 + 1 + 2
    assert image_tokens(1080, 2400) == 3354


def test_an_answer_ends_without_a_stray_tag(tiny):
    """`</answer>` ends generation and is never sent: with it the agent takes the raw text for a finish and stops."""
    client = client_of(tiny)
    said = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=50, temperature=0,
        logit_bias={"308": 100})
    assert said.choices[0].finish_reason == "stop"
    assert "</answer>" not in said.choices[0].message.content
    # Its opening twin is text, as the client expects to see it.
    said = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=3, temperature=0,
        logit_bias={"307": 100})
    assert said.choices[0].message.content == "<answer>" * 3


@pytest.mark.parametrize("raw,thoughts,action", [
    ('I tap.do(action="Tap", element=[500,250])', "I tap.", {"action": "Tap", "element": [500, 250]}),
    ('Done. finish(message="All done")', "Done.", {"finish": "All done"}),
])
def test_actions_written_by_the_model_reach_the_agent(tiny, raw, thoughts, action):
    """The server is made to say `raw` token by token; the agent's parser has to find the action in the stream."""
    tokens = tiny.http.post("/tokenize", json={"prompt": raw, "add_special_tokens": False}).json()["tokens"]
    # A prompt that ends in the text but for its last token, which a bias makes certain: spoken text, one token a time.
    spoken = ""
    client = client_of(tiny)
    for token in tokens:
        stream = client.completions.create(
            model=MODEL, prompt="say: " + spoken, max_tokens=1, temperature=0, logit_bias={str(token): 100}, stream=True)
        spoken += "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    assert spoken == raw
    found = Agent.parse(spoken)
    assert found[0] == thoughts and parse_action(found[1]) == action


def test_thoughts_stay_in_content_unless_asked(tiny):
    client = client_of(tiny)

    def think(**more):
        return client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=4, temperature=0,
            logit_bias={"305": 100}, extra_body=more).choices[0].message

    assert think().content == "<think>" * 4
    apart = think(return_reasoning=True)
    assert "<think>" not in (apart.content or "")
    assert apart.reasoning == apart.reasoning_content
    assert think(return_reasoning=False).model_dump().get("reasoning") is None


def test_thinking_can_be_switched_off(tiny):
    client = client_of(tiny)

    def cost(**more):
        return client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=1, extra_body=more).usage.prompt_tokens

    assert cost(enable_thinking=True) == cost()
    assert cost(enable_thinking=False) > cost()
    assert cost(chat_template_kwargs={"enable_thinking": False}) == cost(enable_thinking=False)
