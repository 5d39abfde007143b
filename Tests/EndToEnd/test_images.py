"""Pictures: every format, any place and number, the official string form, and pictures too large for the context."""

import openai
import pytest

from conftest import client_of
from pictures import data_url, image_part, image_tokens, picture, screenshot, text_part
from server import MODEL


def ask(client, content, **fields):
    fields = {"max_tokens": 4, "temperature": 0, "extra_body": {"ignore_eos": True}, **fields}
    return client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], **fields)


def text_tokens(server, text):
    return server.http.post("/tokenize", json={"prompt": text, "add_special_tokens": False}).json()["count"]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_formats(client, tiny, format):
    answer = ask(client, [image_part(picture(168, 112), format), text_part("what?")])
    # [gMASK] <sop> <|user|> newline, begin, the image, end, the text, <|assistant|> newline
    assert answer.usage.prompt_tokens == 4 + 2 + 24 + text_tokens(tiny, "what?") + 2
    assert answer.usage.completion_tokens == 4


@pytest.mark.parametrize("size", [(100, 150), (30, 20), (14, 14), (112, 56), (150, 3), (336, 336)])
def test_token_counts_follow_the_reference(client, tiny, size):
    answer = ask(client, [image_part(picture(*size)), text_part("x")])
    assert answer.usage.prompt_tokens == 4 + 2 + image_tokens(*size) + 1 + 2
    assert answer.usage.prompt_tokens_details.model_dump()["multimodal_tokens"] == image_tokens(*size)


def test_order_and_number_matter(client):
    first, second, text = image_part(picture(112, 112)), image_part(picture(112, 112, 60)), text_part("which?")
    orders = [[first, second, text], [second, first, text], [text, first, second], [first, text, second], [first, text]]
    logprobs = []
    for content in orders:
        answer = ask(client, content, logprobs=True, top_logprobs=3)
        logprobs.append(tuple(token.logprob for token in answer.choices[0].logprobs.content))
    assert len(set(logprobs)) == len(orders), logprobs
    again = ask(client, orders[0], logprobs=True, top_logprobs=3)
    assert tuple(token.logprob for token in again.choices[0].logprobs.content) == logprobs[0]


def test_string_content_format_is_one_newline_more(client, servers):
    content = [image_part(picture(112, 112)), text_part("which?")]
    plain = ask(client, content).usage.prompt_tokens
    assert ask(client_of(servers["string-format"]), content).usage.prompt_tokens == plain + 1
    # The placeholder goes in front whatever the order, so the other order costs the same.
    assert ask(client_of(servers["string-format"]), content[::-1]).usage.prompt_tokens == plain + 1
    assert ask(client, content[::-1]).usage.prompt_tokens == plain


def test_langchain_image_blocks(tiny):
    from langchain_core.messages import HumanMessage
    from langchain_openai import ChatOpenAI

    encoded = data_url(picture(112, 112)).split(",")[1]
    chat = ChatOpenAI(model=MODEL, base_url=tiny.url, api_key="EMPTY", temperature=0, max_tokens=4)
    message = chat.invoke([HumanMessage(content=[
        {"type": "text", "text": "which?"}, {"type": "image", "base64": encoded, "mime_type": "image/png"},
    ])])
    assert message.usage_metadata["input_tokens"] == 4 + 2 + 16 + text_tokens(tiny, "which?") + 2


def test_a_screenshot_beyond_the_context_is_fitted(servers):
    server = servers["short-context"]
    shot = screenshot(1080, 2400)
    answer = client_of(server).chat.completions.with_raw_response.create(
        model=MODEL, max_tokens=4, temperature=0,
        messages=[{"role": "user", "content": [image_part(shot), text_part("tap")]}])
    assert answer.status_code == 200
    assert "1080x2400->" in answer.headers["x-martlet-image-fit"]
    usage = answer.parse().usage
    assert usage.prompt_tokens + 4 <= 1024 < image_tokens(1080, 2400)
    assert server.metric("martlet:images_fitted_total") == 1
    server.wait_idle()


def test_a_screenshot_that_would_lose_its_text_is_refused(servers):
    """Below a quarter of its tokens nobody could read it."""
    assert image_tokens(1440, 3200) > 4 * 1024
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client_of(servers["short-context"]), [image_part(screenshot(1440, 3200)), text_part("tap")])
    assert caught.value.param == "input_tokens" and "maximum context length is 1024" in caught.value.message


def test_a_picture_that_fits_is_left_alone(client):
    answer = client.chat.completions.with_raw_response.create(
        model=MODEL, max_tokens=4,
        messages=[{"role": "user", "content": [image_part(picture(112, 112)), text_part("tap")]}])
    assert "x-martlet-image-fit" not in answer.headers


def test_the_second_look_is_cached(client, tiny):
    hits = tiny.metric("vllm:mm_cache_hits_total")
    content = [image_part(picture(224, 224, 3)), text_part("look")]
    first, second = ask(client, content), ask(client, content)
    assert first.usage.prompt_tokens_details.cached_tokens < 16
    # All whole blocks but what the last token needs.
    assert second.usage.prompt_tokens_details.cached_tokens >= 64
    assert second.choices[0].message.content == first.choices[0].message.content
    third = ask(client, [text_part("again"), *content])
    assert third.usage.prompt_tokens_details.cached_tokens < 16
    assert tiny.metric("vllm:mm_cache_hits_total") > hits


BROKEN = {
    "not base64": ("data:image/png,abc", openai.APIStatusError, 501),
    "bad base64": ("data:image/png;base64,@@@@", openai.BadRequestError, 400),
    "not an image": ("data:image/png;base64,aGVsbG8gd29ybGQ=", openai.BadRequestError, 400),
    "cut": (data_url(picture(112, 112))[:600], openai.BadRequestError, 400),
    "network": ("http://127.0.0.1:9/a.png", openai.BadRequestError, 400),
    "file": ("file:///etc/hostname", openai.BadRequestError, 400),
    "scheme": ("gopher://127.0.0.1/a.png", openai.BadRequestError, 400),
    "too many pixels": (data_url(screenshot(9000, 6000)), openai.BadRequestError, 400),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_pictures(client, case):
    url, error, status = BROKEN[case]
    with pytest.raises(error) as caught:
        ask(client, [{"type": "image_url", "image_url": {"url": url}}, text_part("x")])
    assert caught.value.status_code == status
    assert caught.value.body["code"] == status and caught.value.body["message"]


def test_too_many_pictures(client):
    part = image_part(picture(28, 28))
    with pytest.raises(openai.BadRequestError, match="At most 16 image"):
        ask(client, [part] * 17)


def test_pictures_for_a_text_model(smollm2):
    with pytest.raises(openai.BadRequestError, match="is not a multimodal model"):
        ask(client_of(smollm2), [image_part(picture(28, 28)), text_part("x")])
