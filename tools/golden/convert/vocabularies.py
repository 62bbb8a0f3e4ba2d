#!/usr/bin/env python3
"""Makes keys.json in every folder of tests/golden/tokenizers: the tokenizer.* keys that the reference
converter writes for the folder's files.

usage: vocabularies.py CONVERTER ORACLES [CASE ...]

CONVERTER is the reference's convert_hf_to_gguf.py, ORACLES the folder that tools/oracles.sh fills. Needs
what generate.py needs, and mistral-common 1.13.1. A case is a folder with the files of a tokenizer, a
config.json and a case.json:
  "routes"  what the family would name (src/convert/vocabulary.hpp)
  "from"    {file: path under ORACLES}: files that a package carries
  "pre"     the pre-tokenizer of a vocabulary that no digest knows, as --pre gives it
  "ranks"   a tiktoken file: instead of the model's own tokenizer class, which is not among the files, the
            converter gets one with the attributes that it asks for, and "special" tokens after the file's"""
import base64
import json
import pathlib
import shutil
import sys
import tempfile

from describe import describe_field, use_converter

CONVERTER, ORACLES = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
CASES = pathlib.Path(__file__).resolve().parents[3] / "tests/golden/tokenizers"
gguf = use_converter(CONVERTER)
sys.path.insert(0, str(CONVERTER.parent))
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # noqa: E402


def directory_of(folder, case, work):
    model = work / "model"
    shutil.copytree(folder, model)
    for file, origin in case.get("from", {}).items():
        shutil.copy(ORACLES / origin, model / file)
    return model


class RankTokenizer:
    """What the converter asks of the tokenizer classes that models with tiktoken files bring along."""

    def __init__(self, file, special):
        import tiktoken
        rows = [line.split() for line in file.read_bytes().splitlines() if line]
        self.mergeable_ranks = {base64.b64decode(token): int(rank) for token, rank in rows}
        base = len(self.mergeable_ranks)
        self.special_tokens = {text.format(base + i): base + i for i, text in enumerate(special)}
        pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" \
                  r"|\s*[\r\n]+|\s+(?!\S)|\s+"
        self.model = tiktoken.Encoding("ranks", pat_str=pattern, mergeable_ranks=self.mergeable_ranks,
                                       special_tokens=self.special_tokens)

    def get_vocab(self):
        return {**{token: rank for token, rank in self.mergeable_ranks.items()}, **self.special_tokens}

    def encode(self, text, **_):
        return self.model.encode(text, allowed_special="all")


def tokenizer_of(model, case):
    from transformers import AutoTokenizer
    if "ranks" in case:
        return RankTokenizer(model / case["ranks"], case["special"])
    return AutoTokenizer.from_pretrained(model)


def write_vocabulary(model, case, out):
    if "ranks" in case:
        from transformers import AutoTokenizer
        given, AutoTokenizer.from_pretrained = AutoTokenizer.from_pretrained, lambda *_, **__: tokenizer_of(model, case)
        try:
            return write_keys(model, case, out)
        finally:
            AutoTokenizer.from_pretrained = given
    return write_keys(model, case, out)


def write_keys(model, case, out):
    hparams = ModelBase.load_hparams(model, False)
    kind = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
    instance = kind(model, gguf.LlamaFileType.MOSTLY_F16, out)
    if "pre" in case:
        instance.get_vocab_base_pre = lambda tokenizer: case["pre"]
    instance.write_vocab()
    return out


def keys_of(folder, case):
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        out = write_vocabulary(directory_of(folder, case, work), case, work / "out.gguf")
        fields = gguf.GGUFReader(out).fields.values()
        return [describe_field(field) for field in fields if field.name.startswith("tokenizer.")]


def main():
    failed = []
    for file in sorted(CASES.glob("*/case.json")):
        if len(sys.argv) > 3 and file.parent.name not in sys.argv[3:]:
            continue
        try:
            keys = keys_of(file.parent, json.loads(file.read_text()))
        except Exception as error:  # the others are made all the same
            failed.append(f"{file.parent.name}: {type(error).__name__}: {error}")
            continue
        print(file.parent.name)
        (file.parent / "keys.json").write_text("[" + ",\n".join(json.dumps(key) for key in keys) + "]\n")
    sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
