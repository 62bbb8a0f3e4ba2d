#!/usr/bin/env python3
"""Makes tests/golden/tokenizers/split_patterns.txt: how the tokenizers library cuts the check string
with every pattern of split_patterns.def, and with every behaviour. A line is the pattern's word, the
behaviour, whether it is inverted, and the lengths of the pieces in code points.

usage: split_patterns.py     (needs tokenizers 0.22)"""
import json
import pathlib
import re

from tokenizers import Regex, pre_tokenizers

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src/convert/tokenizer"

text = re.search(r"kCheckString =\n((?: *U\".*\n)+)", (SOURCE / "pre_tokenizer.cpp").read_text()).group(1)
text = "".join(re.findall(r'U"(.*)"', text)).rstrip(";")
check = re.sub(r"\\U000([0-9A-F]{5})", lambda m: "\\u%04x\\u%04x" % (
    0xD7C0 + (int(m.group(1), 16) >> 10), 0xDC00 + (int(m.group(1), 16) & 0x3FF)), text)
check = json.loads('"' + check + '"')
assert len(check) == 350


def row(word, regex, behavior, invert):
    splitter = pre_tokenizers.Split(Regex(regex), behavior, invert)
    lengths = [len(piece) for piece, _ in splitter.pre_tokenize_str(check)]
    return " ".join([word, behavior, "inverted" if invert else "plain", *map(str, lengths)])


rows = []
definitions = (SOURCE / "split_patterns.def").read_text()
for word, literals in re.findall(r'^QUANTIZE_SPLIT_PATTERN\("([^"]+)",(.*?)\)$(?=\nQUANT|\n*\Z)', definitions, re.M | re.S):
    # Raw literals, and ordinary ones for what is not ASCII.
    regex = "".join(raw or escaped.encode().decode("unicode_escape")
                    for raw, escaped in re.findall(r'R"re\((.*?)\)re"|"((?:\\[uU][0-9A-F]+|-)+)"', literals, re.S))
    rows.append(row(word, regex, "isolated", False))
    if word == "words":
        for behavior in ("removed", "isolated", "contiguous", "merged_with_previous", "merged_with_next"):
            rows += [row(word, regex, behavior, False), row(word, regex, behavior, True)]
(ROOT / "tests/golden/tokenizers/split_patterns.txt").write_text("\n".join(rows) + "\n")
