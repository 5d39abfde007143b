"""What Open-AutoGLM's client does (API.md 3.1, 3.2): its requests, its history, its marker parser."""

import ast
import time

import openai

from pictures import data_url
from server import MODEL

SYSTEM = """今天的日期是: 2026年11月23日 星期一
You operate a phone. Answer with <think>{reason}</think> and <answer>{action}</answer>.
Actions: do(action="Tap", element=[x,y]), do(action="Back"), finish(message="...")."""

MARKERS = ("finish(message=", "do(action=")


class Agent:
    """One conversation: a screenshot in, thoughts and an action out."""

    def __init__(self, server, system=SYSTEM):
        self.client = openai.OpenAI(base_url=server.url, api_key="EMPTY", timeout=30)
        self.messages = [{"role": "system", "content": system}]

    def preflight(self):
        return self.client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hi"}], max_tokens=5, temperature=0, stream=False)

    def step(self, text, shot, **more):
        self.messages.append({"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": data_url(shot)}}, {"type": "text", "text": text},
        ]})
        thoughts, action, self.times = self.ask(**more)
        # The picture is gone from history, the text stays a list, the answer is put together again.
        self.messages[-1]["content"] = [p for p in self.messages[-1]["content"] if p["type"] == "text"]
        self.messages.append({"role": "assistant", "content": f"<think>{thoughts}</think><answer>{action}</answer>"})
        return thoughts, action

    def ask(self, **more):
        start = time.monotonic()
        stream = self.client.chat.completions.create(
            model=MODEL, messages=self.messages, max_tokens=3000, temperature=0.0, top_p=0.85, frequency_penalty=0.2,
            extra_body=more, stream=True)
        raw, first = "", None
        for chunk in stream:
            if not chunk.choices or chunk.choices[0].delta.content is None:
                continue
            first = first or time.monotonic() - start
            raw += chunk.choices[0].delta.content
            self.finish_reason = chunk.choices[0].finish_reason
        return *self.parse(raw), (first, time.monotonic() - start)

    @staticmethod
    def parse(raw):
        """(thoughts, action): cut at the first marker; without one all of it is the action."""
        for marker in MARKERS:
            if marker in raw:
                at = raw.index(marker)
                return raw[:at].strip(), raw[at:]
        if "<answer>" in raw:
            thoughts, action = raw.split("<answer>", 1)
            return thoughts.replace("<think>", "").replace("</think>", "").strip(), action.replace("</answer>", "")
        return "", raw


def parse_action(text):
    """As the client reads an action: fixed cuts for finish, Python's own parser for do."""
    text = text.strip()
    if text.startswith("finish"):
        return {"finish": text.replace("finish(message=", "")[1:-2]}
    call = ast.parse(text, mode="eval").body
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
