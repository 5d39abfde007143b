#!/usr/bin/env python3
"""Renders chat templates with the reference's Jinja and writes Tests/MartletTextTests/Fixtures/templates.json.

Usage: template_fixtures.py [OUTPUT]      needs: transformers, jinja2 (PyPI)

The environment is the one transformers' apply_chat_template compiles with. A case is a template, its variables and
the text it renders to, or `"error": true` where the reference refuses. All templates here are our own.
"""
import json
import pathlib
import sys

from transformers.utils.chat_template_utils import _cached_compile_jinja_template as compile_template

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "Tests/MartletTextTests/Fixtures/templates.json"

HELLO = [
    {"role": "system", "content": "SYS"},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "<think>hm\n</think>\n<answer>do(action=\"Back\")</answer>"},
    {"role": "user", "content": "  次へ 👍🏽 e\u0301  "},
]
TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Weather \"now\" in <city> & more",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "東京"}, "days": {"type": "integer", "default": 3}}}}},
    {"type": "function", "function": {"name": "noop", "parameters": {"type": "object", "properties": {}}}},
]
CALLS = [
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "get_weather", "arguments": {"city": "東京", "days": 2}}}]},
    {"role": "tool", "name": "get_weather", "content": "{\"t\": 21.5}"},
    {"role": "tool", "content": "second"},
    {"role": "assistant", "content": "21.5", "reasoning_content": "look"},
    {"role": "user", "content": [{"type": "text", "text": "thanks"}, {"type": "image"}, "plain"]},
]
VALUES = {
    "n": None, "t": True, "f": False, "i": 7, "z": 0, "neg": -7, "x": 2.5, "big": 1e16, "tiny": 1e-5,
    "s": "Hello, World", "empty": "", "l": [3, 1, 2], "words": ["b", "A", "c", "a"],
    "d": {"b": 1, "a": [1, {"k": "v"}], "C": None}, "quote": "it's \"q\" \\ \n\t\u0001\u00a0é👍",
    "nl": "one\ntwo\r\nthree\n", "pad": " \t x y \n", "mixed": "日本e\u0301ß",
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25, "tags": []},
               {"name": "Cy", "age": 30, "tags": ["y", "z"]}], "nested": [[1, 2], [3, [4, 5]]],
}

LAYOUTS = [
    "a\n{% if true %}\n  b\n{% endif %}\nc\n", "  {% if true %}x{% endif %}  \n",
    "a {%- if true -%} b {%- endif -%} c", "{%+ if true %}x{%+ endif %}",
    "  {%+ if true +%}\nx\n  {%- endif +%}\ny", "a\n\n{{- 1 -}}\n\nb", "{# note #}\nx {#- y -#} z",
    "  {# note #}  \nx", "x\n\n", "x\n\n\n", "\r\nx\ry\r\n", "{% raw %}{{ x }}{% endraw %}",
    "  {% raw %}\n {{ x }} {%- endraw %}\n z", "{%- raw -%}  a {% b %} {%- endraw -%}  z", "{{ '{{' }}{{ '%}' }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}", "\t{% set a = 1 %}\t\n\t{{ a }}",
    "{% for i in range(3) %}\n  {{ i }}\n{% endfor %}\nend",
    "{% for i in range(3) -%}\n  {{ i }}\n{%- endfor %}\nend", "x{% if true %}\n\ny{% endif %}",
    "{{ 1 }}\n  {% if true %}\n{{ 2 }}{% endif %}", "a{{ ' b ' }}{%- if true %} c {% endif -%} d", "", "\n",
    "{% if true %}{% endif %}\n\n", "a {{+ 1 }} b",
]

