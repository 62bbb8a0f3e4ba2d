#!/usr/bin/env python3
"""Makes tests/golden/convert/families: what the reference converter writes for the models that
tools/golden/convert/models describes, one file each, with the description.

usage: families.py CONVERTER [MODEL ...]

CONVERTER is the reference's convert_hf_to_gguf.py; needs what generate.py needs. The pre-tokenizer of a
model whose vocabulary no digest knows is named by its description, as --pre gives it."""
import importlib
import json
import logging
import pathlib
import shutil
import sys
import tempfile

from describe import describe_model, golden_text, use_converter
from models.parts import MODELS
from weights import Weights, write_safetensors

HERE, CONVERTER = pathlib.Path(__file__).resolve().parent, pathlib.Path(sys.argv[1]).resolve()
GOLDEN = HERE.parents[2] / "tests/golden"
gguf = use_converter(CONVERTER)
sys.path.insert(0, str(CONVERTER.parent))
import torch  # noqa: E402
from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # noqa: E402

FILE_TYPES = {"f32": gguf.LlamaFileType.ALL_F32, "f16": gguf.LlamaFileType.MOSTLY_F16,
              "bf16": gguf.LlamaFileType.MOSTLY_BF16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
EAGER = {"jais", "command-r7b"}  # the reference reads values of theirs while it plans: it stops unless told --no-lazy


def write_model(description, folder):
    ignored = shutil.ignore_patterns("config.json", "case.json", "keys.json")
    shutil.copytree(GOLDEN / "tokenizers" / description["tokenizer"], folder, ignore=ignored)
    (folder / "config.json").write_text(json.dumps(description["config"]))
    for name, text in description["files"].items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    weights, tensors = Weights(1), {}
    for name, shape, *more in description["tensors"]:  # perhaps also a type and a step
        dtype = more[0] if more else description["dtype"]
        tensors[name] = weights.take(shape, dtype, *more[1:]), dtype
    write_safetensors(folder / "model.safetensors", tensors)


def not_endless(kind):
    """Baichuan's class calls itself for all but one kind of tensor; here it calls its parent, as it means to."""
    own = kind.modify_tensors

    def modify_tensors(self, data, tensor, layer):
        named = tensor.endswith("W_pack.weight")
        return own(self, data, tensor, layer) if named else ModelBase.modify_tensors(self, data, tensor, layer)
    kind.modify_tensors = modify_tensors


def convert(name, description, work):
    """The reference's file for the described model."""
    folder = work / name
    write_model(description, folder)
    projector = description.get("part") == "projector"
    part = ModelType.MMPROJ if projector else ModelType.TEXT
    kind = get_model_class(get_model_architecture(ModelBase.load_hparams(folder, False), part), mmproj=projector)
    if name == "baichuan":
        not_endless(kind)
    with torch.inference_mode():
        instance = kind(folder, FILE_TYPES[description["outtype"]], work / "out.gguf", eager=name in EAGER)
        if description["pre"]:
            instance.get_vocab_base_pre = lambda tokenizer: description["pre"]
        instance.write()
    return instance.fname_out


def described_models(wanted):
    for module in sorted(HERE.glob("models/*.py")):
        importlib.import_module(f"models.{module.stem}")
    logging.disable(logging.CRITICAL)
    return {name: description for name, description in MODELS.items() if not wanted or name in wanted}


def main():
    failed = []
    for name, description in described_models(sys.argv[2:]).items():
        try:
            with tempfile.TemporaryDirectory() as work:
                keys, tensors = describe_model(gguf, convert(name, description, pathlib.Path(work)))
        except Exception as error:  # the others are made all the same
            failed.append(f"{name}: {type(error).__name__}: {error}")
            continue
        (GOLDEN / "convert/families").mkdir(exist_ok=True)
        (GOLDEN / f"convert/families/{name}.json").write_text(
            golden_text({"model": description, "keys": keys, "tensors": tensors}))
        print(name)
    sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
