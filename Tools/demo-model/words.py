"""The small language of the demo model: what is drawn, what is asked, what is answered (Chinese and English)."""

import random

# English name: Chinese name and the colour's middle.
COLOURS = {
    "red": ("红色", (222, 40, 40)), "orange": ("橙色", (246, 140, 20)), "yellow": ("黄色", (246, 216, 40)),
    "green": ("绿色", (40, 170, 70)), "cyan": ("青色", (30, 196, 204)), "blue": ("蓝色", (40, 90, 226)),
    "purple": ("紫色", (132, 60, 190)), "pink": ("粉色", (246, 130, 184)),
}
SHAPES = {
    "circle": "圆形", "square": "方块", "triangle": "三角形", "star": "星形", "diamond": "菱形", "cross": "十字",
    "ring": "圆环", "heart": "心形",
}
LETTERS = {f"letter {letter}": f"字母{letter}" for letter in "ABEHKMRSTX"}
WIDGETS = {"switch": "开关", "button": "按钮"}
# Drawn without a colour of their own.
PLAIN = {"search box": "搜索框", "back arrow": "返回箭头"}
KINDS = {**SHAPES, **LETTERS, **WIDGETS, **PLAIN}

COLOUR_NAMES = list(COLOURS)
KIND_NAMES = list(KINDS)

APPS = [
    ("微信", "WeChat"), ("淘宝", "Taobao"), ("京东", "JD"), ("美团", "Meituan"), ("抖音", "Douyin"), ("地图", "Maps"),
    ("设置", "Settings"), ("相机", "Camera"), ("日历", "Calendar"), ("音乐", "Music"), ("浏览器", "Browser"),
    ("邮件", "Mail"),
]
TEXTS = ["hello", "weather", "coffee", "pizza", "music", "news", "天气", "咖啡", "你好", "新闻", "电影", "酒店"]

TAP = {
    "zh": ["点击{}", "点一下{}", "请点击{}", "帮我点{}", "按一下{}", "点{}", "请帮我点击{}", "点击屏幕上的{}"],
    "en": ["tap the {}", "Tap the {}", "click the {}", "Click on the {}", "press the {}", "Please tap the {}",
           "tap on the {}", "touch the {}"],
}

# What is asked and answered without looking: (questions, thought, action).
FIXED = {
    "zh": [
        (["返回", "返回上一页", "回到上一页", "后退"], "返回上一页。", 'do(action="Back")'),
        (["回到桌面", "回主屏幕", "返回桌面", "回到主页"], "回到桌面。", 'do(action="Home")'),
        (["等一下", "等待加载", "等待两秒", "页面还在加载，等一下"], "等待页面加载。",
         'do(action="Wait", duration="2 seconds")'),
        (["向上滑动", "上滑", "往上滑一下"], "向上滑动。", 'do(action="Swipe", start=[500,700], end=[500,300])'),
        (["向下滑动", "下滑", "往下滑一下"], "向下滑动。", 'do(action="Swipe", start=[500,300], end=[500,700])'),
        (["向左滑动", "左滑", "往左滑一下"], "向左滑动。", 'do(action="Swipe", start=[800,500], end=[200,500])'),
        (["向右滑动", "右滑", "往右滑一下"], "向右滑动。", 'do(action="Swipe", start=[200,500], end=[800,500])'),
        (["任务完成了", "已经完成，结束任务", "结束任务"], "任务完成。", 'finish(message="任务已完成")'),
    ],
    "en": [
        (["go back", "Go back", "return to the previous page"], "Go back.", 'do(action="Back")'),
        (["go home", "Go to the home screen", "go to the home screen"], "Go home.", 'do(action="Home")'),
        (["wait", "Wait a moment", "wait for the page"], "Wait for the page.",
         'do(action="Wait", duration="2 seconds")'),
        (["swipe up", "Swipe up", "scroll up"], "Swipe up.",
         'do(action="Swipe", start=[500,700], end=[500,300])'),
        (["swipe down", "Swipe down", "scroll down"], "Swipe down.",
         'do(action="Swipe", start=[500,300], end=[500,700])'),
        (["swipe left", "Swipe left"], "Swipe left.", 'do(action="Swipe", start=[800,500], end=[200,500])'),
        (["swipe right", "Swipe right"], "Swipe right.", 'do(action="Swipe", start=[200,500], end=[800,500])'),
        (["the task is done", "Finish the task", "finish"], "The task is done.", 'finish(message="Task done")'),
    ],
}