EXPRESSIONS = [
    "1 + 2 * 3 - 4", "7 // 2", "-7 // 2", "7 % 3", "-7 % 3", "7 % -3", "7 / 2", "6 / 3", "2 ** 10", "2 ** -1",
    "1.5 + 1", "7.5 // 2", "-7.5 % 2", "1e3", "1_000", "0.1 + 0.2", "1e16", "1.0", "100000000000000000000.0", "big",
    "tiny", "x", "-x", "+i", "- -i", "-2 | abs", "2 * 'ab'", "'ab' * 3", "[1] * 2 + [2]", "(1, 2) + (3,)",
    "'a' 'b'", "'a' ~ 1 ~ none ~ true ~ 2.0", "'a' + 'b' ~ 'c'", "1 < 2 < 3", "1 < 3 < 2", "1 == 1.0", "true == 1",
    "'a' < 'b'", "[1, 2] < [1, 3]", "'1' == 1", "none == false", "[1, [2]] == [1, [2]]",
    "{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", "(1,) == [1]", "not 1 == 2", "not true or true", "false and x.y.z",
    "1 and 2", "0 or '' or 'z'", "none or false", "'a' in 'cat'", "'' in ''", "2 in l", "9 not in l", "'b' in d",
    "1 in d", "'x' in undefined_thing", "not 'a' in 'b'", "i if t else 2", "i if f", "1 if f else 2 if f else 3",
    "(1 if t else 2) + 1", "l[0]", "l[-1]", "l[9]", "l[1:]", "l[:-1]", "l[::-1]", "l[::2]", "l[-2:]", "l[5:]",
    "s[0]", "s[-1]", "s[0:5]", "s[::-1]", "s[7:]", "mixed[2:4]", "mixed | length", "mixed[::-1]", "d['b']", "d.b",
    "d.nope", "d['nope']", "d.a[1].k", "d.a[1]['k']", "d.a.1.k", "nested[1][1][0]", "(1, 2)[1]", "[1, 2, 3][1:][0]",
    "s.nope", "none", "None", "True", "false", "[]", "()", "(1,)", "{}", "[1, 'a', none, true, 2.5]",
    "{'a': [1, (2, 3)], 'b': {'c': 'd'}}", "d", "quote", "[quote]", "{quote: 1}", "['\\'']", "['\"']", "['\\'\"']",
    "'\\x41\\u00e9\\n\\q\\101'", "\"dq\\\"\"", "words", "people[0]", "undefined_thing",
    "[undefined_thing is defined]", "'%s-%d-%05.2f' % ('a', 3, 2.5)", "'%s' % 'x'", "'%5s|%-5s|' % ('a', 'b')",
    "'100%%' % ()", "'%(k)s' % {'k': 1}", "i.__class__", "s.upper", "t + t", "10 is divisibleby 5",
]
ERRORS = [
    "{{ undefined_thing.x }}", "{{ undefined_thing['x'] }}", "{{ undefined_thing() }}", "{{ undefined_thing + 1 }}",
    "{{ 'a' + 1 }}", "{{ [1] + 'a' }}", "{{ 1 // 0 }}", "{{ 1 < 'a' }}", "{{ raise_exception('no system role') }}",
    "{% for x in none %}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{{ 1 in 5 }}", "{{ 's' in none }}",
    "{{ l.append(4) }}", "{{ d.update({}) }}", "{% set d.x = 1 %}", "{{ range(1000000) }}", "{{ l | nofilter }}",
    "{{ l is notest }}", "{% if %}", "{% if x %}", "{% endif %}", "{{ x", "{% for %}{% endfor %}", "{{ 'abc }}",
    "{{ (1 }}", "{{ 1 }", "{% nosuchtag %}", "{{ 1 +}}", "{# open", "{% break %}",
    "{% macro m(a, a=1, b) %}{% endmacro %}", "{{ s.split('') }}", "{{ none.x.y }}", "{{ 5[0:1] }}",
    "{% set a, b = [1, 2, 3] %}", "{{ {[1]: 2} }}", "{{ none | length }}",
    "{% set ns = namespace() %}{% set ns._x = 1 %}", "{{ x is string is string }}", "{% raw %}",
    "{{ strftime_now() }}", "{{ a b }}", "{{ 1 | }}", "{{ .5 }}", "{{ undefined_thing < 1 }}",
]
FILTERS = [
    "l | length", "s | length", "d | length", "l | first", "l | last", "[] | first", "s | upper", "s | lower",
    "'hello wORLD-foo (bar)' | title", "'hELLO' | capitalize", "pad | trim", "'xxaxx' | trim('x')",
    "s | replace('o', '0')", "s | replace('l', 'L', 2)", "i | string ~ 1", "quote | string", "s | list", "d | list",
    "l | sort", "words | sort", "words | sort(case_sensitive=true)", "words | sort(reverse=true)",
    "people | sort(attribute='age') | map(attribute='name') | join(',')", "people | map(attribute='name') | list",
    "people | map(attribute='tags.0', default='-') | list", "words | map('upper') | join",
    "l | map('string') | join('-')", "l | join(', ')", "people | join('/', attribute='name')",
    "l | select('odd') | list", "l | reject('odd') | list", "[0, 1, none, ''] | select | list",
    "people | selectattr('age', 'equalto', 30) | map(attribute='name') | list",
    "people | rejectattr('tags') | map(attribute='name') | list", "people | selectattr('tags') | list | length",
    "people | selectattr('age', '>', 26) | list | length", "people | selectattr('nope', 'defined') | list",
    "undefined_thing | default('x')", "empty | default('x')", "empty | default('x', true)", "none | default('x')",
    "none | default('x', boolean=true)", "undefined_thing | d", "d | items | list", "d | dictsort",
    "d | dictsort(by='value') | length if f else 'skip'", "{'b': 2, 'a': 1} | dictsort",
    "{'b': 1, 'a': 2} | dictsort(by='value')", "l | reverse | list", "s | reverse", "l | sum", "l | max", "l | min",
    "[] | max", "people | sum(attribute='age')", "[1, 1, 2, 'a', 'A'] | unique | list",
    "people | groupby('age') | map('first') | list", "[1, 2, 3, 4, 5] | batch(2) | list",
    "[1, 2, 3] | batch(2, 0) | list", "'3' | int", "'x' | int", "'x' | int(5)", "3.9 | int", "-3.9 | int",
    "'2.5' | float", "'x' | float", "2.567 | round(2)", "2.5 | round", "3.5 | round", "2.1 | round(method='ceil')",
    "2.9 | round(0, 'floor')", "7 | round", "'ff' | int(base=16)", "-3 | abs", "-3.5 | abs", "nl | indent",
    "nl | indent(2, true)", "'a\n\nb' | indent(2, blank=true)", "'a b  c-d' | wordcount", "'<a & \"b\">' | escape",
    "'<a>' | e", "'<a>' | safe", "'%s and %s' | format(1, 'b')", "d | attr('b')", "l | count",
    "undefined_thing | length", "undefined_thing | list", "none | selectattr('x') | list",
    "0 | map('upper') | list", "undefined_thing | join(',')", "undefined_thing | upper",
    "s | upper | lower | title", "d | tojson", "quote | tojson", "l | tojson(indent=2)", "d | tojson(indent=4)",
    "{} | tojson(indent=2)", "{'b': 1, 'a': 2} | tojson(sort_keys=true)", "d | tojson(separators=(',', ':'))",
    "[1, [], {}] | tojson(indent=1)", "'日本👍' | tojson(ensure_ascii=true)",
    "[1.0, 1e16, 0.1, true, none] | tojson",
    "{1: 2, none: 3, true: 4, 1.5: 5} | tojson", "'</script>' | tojson", "(1, 2) | tojson", "tools | tojson",
    "tools[0] | tojson(indent=4)", "x | tojson",
]
TESTS = [
    "n is none", "undefined_thing is defined", "n is defined", "s is string", "l is string", "l is iterable",
    "s is iterable", "i is iterable", "d is mapping", "l is mapping", "l is sequence", "s is sequence",
    "d is sequence", "i is number", "t is number", "x is number", "t is boolean", "i is integer", "t is integer",
    "x is float", "i is odd", "i is even", "4 is divisibleby(2)", "i is not none", "t is true", "f is false",
    "1 is true", "s is upper", "'ABC' is upper", "'abc' is lower", "2 is in [1, 2]", "2 is in([1, 2])",
    "'a' is eq 'a'", "1 is ne 2", "1 is lt 2", "2 is ge(2)", "i is defined and i is number",
    "undefined_thing is undefined", "not undefined_thing is defined", "none is sameas none", "range is callable",
    "s is callable", "'upper' is filter", "l is not mapping or f", "x is string or x is number",
    "people is sequence and people is not mapping and people is not string",
]
METHODS = [
    "s.upper()", "s.lower()", "s.split(', ')", "s.split('o', 1)", "pad.split()", "'a b c'.split(None, 1)",
    "s.rsplit('o', 1)", "pad.strip()", "pad.lstrip()", "pad.rstrip()", "'xyaxy'.strip('yx')",
    "'</think>x'.lstrip('\n')", "s.startswith('Hell')", "s.endswith('ld')", "s.startswith(('x', 'He'))",
    "s.replace('l', '')", "s.replace('l', 'LL', 1)", "'ab'.replace('', '-')", "s.find('o')", "s.find('zz')",
    "s.rfind('o')", "s.index('W')", "s.count('o')", "mixed.find('ß')", "'-'.join(words)", "s.title()",
    "'they\\'re x'.title()", "s.capitalize()", "'12'.isdigit()", "''.isdigit()", "'ab'.isalpha()", "'a1'.isalnum()",
    "' '.isspace()", "'AB'.isupper()", "nl.splitlines()", "nl.splitlines(true)", "'abc'.removeprefix('a')",
    "'abc'.removesuffix('bc')", "'a=b=c'.partition('=')", "'a=b=c'.rpartition('=')", "'7'.zfill(3)",
    "'-7'.zfill(4)", "'a'.ljust(3) ~ '|'", "'a'.rjust(3, '.')",
    "'{} {1} {k}'.format('a', 'b', k=3) if f else '{}-{}'.format(1, 'b')", "'{0}{k}{{}}'.format('a', k=1)",
    "d.items() | list", "d.keys() | list", "d.values() | list", "d.get('b')", "d.get('zz')", "d.get('zz', 5)",
    "l.index(1)", "l.count(1)", "d.copy()", "s.split(', ')[0].lower()",
    "'<think>a</think>b'.split('</think>')[-1].lstrip('\n')",
    "'<think>a</think>b'.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n')", "dict(a=1, b=2)",
    "dict([('a', 1)], b=2)", "range(5) | list", "range(2, 8, 3) | list", "range(3, 0, -1) | list",
    "range(0) | list", "'ǆ'.title()", "'ß'.upper()", "'İ'.lower() | length",
]
STATEMENTS = [
    "{% for a in l %}"
    "{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}"
    "/{{ loop.last }}/{{ loop.length }} {% endfor %}",
    "{% for a in [] %}x{% else %}none{% endfor %}",
    "{% for a in l if a > 1 %}{{ loop.index }}:{{ a }} {% endfor %}",
    "{% for a in l if a > 5 %}x{% else %}no{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}", "{% for c in 'aé' %}[{{ c }}]{% endfor %}",
    "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a + b + c }}{% endfor %}",
    "{% for a in l %}{% if a == 1 %}{% continue %}{% endif %}{{ a }}{% endfor %}",
    "{% for a in l %}{% if a == 1 %}{% break %}{% endif %}{{ a }}{% endfor %}",
    "{% for a in l %}{{ loop.previtem }}<{{ a }}>{{ loop.nextitem }} {% endfor %}",
    "{% for a in l %}{{ loop.cycle('x', 'y') }}{% endfor %}",
    "{% for a in nested recursive %}{% if a is iterable %}({{ loop(a) }}){% else %}"
    "{{ a }}@{{ loop.depth }}{% endif %}{% endfor %}",
    "{% set x = 1 %}{% for a in l %}{% set x = a %}{% endfor %}{{ x }}",
    "{% for a in l %}{{ y }}{% set y = a %}{{ y }} {% endfor %}",
    "{% set ns = namespace(c=0, l=[]) %}{% for a in l %}{% set ns.c = ns.c + a %}"
    "{% set ns.l = ns.l + [a] %}{% endfor %}{{ ns.c }}{{ ns.l }}", "{% set x %}a{{ 1 }}b{% endset %}{{ x }}",
    "{% set x | upper %}abc{% endset %}{{ x }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}",
    "{% if f %}1{% elif z %}2{% elif t %}3{% else %}4{% endif %}", "{% if f %}1{% else %}4{% endif %}",
    "{% if t %}{% set q = 5 %}{% endif %}{{ q }}",
    "{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}"
    "{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m(1) | length }}",
    "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ later }}{% endmacro %}{% set later = 3 %}{{ m() }}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, k=3) }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in {{ i }}{% endcall %}",
    "{% macro m(v) %}{{ caller(v * 2) }}{% endmacro %}{% call(q) m(4) %}q={{ q }}{% endcall %}",
    "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aaa{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}",
    "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}", "a{% generation %}b{{ i }}{% endgeneration %}c",
    "{% generation %}{% set g = 1 %}{% endgeneration %}{{ g }}",
    "{% for a in l %}{% generation %}{{ a }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    "{% for a in l %}{% for b in l %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% set l2 = l | sort %}{{ l2 }}{{ l }}", "{{ l if l else 'none' }}{% if l and l[0] == 3 %}y{% endif %}",
    "{{ messages[0].content if messages is defined else 'no' }}", "{% set s = 'local' %}{{ s }}",
    "{% for p in people | sort(attribute='name') %}{{ p.name }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for age, ps in people | groupby('age') %}"
    "{{ age }}:{{ ps | map(attribute='name') | join('+') }} {% endfor %}",
    "{{ (people | first).name }}{{ people[-1]['tags'][::-1] }}",
    "{% set f = namespace(go=true) %}{% for a in l if f.go %}{{ a }}{% set f.go = false %}{% endfor %}",
    "{{ caller }}{{ loop }}",
    "{% macro a() %}1{% endmacro %}{% macro b() %}{{ a() }}2{% endmacro %}{{ b() ~ a() }}",
    "{% for x in range(3) %}{% set outer = x %}{% for y in range(2) %}{{ outer }}{{ y }} {% endfor %}{% endfor %}",
    "{% set ns = namespace(x=1) %}{% macro m() %}{% set ns.x = ns.x + 1 %}{% endmacro %}"
    "{{ m() }}{{ m() }}{{ ns.x }}",
    "{% if messages %}a{% endif %}{% if people and people[0].age is number %}b{% endif %}",
    "{% for m in [] %}{% endfor %}{% for k, v in {'a': 1}.items() %}{{ k ~ v }}{% endfor %}",
    "{{ ns.x if ns is defined }}", "{%- for a in l -%} {{ a }} {%- endfor -%}",
    "{% for a in l %}\n    {{- a }}\n{% endfor %}", "{{ '\\n' }}{{- 'x' }}\n",
    "{% set x = namespace() %}{% set x.y = 1 %}{{ x.y }}{{ x.z }}{{ x['y'] }}",
    "{{ l | map('int') | map('string') | list }}",
]


