#!/usr/bin/env python3
"""Makes keys.json in every folder of tests/golden/tokenizers: the tokenizer.* keys that the reference
converter writes for the folder's files.

usage: vocabularies.py CONVERTER ORACLES [CASE ...]

CONVERTER is the reference's convert_hf_to_gguf.py, ORACLES the folder that tools/oracles.sh fills. Needs
what generate.py needs, and mistral-common 1.13.1. A case is a folder with the files of a tokenizer, a
config.json and a case.json:
  "routes"  what the family would name (src/convert/vocabulary.hpp)
  "from"    {file: path under ORACLES}: files that a package carries
  "pre"     the pre-tokenizer of a vocabulary that no digest knows, as --pre gives it"""
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


def write_vocabulary(model, case, out):
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