IDENTITY = {
    "zh": (["你是谁?", "你是谁？", "你是谁", "你叫什么名字？", "介绍一下你自己", "你是什么模型？", "请介绍一下自己"],
           "用户问我是谁。", "我是autoglm-phone-tiny，为Martlet训练的小型演示模型，不是9B模型。"),
    "en": (["Who are you?", "who are you?", "Who are you", "What is your name?", "Introduce yourself.",
            "What model are you?", "Are you AutoGLM-Phone-9B?"],
           "The user asks who I am.",
           "I am autoglm-phone-tiny, a small demonstration model trained for Martlet, not the 9B model."),
}
GREETING = {
    "zh": (["你好", "你好！", "您好", "嗨"], "用户打招呼。", "你好！给我一张手机截图，我来点击。"),
    "en": (["Hi", "hi", "Hello", "hello", "Hey"], "A greeting.", "Hello! Give me a phone screenshot and I tap."),
}

SYSTEMS = [
    "今天的日期是: 2026年11月23日 星期一\n你是一个智能体分析专家，可以根据操作历史和当前状态图执行一系列操作来完成任务。\n"
    "你必须严格按照要求输出以下格式：\n<think>{think}</think>\n<answer>{action}</answer>\n",
    "你是手机助手。看截图，回答下一步操作。",
    "你是一个手机操作助手，请根据截图输出一个动作。坐标范围是0到999。可用动作：Launch, Tap, Type, Swipe, Back, Home, Wait, finish。",
    "The current date: 2026-11-23\nYou are a professional Android operation agent. Look at the screenshot and answer "
    "with one action: Launch, Tap, Type, Swipe, Back, Home, Wait or finish. Coordinates go from 0 to 999.",
    "You are a phone agent. Answer with one action.",
    "You are a helpful assistant.",
]


def phrase(language, colour, kind):
    """`红色的圆形`, `red circle`; either part may be missing."""
    if language == "zh":
        if kind is None:
            return COLOURS[colour][0] + random.choice(["的图标", "的那个"])
        if colour is None:
            return KINDS[kind]
        suffix = "按钮" if kind in SHAPES and random.random() < 0.2 else ""
        return COLOURS[colour][0] + random.choice(["的", "的", ""]) + KINDS[kind] + suffix
    if kind is None:
        return colour + random.choice([" one", " icon"])
    if colour is None:
        return kind
    suffix = random.choice([" button", " icon"]) if kind in SHAPES and random.random() < 0.2 else ""
    return f"{colour} {kind}{suffix}"


def reply(thought, action):
    return f"<think>{thought}</think><answer>{action}</answer>"


def tap_reply(language, thing, centre):
    """The answer that taps `thing` (a drawn object) at `centre` (0...999 twice)."""
    name = KINDS[thing["kind"]] if language == "zh" else thing["kind"]
    colour = thing["colour"]
    if language == "zh":
        thought = f"点击{COLOURS[colour][0] if colour else ''}{name}。"
    else:
        thought = f"Tap the {colour + ' ' if colour else ''}{name}."
    return reply(thought, f'do(action="Tap", element=[{centre[0]},{centre[1]}])')


def centre_of(thing):
    x0, y0, x1, y1 = thing["box"]
    return [min(999, max(0, int((low + high) * 500))) for low, high in ((x0, x1), (y0, y1))]


def question_about(thing, things, rng, language=None):
    """A question that only `thing` answers: (language, question)."""
    language = language or rng.choice(["zh", "en"])
    colour, kind = thing["colour"], thing["kind"]
    dice = rng.random()
    if colour and dice < 0.2 and sum(other["kind"] == kind for other in things) == 1:
        colour = None
    elif colour and dice > 0.93 and sum(other["colour"] == colour for other in things) == 1:
        kind = None
    return language, rng.choice(TAP[language]).format(phrase(language, colour, kind))


def unseen_action(rng):
    """A question that needs no look at the screen, and its reply."""
    language = rng.choice(["zh", "en"])
    dice = rng.random()
    if dice < 0.3:
        app = rng.choice(APPS)[0 if language == "zh" else 1]
        if language == "zh":
            return rng.choice(["打开{}", "启动{}", "请打开{}", "打开{}应用"]).format(app), \
                reply(f"打开{app}。", f'do(action="Launch", app="{app}")')
        return rng.choice(["open {}", "Open {}", "launch {}", "Launch {}"]).format(app), \
            reply(f"Open {app}.", f'do(action="Launch", app="{app}")')
    if dice < 0.5:
        text = rng.choice(TEXTS)
        if language == "zh":
            return rng.choice(["输入{}", "请输入{}", "输入文字{}"]).format(text), \
                reply(f"输入{text}。", f'do(action="Type", text="{text}")')
        return rng.choice(["type {}", "Type {}", "enter {}"]).format(text), \
            reply(f"Type {text}.", f'do(action="Type", text="{text}")')
    questions, thought, action = rng.choice(FIXED[language])
    return rng.choice(questions), reply(thought, action)
