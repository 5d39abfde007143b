"""The small language of the demo model: what is drawn, what is asked, what is answered (Chinese and English)."""

import random

# Characters that prompts of phone agents use a lot: each becomes one token.
COMMON = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经"
    "么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三"
    "又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常"
    "先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场"
    "件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类"
    "求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运笔输搜索框滑返操请求按钮屏幕截图点击双长按拖拽桌应启等待"
    "秒载任务用户消息验证码登录支付确认取消店铺商品购车价格城市酒票查询列表页找到未成功失败错误检查步骤当前历史状态坐标范围左右角"
    "微淘宝京团抖音图置相日历乐浏览器邮启默认联系号码字母圆方块三角星菱十环心开粉红橙黄绿青蓝紫黑灰智专分析根据系列必须严格照"
)
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

COLOURED = [*SHAPES, *LETTERS, *WIDGETS]
COLOUR_NAMES = list(COLOURS)
KIND_NAMES = list(KINDS)

APPS = [
    ("微信", "WeChat"), ("淘宝", "Taobao"), ("京东", "JD"), ("美团", "Meituan"), ("抖音", "Douyin"), ("地图", "Maps"),
    ("设置", "Settings"), ("相机", "Camera"), ("日历", "Calendar"), ("音乐", "Music"), ("浏览器", "Browser"),
    ("邮件", "Mail"), ("小红书", "RedNote"), ("高德地图", "Amap"), ("支付宝", "Alipay"), ("哔哩哔哩", "Bilibili"),
    ("知乎", "Zhihu"), ("滴滴出行", "DiDi"), ("大众点评", "Dianping"), ("时钟", "Clock"), ("计算器", "Calculator"),
    ("相册", "Gallery"), ("天气", "Weather"), ("备忘录", "Notes"), ("电话", "Phone"), ("短信", "Messages"),
]
TEXTS = ["hello", "weather", "coffee", "pizza", "music", "news", "天气", "咖啡", "你好", "新闻", "电影", "酒店"]
SCREENS = ["System Home", "Chrome", "Unknown", "桌面"]

TAP = {
    "zh": ["点击{}", "点一下{}", "请点击{}", "帮我点{}", "按一下{}", "点{}", "请帮我点击{}", "点击屏幕上的{}", "选择{}",
           "点击{}。", "轻触{}"],
    "en": ["tap the {}", "Tap the {}", "click the {}", "Click on the {}", "press the {}", "Please tap the {}",
           "tap on the {}", "touch the {}", "select the {}", "Tap the {}.", "Click the {}"],
}
# What stands before each step of a task.
ORDER = {"zh": ["先", "再", "然后", "最后"], "en": ["first ", "then ", "next ", "finally "]}
DONE = {"zh": ("所有步骤都已完成。", 'finish(message="任务已完成")'),
        "en": ("All steps are done.", 'finish(message="Task done")')}

# What is asked and answered without looking: (questions, thought, action).
FIXED = {
    "zh": [
        (["返回", "返回上一页", "回到上一页", "后退"], "返回上一页。", 'do(action="Back")'),
        (["回到桌面", "回主屏幕", "返回桌面", "回到主页"], "回到桌面。", 'do(action="Home")'),
        (["等一下", "等待加载", "等待两秒", "页面还在加载"], "等待页面加载。",
         'do(action="Wait", duration="2 seconds")'),
        (["向上滑动", "上滑", "往上滑一下"], "向上滑动。", 'do(action="Swipe", start=[500,700], end=[500,300])'),
        (["向下滑动", "下滑", "往下滑一下"], "向下滑动。", 'do(action="Swipe", start=[500,300], end=[500,700])'),
        (["向左滑动", "左滑", "往左滑一下"], "向左滑动。", 'do(action="Swipe", start=[800,500], end=[200,500])'),
        (["向右滑动", "右滑", "往右滑一下"], "向右滑动。", 'do(action="Swipe", start=[200,500], end=[800,500])'),
        (["任务完成了", "可以结束任务了", "结束任务"], "任务完成。", 'finish(message="任务已完成")'),
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
           "用户问我是谁。", "我是autoglm-phone-tiny，Martlet的小型演示模型，不是9B模型。"),
    "en": (["Who are you?", "who are you?", "Who are you", "What is your name?", "Introduce yourself.",
            "What model are you?", "Are you AutoGLM-Phone-9B?"],
           "The user asks who I am.",
           "I am autoglm-phone-tiny, a small demonstration model trained for Martlet, not the 9B model."),
}
GREETING = {
    "zh": (["你好", "你好！", "您好", "嗨"], "用户打招呼。", "你好！给我一张手机截图，我来点击。"),
    "en": (["Hi", "hi", "Hello", "hello", "Hey"], "A greeting.", "Hello! Give me a phone screenshot and I tap."),
}

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


