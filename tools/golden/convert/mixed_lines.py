#!/usr/bin/env python3
"""Makes tests/data/mixed-lines.jsonl: 1,000 texts, one JSON string a line, to tokenize: sentences of many
languages, code, numbers, white space, emoji, odd characters and mixtures of them. Always the same."""
import json
import pathlib
import random

SENTENCES = {
    "en": ["The cache holds four lines per set, and it's flushed when the lease ends.",
           "I've told them they'll need a bigger box; he'd said so, didn't he?",
           "WE'VE SEEN IT: the LATENCY doubled, and nobody'S sure why.",
           "Dr. Smith's report (2nd edition) isn't on the shelf.",
           "Co-operation between re-entrant routines is well-defined."],
    "de": ["Die Prüfung der Größe schlägt fehl, wenn das Gerät überläuft.",
           "Straßenbahnhaltestellenverzeichnis und Donaudampfschifffahrtsgesellschaft sind lange Wörter."],
    "fr": ["L'été dernier, j'ai déjà vu où naît cette œuvre, à côté de l'évêché.",
           "Qu'est-ce qu'il y a ? « Rien », dit-elle ; vraiment rien !"],
    "es": ["¿Dónde está el niño? ¡Mañana cumplirá años, señor!", "El pingüino averiguó que la cigüeña no volvía."],
    "pt": ["A organização não terá condições de concluir as ações amanhã.", "Pão, maçã e açúcar: três coisas."],
    "it": ["Perché no? La città è più bella di quanto si creda.", "Un po' d'acqua e dell'olio, nient'altro."],
    "pl": ["Zażółć gęślą jaźń, a potem idź spać.", "Źdźbło trawy drży na wietrze."],
    "cs": ["Dnes večer přijde kůň až k našemu domu."],
    "tr": ["İstanbul'da ışıklar söndü; ığdır çok uzak.", "Çocuklar güneşli günlerde şarkı söyler."],
    "vi": ["Trời hôm nay đẹp quá, chúng ta đi dạo nhé.", "Người Việt thường uống cà phê sữa đá vào buổi sáng."],
    "ru": ["Программа читает заголовок, а потом проверяет размер файла.",
           "Ёжик спросил: «Кто там?» — и никто не ответил.", "ЭТО НЕ ОШИБКА, а свойство."],
    "uk": ["Її м'яч лежить під ґанком, а їжак спить."],
    "el": ["Η μνήμη είναι γεμάτη και το πρόγραμμα σταματά.", "Ο ήλιος λάμπει πάνω από τη θάλασσα."],
    "ar": ["السلام عليكم، كيف حالك اليوم؟", "الذاكرة ممتلئة والبرنامج يتوقف عند الحدّ الأقصى.", "كِتَابٌ جَدِيدٌ عَلَى الطَّاوِلَةِ"],
    "he": ["שלום עולם, מה שלומך היום?", "הקובץ נקרא פעם אחת בלבד."],
    "fa": ["می‌خواهم این کتاب را بخوانم، ولی وقت ندارم."],
    "hi": ["नमस्ते दुनिया, आज मौसम बहुत अच्छा है।", "क्या आपने वह किताब पढ़ी है?"],
    "bn": ["আমার সোনার বাড়ি, আজ বৃষ্টি হচ্ছে।"],
    "ta": ["வணக்கம் உலகம், இன்று மழை பெய்கிறது."],
    "th": ["สวัสดีชาวโลก วันนี้อากาศดีมาก", "โปรแกรมหยุดทำงานเพราะหน่วยความจำเต็ม"],
    "km": ["ភាសាខ្មែរ គឺជាភាសាផ្លូវការ។"],
    "zh": ["今天天气很好,我们去公园散步吧。", "程序读取文件头,然后检查大小;如果出错,就停止。", "繁體中文與簡體中文的區別在於字形。"],
    "ja": ["今日はとても良い天気ですね。", "プログラムはファイルを一度だけ読みます。", "「えっ、本当?」と彼は言った。ー〜々ゝ"],
    "ko": ["안녕하세요, 오늘은 날씨가 좋네요.", "프로그램은 파일을 한 번만 읽습니다.", "ㅋㅋㅋ 정말이에요?"],
    "sw": ["Habari ya asubuhi? Leo kuna mvua nyingi."],
    "fi": ["Yöllä järven jäällä kävelee yksinäinen hirvi."],
    "hu": ["Az őrült tűzoltó fürgén üvöltött a hídon."],
    "am": ["ሰላም ለዓለም፣ ዛሬ ዝናብ ነው።"],
    "ka": ["გამარჯობა მსოფლიო, დღეს კარგი ამინდია."],
    "hy": ["Բարեւ աշխարհ, այսօր լավ եղանակ է։"],
}
CODE = ["for (int i = 0; i < n; ++i) {\n    sum += a[i] * b[i];\n}",
        "if x is None or x[\"key\"] != 'value':\n\treturn {**y, 'z': 1e-5}",
        "template <class T>\nstd::vector<T> take(std::size_t n) noexcept;",
        "SELECT name, COUNT(*) FROM users WHERE age >= 21 GROUP BY name;",
        "const f = async (x) => { await g(`${x}`); };", "#include <cstdint>\n#define MASK(n) ((1u << (n)) - 1)",
        "def f(a, *args, **kwargs):\n    \"\"\"doc\"\"\"\n    pass\n\n\n",
        "<div class=\"a b\" id='c'>&nbsp;text<br/></div>",
        "grep -rn --include='*.cpp' \"NOTE\" . | sort -u > /tmp/out.txt",
        "fn main() -> Result<(), Box<dyn Error>> { Ok(()) }", "\\frac{a}{b} + \\sum_{i=0}^{n} x_i^2",
        "{\"a\":[1,2,{\"b\":null}],\"c\":-0.5e+10}", "x = y ?? z?.w!; // don't",
        "http://localhost:8080/path/to?q=1&r=%20#frag", "C:\\Program Files\\x86\\bin",
        "camelCase snake_case SCREAMING_CASE kebab-case PascalCaseXML2JSON", "0xDEADBEEF 0b1011 0o17 1_000_000 3.14f",
        "a+=b-=c*=d/=e%=f<<=g>>=h&=i|=j^=k", "=====----->>>>>*****#####~~~~~"]
