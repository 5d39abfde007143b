"""Lines of mixed Chinese, English, code and emoji text, made from a seed alone: the same on every machine.

Nothing here depends on the network, on files, or on Python's version (only `getrandbits` of the Mersenne Twister).
"""
import random

ENGLISH = """the of and to in is that it was for on are with as his they be at one have this from or had by hot word but what
some we can out other were all there when up use your how said an each she which do their time if will way about many
then them write would like so these her long make thing see him two has look more day could go come did number sound no
most people my over know water than call first who may down side been now find any new work part take get place made
live where after back little only round man year came show every good me give our under name very through just form
sentence great think say help low line differ turn cause much mean before move right boy old too same tell does set
phone screen button tap swipe launch open search message settings battery photograph restaurant Beijing Shanghai""".split()

CONTRACTIONS = ["it's", "I'LL", "we've", "they'Re", "can't", "I'm", "he'd", "'sx", "'\u017fx", "o'clock", "rock'n'roll",
                "y'all'd've", "don’t", "''s", "'T", "'l", "'lL", "'r", "'re", "'v", "'ve"]

CHINESE = """的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然
家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民
第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合
回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何
电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却
界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运"""
CHINESE = [c for c in CHINESE if not c.isspace()]
CHINESE_PUNCTUATION = list("，。！？；：、（）《》“”‘’…—～·「」【】")

CODE = ["def {w}({w}, *args): return {w}[{n}]", "if ({w} != {n}) {{ {w}->{w} = 0x{n}; }}", "for (int i = {n}; i < {w}.size(); ++i)",
        "    let {w}: [UInt8] = []  // {w}\n", "\t\t{w} += {w} * {f};\r\n", "SELECT {w}, {w} FROM {w} WHERE id={n};",
        "<div class=\"{w}\">{w}</div>", "{w}_{w}.{w}(lambda x: x**{n})", "#include <{w}.h>\n#define {w} {n}\n\n", "{{\"{w}\": [{n}, {f}], \"{w}\": null}}",
        "do(action=\"Tap\", element=[{n},{n}])", "finish(message=\"{w}\")", "do(action=\"Launch\", app=\"{w}\")", "$ git {w} --{w}={n} && echo '{w}'",
        "https://{w}.example/{w}?q={n}&x=%20{w}", "/* {w}\n * {w}\n */", "{w}@{w}.com", "}} else {{", "===> !!! ??? ...", "    \n        \n    return {n}"]

EMOJI = ["😀", "🎉", "👍🏽", "👨‍👩‍👧‍👦", "🇨🇳", "🏳️‍🌈", "❤️", "☎", "✈️", "🧑🏿‍💻", "1️⃣", "🫠", "⌚", "🀄", "©", "™", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]

BLOCKS = [(0x00C0, 0x024F), (0x0370, 0x03FF), (0x0400, 0x04FF), (0x0530, 0x058F), (0x0590, 0x05FF), (0x0600, 0x06FF), (0x0900, 0x097F),
          (0x0980, 0x09FF), (0x0B80, 0x0BFF), (0x0E00, 0x0E7F), (0x0F00, 0x0FFF), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x13A0, 0x13FF),
          (0x1780, 0x17FF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x209F), (0x2100, 0x218F), (0x2200, 0x22FF),
          (0x2460, 0x24FF), (0x2C00, 0x2DFF), (0x3000, 0x30FF), (0x3100, 0x33FF), (0xA000, 0xA4CF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF),
          (0xFB00, 0xFDCF), (0xFE00, 0xFFEF), (0x10000, 0x1013F), (0x10400, 0x1044F), (0x11DE0, 0x11DE9), (0x16FF0, 0x16FF6),
          (0x1D400, 0x1D7FF), (0x1F100, 0x1F1FF), (0x20000, 0x2A6DF), (0xE000, 0xE0FF), (0x80, 0xA0), (0, 0x1F)]

SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u2003", " \u00a0 ", "\x1c", "\u200b", "\ufeff"]
DIGITS = ["0123456789", "०१२३४५६७८९", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９", "①②③½¾ⅣⅨ²³"]
MARKS = ["\u0301", "\u0308", "\u0327", "\u20dd", "\u0483", "\u093f", "\u0e34"]
TAGS = ["<think>", "</think>", "<answer>", "</answer>", "<|user|>", "<|assistant|>\n", "<|endoftext|>", "<|im_start|>", "<|im_end|>\n",
        "[gMASK]<sop>", "<|image|>", "<|use", "<|user|", "<|user|>|>", "<mask>", " <mask> ", "<|begin_of_image|><|image|><|end_of_image|>",
        "<think", "<<think>>", "<pad>  ", "<｜end｜>"]


class LineCorpus:
    """An endless, seeded supply of lines; the words of a language come from a lexicon that does not depend on the seed."""

    def __init__(self, seed, words=40000):
        random_words = random.Random(20261)
        onsets = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr ph pl pr qu sc sh sl sp st str th tr tw wh".split()
        vowels = "a e i o u ai ea ee ie oa oo ou y au ei".split()
        codas = ["", "", "", "n", "r", "s", "t", "l", "m", "ck", "nd", "ng", "nt", "rd", "ss", "st", "th", "tion", "ing", "ed", "er", "ly"]

        def pick(items):
            return items[random_words.getrandbits(32) % len(items)]

        self.words = list(ENGLISH)
        while len(self.words) < words:
            self.words.append("".join(pick(onsets) + pick(vowels) + pick(codas) for _ in range(1 + random_words.getrandbits(32) % 3)))
        self.terms = ["".join(pick(CHINESE) for _ in range(1 + random_words.getrandbits(32) % 4)) for _ in range(words)]
        self.random = random.Random(seed)

    def below(self, count):
        return self.random.getrandbits(32) % count

    def pick(self, items):
        return items[self.below(len(items))]

    def zipf(self, items):
        """Early items are much more frequent."""
        share = self.random.getrandbits(24) / (1 << 24)
        return items[int(len(items) * share * share * share)]

    def word(self):
        word = self.zipf(self.words)
        kind = self.below(12)
        if kind == 0:
            return word.upper()
        if kind < 3:
            return word.capitalize()
        return self.pick(CONTRACTIONS) if kind == 3 else word

    def number(self):
        digits = self.pick(DIGITS) if self.below(6) == 0 else DIGITS[0]
        return "".join(self.pick(digits) for _ in range(1 + self.below(8)))

    def english(self):
        separators = [" "] * 12 + [", ", ". ", "; ", "? ", "! ", " - ", "...", " (", ") ", "\"", "/", "  ", "\n"]
        return "".join(self.word() + self.pick(separators) for _ in range(2 + self.below(14)))

    def chinese(self):
        parts = []
        for _ in range(2 + self.below(10)):
            parts.append(self.zipf(self.terms))
            if self.below(3) == 0:
                parts.append(self.pick(CHINESE_PUNCTUATION))
            if self.below(12) == 0:
                parts.append(self.number())
            if self.below(14) == 0:
                parts.append(chr(0x4E00 + self.below(0x5200)))
        return "".join(parts)

    def code(self):
        line = self.pick(CODE)
        while "{w}" in line:
            line = line.replace("{w}", self.zipf(self.words), 1)
        while "{n}" in line:
            line = line.replace("{n}", self.number(), 1)
        return line.replace("{f}", f"{self.below(1000)}.{self.below(100)}").replace("{{", "{").replace("}}", "}")

    def emoji(self):
        return "".join(self.pick(EMOJI) + ("" if self.below(2) else self.pick(SPACES)) for _ in range(1 + self.below(6)))

    def scripts(self):
        first, last = self.pick(BLOCKS)
        return "".join(" " if self.below(6) == 0 else chr(first + self.below(last - first + 1)) for _ in range(2 + self.below(14)))

    def marks(self):
        return "".join(self.pick(list("aexy1 中'")) + self.pick(MARKS) * self.below(3) for _ in range(1 + self.below(8)))

    def anything(self):
        out = []
        while len(out) < 1 + self.below(8):
            code = self.below(0x110000)
            if not 0xD800 <= code <= 0xDFFF and code != 0xFDD0:  # Martlet's literal guard
                out.append(chr(code))
        return "".join(out)

    def runs(self):
        return self.pick(["a", " ", "\n", "=", "-", "ha", "哈", "😀", "\t", "9", "\u0301", ".", "\r\n", "' "]) * (1 + self.below(40))

    def tags(self):
        return self.pick(TAGS) + (self.word() if self.below(2) else "")

    def line(self):
        makers = [self.english] * 6 + [self.chinese] * 6 + [self.code] * 5 + [self.emoji] * 2 + [self.scripts] * 2
        makers += [self.marks, self.anything, self.runs, self.tags, self.number, lambda: self.pick(SPACES)]
        return "".join(self.pick(makers)() for _ in range(1 + self.below(3)))

    def broken(self):
        """Bytes that are mostly not UTF-8."""
        data = bytearray(self.line().encode()[:60])
        for _ in range(1 + self.below(4)):
            kind, at = self.below(4), self.below(len(data) + 1)
            if kind == 0:
                data[at:at] = bytes([self.pick([0x80, 0xBF, 0xC0, 0xC1, 0xE0, 0xED, 0xF0, 0xF4, 0xF5, 0xFF, self.below(256)])])
            elif kind == 1:
                del data[at:at + 1 + self.below(3)]
            elif kind == 2:
                data[at:at] = self.pick([b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\x80", b"\xf0\x80\x80"])
            else:
                data = data[:at]
        return bytes(data)
