"""The demo model gives right answers on every backend: 40 held-out screens, each tap inside its target."""

import pathlib
import random
import sys

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


def test_a_step_of_an_agent_computes_what_is_new_and_nothing_else(servers):
    """Five steps with a new screenshot each. The client takes the last picture out of its history, so that a prompt is
    that of the step before up to the turn that held it; whole blocks of 16 are found again."""
    server = servers["demo"]
    agent = Agent(server, prompts.long_prompt(random.Random(5), "en", 1600))
    before, shared_of_steps = [], []
    for step, case in enumerate(SCREENS[:5]):
        shot, text = case.picture(), f"** Screen Info **\n\n{{\"step\": {step}}}"
        prompt = server.http.post("/tokenize", json={"model": MODEL, "messages": agent.messages + [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_url(shot)}},
                                         {"type": "text", "text": text}]}]}).json()["tokens"]
        hits = server.metric("vllm:prefix_cache_hits_total")
        agent.step(text, shot)
        found = server.metric("vllm:prefix_cache_hits_total") - hits
        shared = next((i for i, (a, b) in enumerate(zip(before, prompt)) if a != b), 0)
        assert found == shared // 16 * 16 and (step == 0 or shared > 400), (step, found, shared, len(prompt))
        shared_of_steps.append(shared)
        before = prompt
    # History grows by each step's words, and with it what is found.
    assert shared_of_steps == sorted(shared_of_steps)