NUMBERS = ["0", "7", "42", "100", "999", "1000", "1234", "12345", "123456", "1234567", "123456789012", "3.14159",
           "-2.5e-10", "1,234,567.89", "2024-11-24", "16:42:57", "192.168.0.1", "v3.10.0-rc1", "50%", "$19.99", "№5",
           "½", "²³", "Ⅷ", "٣٤٥", "१२३", "1/3", "+49 30 1234567", "0.30000000000000004", "(1)", "1st", "22nd", "৭৮"]
EMOJI = ["😀", "🚀", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪🇫🇷", "✅", "❤️", "😶‍🌫️", "🦙🦙", "☃", "⌚️", "1️⃣", "🫠"]
SPACE = [" ", "  ", "   ", "    ", "\t", "\t\t", "\n", "\n\n", "\n\n\n", " \n", "\n ", "\r\n", "\r\n\r\n", "     ",
         " " * 8, "\t \t", "\u00a0", "\u3000", "\u2009", " " * 16]
ODD = ["e\u0301", "a\u0308\u0323", "ﬁ", "\u212b", "ſ", "ǅ", "ß", "İ", "ı", "\u200b", "\u200d", "\u200f", "\ufeff", "™",
       "©", "€", "£", "…", "—", "–", "“q”", "‘q’", "«»", "„“", "·", "•", "→", "≤≥≠", "∑∫√∞", "αβγ", "𝔘𝔫𝔦", "Ａｂｃ",
       "①②", "㎏", "㍻", "†", "‰", "▁", "▁▁", "Ġ", "<0x41>", "##ing", "[UNK]", "[MASK]", "<s>", "</s>",
       "<|endoftext|>", "<|im_start|>", "<unk>", "<pad>", "'", "''", "\"", "``", "...", "!!", "??!", "--", "@user",
       "#tag", "$x", "a.b", "x_y", "~", "^", "|", "\\", "/", "//", "'s", "'S", "'LL", "’s", "’ll", "don’t"]
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNSPACED = "".join(SENTENCES["zh"] + SENTENCES["ja"] + SENTENCES["ko"] + SENTENCES["th"])

random = random.Random(20241124)
pick, below = random.choice, random.randrange


def sentence():
    return pick(SENTENCES[pick(sorted(SENTENCES))])


def words(text, count):
    all_words = text.split(" ")
    first = below(len(all_words))
    return " ".join(all_words[first:first + count])


def some(what, least, most, between=""):
    return between.join(pick(what) for _ in range(least + below(most - least + 1)))


KINDS = [
    lambda: sentence() + pick(SPACE) + sentence(),
    lambda: words(sentence(), 4) + " " + pick(EMOJI) + pick(["", "", " ", "!"]) + words(sentence(), 3),
    lambda: pick(CODE) + pick(SPACE) + pick(CODE),
    lambda: pick(SPACE) + words(sentence(), 5) + pick(SPACE),
    lambda: some(NUMBERS, 2, 6, " "),
    lambda: words(sentence(), 3) + pick(NUMBERS) + words(sentence(), 2) + " " + pick(NUMBERS),
    lambda: some(ODD, 2, 5),
    lambda: words(sentence(), 3) + pick(ODD) + words(sentence(), 3) + pick(ODD),
    lambda: words(pick(SENTENCES["en"]), 6).upper(),
    lambda: words(pick(SENTENCES["en"]), 6) + pick(SPACE) + pick(CODE),
    lambda: some(SPACE, 2, 4) + pick(NUMBERS + ODD + EMOJI),
    lambda: some("0123456789", 1, 24),
    lambda: some(LETTERS, 3, 15) + pick(["", "'s", "'LL", "()", ":", "\n"]),
    lambda: f"# {words(sentence(), 4)}\n\n- {words(sentence(), 3)}\n- **{words(sentence(), 2)}** `{pick(CODE)[:12]}`\n",
    lambda: some(UNSPACED, 2, 9) + pick(["", "abc", "123", "!"]),
    lambda: pick("!?.-=*_#'\"`~") * (1 + below(19)) + pick(["", "", " ", "a", "\n"]),
]

lines = [text for texts in SENTENCES.values() for text in texts] + CODE + NUMBERS + EMOJI + ODD + SPACE
turn = 0
while len(lines) < 1000:
    text = KINDS[turn % len(KINDS)]()
    turn += 1
    if text and text not in lines:
        lines.append(text)
file = pathlib.Path(__file__).resolve().parents[3] / "tests/data/mixed-lines.jsonl"
file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
