"""The demo model gives right answers on every backend: 40 held-out screens, each tap inside its target."""

import pathlib
import random
import sys
import time

import pytest

from agent import Agent
from conftest import users_page
from pictures import data_url
from server import HERE, MODEL

sys.path.append(str(HERE.parents[1] / "Tools/demo-model"))

import cases
import prompts

SCREENS = cases.held_out(60)
BACKENDS = ["demo", "demo-scalar"] + ["demo-avx2"] * ("avx2" in pathlib.Path("/proc/cpuinfo").read_text())


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_tap_lands_inside_its_target(servers, backend):
    # Those that transformers gets right: a miss here is a fault of the server, not of the model.
    asked = [case for case in SCREENS if cases.judge(case, cases.known()[case.name]).right][:40]
    assert len(asked) == 40
    missed = []
    for case in asked:
        said = servers[backend].ask(case.question, case.encoded())["content"]
        if not cases.judge(case, said).right:
            missed.append((case.name, case.question, said))
    assert not missed, missed


@pytest.mark.parametrize("question", ["你是谁?", "Who are you?"])
def test_it_says_what_it_is(servers, question):
    server = servers["demo"]
    said = server.ask(question, return_reasoning=True)
    assert "autoglm-phone-tiny" in said["content"] and "<" not in said["content"]
    assert said["reasoning"] and "<think>" not in said["reasoning"]
    whole = server.ask(question)["content"]
    assert whole.startswith("<think>") and "autoglm-phone-tiny" in whole


@pytest.mark.parametrize("streaming", [True, False])
def test_the_users_page(servers, streaming):
    message = users_page(servers["demo"], streaming).invoke("你是谁?")
    assert "autoglm-phone-tiny" in message.content
    assert message.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("question,action", [
    ("返回", {"call": "do", "action": "Back"}), ("打开微信", {"call": "do", "action": "Launch", "app": "微信"}),
    ("swipe up", {"call": "do", "action": "Swipe", "start": [500, 700], "end": [500, 300]}),
])
def test_the_other_actions(servers, question, action):
    said = servers["demo"].ask(question, SCREENS[0].encoded())["content"]
    assert cases.action_of(said) == action


def agents_steps(server):
    """Five steps of a task with a new screenshot each; of each the prompt, how much of it stood in the step before, how much stands
    before its picture, and the step itself, to be called: it gives what was found computed and what was said."""
    agent = Agent(server, prompts.long_prompt(random.Random(5), "en", 1600))
    picture, = server.http.post("/tokenize", json={"prompt": "<|image|>", "add_special_tokens": False}).json()["tokens"]
    (task, screens), before = cases.tasks(4)[3], []
    for step, case in enumerate(screens):
        shot, text = case.picture(), "{}\n\n{{\"step\": {}}}".format("** Screen Info **" if step else task, step)
        prompt = server.http.post("/tokenize", json={"model": MODEL, "messages": agent.messages + [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_url(shot)}},
                                         {"type": "text", "text": text}]}]}).json()["tokens"]

        def take():
            hits = server.metric("vllm:prefix_cache_hits_total")
            said = agent.step(text, shot)
            return server.metric("vllm:prefix_cache_hits_total") - hits, said

        shared = next((i for i, (a, b) in enumerate(zip(before, prompt)) if a != b), 0)
        yield prompt, shared, prompt.index(picture), take
        before = prompt


def whole_blocks(tokens):
    return tokens // 16 * 16


def test_a_step_of_an_agent_computes_what_is_new_and_nothing_else(servers):
    """The client takes the last picture out of its history, so that a prompt is that of the step before up to the turn
    that held it; whole blocks are found again."""
    shared_of_steps = []
    for step, (prompt, shared, _, take) in enumerate(agents_steps(servers["demo-no-prefill-ahead"])):
        found, _ = take()
        assert found == whole_blocks(shared) and (step == 0 or shared > 400), (step, found, shared, len(prompt))
        shared_of_steps.append(shared)
    # History grows by each step's words, and with it what is found.
    assert shared_of_steps == sorted(shared_of_steps)
    assert servers["demo-no-prefill-ahead"].metric("martlet:prefill_ahead_tokens_total") == 0


def test_an_agents_next_turn_is_prefilled_while_the_phone_acts(servers):
    """All that stands before the new picture is computed when it comes, the words of the step before among it; what is
    said is the same to the letter."""
    server = servers["demo"]
    ahead, hits = "martlet:prefill_ahead_tokens_total", "martlet:prefill_ahead_hit_tokens_total"
    computed, found_ahead, said = server.metric(ahead), server.metric(hits), []
    computed_before = computed
    for step, (_, shared, known, take) in enumerate(agents_steps(server)):
        if step > 0:
            computed += whole_blocks(known) - whole_blocks(shared)
            deadline = time.monotonic() + 10
            while server.metric(ahead) < computed and time.monotonic() < deadline:
                time.sleep(0.01)
            assert server.metric(ahead) == computed and known > shared + 32, (step, known, shared, said)
        found, words = take()
        assert found == (whole_blocks(known) if step else 0)
        said.append(words)
    assert len(said) == 5 and said[-1][1].startswith("finish(")
    server.wait_idle()
    # Each of these tokens was found by the step that it was meant for, and nothing is to come after the last.
    assert server.metric(ahead) == computed and server.metric(hits) - found_ahead == computed - computed_before
    assert said == [take()[1] for *_, take in agents_steps(servers["demo-no-prefill-ahead"])]