# Whole templates, in the manner of the families we meet.
CHATML = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are terse<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}
"""
HEADERS = """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{#- The system message comes first, or is empty. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|head|>system<|/head|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Tools: " }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|end|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n'+ message['content'] | trim + '<|end|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|head|>assistant<|/head|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|end|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|head|>ipython<|/head|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|end|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>\\n\\n' }}
{%- endif %}
"""
REASONING = """[gMASK]<sop>
{%- if tools -%}
<|system|>
# Tools
<tools>
{% for tool in tools %}
{{ tool | tojson(ensure_ascii=False) }}
{% endfor %}
</tools>{%- endif -%}
{%- macro visible_text(content) -%}
    {%- if content is string -%}
        {{- content }}
    {%- elif content is iterable and content is not mapping -%}
        {%- for item in content -%}
            {%- if item is mapping and item.type == 'text' -%}
                {{- item.text }}
            {%- elif item is mapping and (item.type == 'image' or 'image' in item) -%}
                <|begin_of_image|><|image|><|end_of_image|>
            {%- elif item is string -%}
                {{- item }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{- content }}
    {%- endif -%}
{%- endmacro -%}
{%- set ns = namespace(last_user_index=-1) %}
{%- for m in messages %}
    {%- if m.role == 'user' %}
        {% set ns.last_user_index = loop.index0 -%}
    {%- endif %}
{%- endfor %}
{% for m in messages %}
{%- if m.role == 'user' -%}<|user|>
{% set content = visible_text(m.content) %}{{ content }}
{{- '/nothink' if (enable_thinking is defined and not enable_thinking and not content.endswith("/nothink")) else '' -}}
{%- elif m.role == 'assistant' -%}
<|assistant|>
{%- set reasoning_content = '' %}
{%- set content = visible_text(m.content) %}
{%- if m.reasoning_content is string %}
    {%- set reasoning_content = m.reasoning_content %}
{%- else %}
    {%- if '</think>' in content %}
        {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
{%- endif %}
{%- if loop.index0 > ns.last_user_index and reasoning_content -%}
{{ '\\n<think>' + reasoning_content.strip() +  '</think>'}}
{%- else -%}
{{ '\\n<think></think>' }}
{%- endif -%}
{%- if content.strip() -%}
{{ '\\n' + content.strip() }}
{%- endif -%}
{% if m.tool_calls %}
{% for tc in m.tool_calls %}
{%- if tc.function %}
    {%- set tc = tc.function %}
{%- endif %}
{{ '\\n<tool_call>' + tc.name }}
{% set _args = tc.arguments %}
{% for k, v in _args.items() %}
<arg_key>{{ k }}</arg_key>
<arg_value>{{ v | tojson(ensure_ascii=False) if v is not string else v }}</arg_value>
{% endfor %}
</tool_call>{% endfor %}
{% endif %}
{%- elif m.role == 'tool' -%}
{%- if m.content is string -%}
{%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
    {{- '<|observation|>' }}
{%- endif %}
{{- '\\n<tool_response>\\n' }}
{{- m.content }}
{{- '\\n</tool_response>' }}
{%- endif -%}
{%- elif m.role == 'system' -%}
<|system|>
{{ visible_text(m.content) }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    <|assistant|>{{- '\\n<think></think>' if (enable_thinking is defined and not enable_thinking) else '' -}}
{%- endif -%}
"""
HERMES = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools>\\n\\n{\\"name\\": <function-name>}<|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string
            and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning = message.reasoning_content if message.reasoning_content is string else '' %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') }}
            {{- '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""
INSTRUCT = (
    "{{ bos_token }}{% set loop_messages = messages %}{% if messages[0]['role'] == 'system' %}"
    "{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}"
    "{% set system_message = false %}{% endif %}{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}"
    "{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}"
    "{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
SCHEMA = """{%- macro kind(spec, required) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}
            {{- kind(spec['items'], required) }}[]
        {%- else -%}any[]{%- endif -%}
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type[0] is defined -%}
        {{- spec.type | join(" | ") }}
    {%- elif spec.type == "string" -%}
        {%- if spec.enum -%}{{- '"' + spec.enum|join('" | "') + '"' -}}{%- else -%}string{%- endif -%}
    {%- elif spec.type in ["number", "integer"] -%}number
    {%- elif spec.type == "object" -%}
        {%- if spec.properties -%}
            {{- "{" -}}
            {%- for name, child in spec.properties.items() -%}
                {{- name -}}{%- if name not in (required or []) -%}{{- "?" }}{%- endif -%}{{- ": " -}}
                {{ kind(child, child.required or []) }}{%- if not loop.last -%}{{-", "}}{%- endif -%}
            {%- endfor -%}
            {{- "}" -}}
        {%- else -%}object{%- endif -%}
    {%- else -%}any{%- endif -%}
{%- endmacro -%}
{%- for tool in tools %}
    {%- set function = tool.function %}
{{ "type " + function.name + " = (_: " }}{{ kind(function.parameters, function.parameters.required) }}{{ ") => any;" }}
{% endfor %}
"""


def chats():
    """Whole conversations through whole templates."""
    for template in (CHATML, HEADERS, REASONING, HERMES, INSTRUCT):
        for messages in (HELLO, HELLO[1:2], HELLO[1:], CALLS, CALLS[:-1]):
            for extra in ({}, {"tools": TOOLS}, {"enable_thinking": False, "add_generation_prompt": False}):
                yield template, {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True,
                                 "bos_token": "<s>", "eos_token": "</s>", **extra}
    yield SCHEMA, {"tools": TOOLS}


def snippets():
    everything = {**VALUES, "tools": TOOLS}
    yield from ((text, everything) for text in LAYOUTS + STATEMENTS + ERRORS)
    yield from (("{{ " + text + " }}", everything) for text in EXPRESSIONS + FILTERS + TESTS + METHODS)


def rendered(template, variables):
    try:
        text = compile_template(template).render(**json.loads(json.dumps(variables)))
    except Exception:
        return {"error": True}
    # Python prints the address or the class of some objects: nothing to compare.
    unprintable = (" object at 0x", "<class", "<built-in", "dict_")
    return None if any(word in text for word in unprintable) else {"text": text}


def main():
    sets, cases = [], []
    for template, variables in [*snippets(), *chats()]:
        result = rendered(template, variables)
        if result is None:
            continue
        if variables not in sets:
            sets.append(variables)
        cases.append({"template": template, "variables": sets.index(variables), **result})
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    shared = ",\n".join(json.dumps(one, ensure_ascii=False) for one in sets)
    output.write_text(f'{{"variables": [\n{shared}\n],\n"cases": [\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {sum('error' in c for c in cases)} of them refused by the reference, in {output}")


if __name__ == "__main__":
    main()
