"""The request of the user's page, word for word, and that what comes back is language."""

import re

import pytest

from conftest import users_page


@pytest.mark.parametrize("streaming", [True, False])
def test_invoke_on_the_tiny_checkpoint(tiny, streaming):
    message = users_page(tiny, streaming).invoke("你是谁?")
    assert isinstance(message.content, str)
    assert message.response_metadata["finish_reason"] in ("stop", "length")
    assert message.response_metadata["model_name"] == "autoglm-phone-9b"


@pytest.mark.parametrize("streaming", [True, False])
def test_invoke_on_smollm2(smollm2, streaming):
    message = users_page(smollm2, streaming).invoke("你是谁?")
    assert message.content.strip(), message
    assert message.response_metadata["finish_reason"] in ("stop", "length")
    # A trained model speaks; it does not stutter one token or bytes.
    assert "\ufffd" not in message.content
    assert len(set(message.content.split())) > 3 or re.search(r"[\u4e00-\u9fff]{4}", message.content), message.content


def test_smollm2_streams_sane_english(smollm2):
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(model="autoglm-phone-9b", temperature=0, base_url=smollm2.url, api_key="EMPTY", max_tokens=48)
    pieces = [chunk.content for chunk in chat.stream("What is the capital of France? Answer in one sentence.")]
    text = "".join(pieces)
    assert "Paris" in text, text
    words = re.findall(r"[A-Za-z]+", text)
    assert len(words) >= 4 and len("".join(words)) > 0.6 * len(text), text
    assert sum(1 for piece in pieces if piece) >= 4, pieces


def test_the_true_model_stands_behind_the_alias(tiny, smollm2):
    import openai

    for server, root in ((tiny, "tiny-glm4v"), (smollm2, "SmolLM2")):
        models = openai.OpenAI(base_url=server.url, api_key="EMPTY").models.list().data
        assert models[0].id == "autoglm-phone-9b"
        assert root.lower() in models[0].root.lower(), models[0]
        assert models[0].max_model_len == (4096 if server is tiny else 256)
    card = openai.OpenAI(base_url=tiny.url, api_key="EMPTY").models.retrieve("glm-tiny")
    assert card.id == "glm-tiny"