def tap_parts(language, thing):
    """The thought and the action that tap `thing`, a drawn object."""
    name = KINDS[thing["kind"]] if language == "zh" else thing["kind"]
    colour = thing["colour"]
    if language == "zh":
        thought = f"点击{COLOURS[colour][0] if colour else ''}{name}。"
    else:
        thought = f"Tap the {colour + ' ' if colour else ''}{name}."
    x, y = centre_of(thing)
    return thought, f'do(action="Tap", element=[{x},{y}])'


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


def strange(rng, language, length):
    """Words without a sense, of about `length` characters."""
    if language == "zh":
        return "".join(rng.choice(COMMON) for _ in range(length))
    return " ".join("".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 8)))
                    for _ in range(1 + length // 6))


def blind_action(rng, language, last=True, odd=0.6):
    """A step that needs no look at the screen: (what is asked, thought, action). Only the `last` may end the task; of
    texts to type, the share `odd` is without a sense.
    """
    dice = rng.random()
    if dice < 0.3:
        app = rng.choice(APPS)[0 if language == "zh" else 1]
        if language == "zh":
            return rng.choice(["打开{}", "启动{}", "请打开{}", "打开{}应用"]).format(app), f"打开{app}。", \
                f'do(action="Launch", app="{app}")'
        return rng.choice(["open {}", "Open {}", "launch {}", "Launch {}"]).format(app), f"Open {app}.", \
            f'do(action="Launch", app="{app}")'
    if dice < 0.55:
        text = rng.choice(TEXTS) if rng.random() >= odd else strange(rng, rng.choice(["zh", "en"]), rng.randint(1, 5))
        if language == "zh":
            return rng.choice(["输入{}", "请输入{}", "输入文字{}"]).format(text), f"输入{text}。", \
                f'do(action="Type", text="{text}")'
        return rng.choice(["type {}", "Type {}", "enter {}"]).format(text), f"Type {text}.", \
            f'do(action="Type", text="{text}")'
    questions, thought, action = rng.choice(FIXED[language] if last else FIXED[language][:-1])
    return rng.choice(questions), thought, action


def step_about(rng, language, things, last=True, odd=0.6):
    """One step of a task: (what is asked, thought, action, the thing to tap or None)."""
    if rng.random() < 0.3:
        return (*blind_action(rng, language, last, odd), None)
    thing = rng.choice(things)
    _, asked = question_about(thing, things, rng, language)
    return (asked, *tap_parts(language, thing), thing)


def task_of(rng, language, steps):
    """The text that asks for `steps`, a list of what is asked, in order."""
    if len(steps) == 1:
        return steps[0]
    steps = [step.rstrip("。.") for step in steps]
    if rng.random() < 0.3:
        return ("\n" if rng.random() < 0.5 else " ").join(f"{index + 1}. {step}" for index, step in enumerate(steps))
    steps = [step[:1].lower() + step[1:] for step in steps]
    return ("，" if language == "zh" else ", ").join(mark + step for mark, step in zip(ORDER[language], steps))


def counted(language, index, thought):
    """The thought of step `index` (from 0) of a task of several steps."""
    return f"第{index + 1}步：{thought}" if language == "zh" else f"Step {index + 1}: {thought}"


def screen_info(rng, later):
    """What an agent adds to a task, or sends instead of one at a `later` step."""
    app = rng.choice(SCREENS) if rng.random() < 0.4 else rng.choice(rng.choice(APPS))
    if rng.random() < 0.8:
        info = f'{{"current_app": "{app}"}}'
    else:
        info = f"Current App: {app}"
        later = True
    return "** Screen Info **\n\n" + info if later else info
