#!/usr/bin/env python3
"""Makes tests/golden/convert/llava-mmproj.json: what the reference's older script makes of a LLaVA tower and its
projector; its converter has no LLaVA with CLIP.

usage: llava.py LLAMA_CPP

LLAMA_CPP is a tree of the reference; needs what generate.py needs. The script writes some tensors as F16: all values
here are exact in it, so that everything is described as F32. It calls the first half of a feed-forward network "down" and
the second "up", which llama.cpp exchanges when it reads them: here they have the converter's names."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from describe import describe_field, golden_text, use_converter
from models.parts import MODELS
from models import vision  # noqa: F401  (fills MODELS)
from weights import Weights, write_safetensors

ROOT = pathlib.Path(sys.argv[1]).resolve()
GOLDEN = pathlib.Path(__file__).resolve().parents[3] / "tests/golden/convert"
gguf = use_converter(ROOT / "convert_hf_to_gguf.py")
import torch  # noqa: E402
from transformers import CLIPVisionConfig  # noqa: E402

description = MODELS["llava"]
weights, tower, projector = Weights(1), {}, {}
for name, shape, *_ in description["tensors"]:
    values = weights.take(shape, "F32")
    if name.startswith("vision_tower."):
        tower[name.removeprefix("vision_tower.")] = values, "F32"
    elif name.startswith("multi_modal_projector."):
        projector[name] = torch.from_numpy(values)

with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    config = {**CLIPVisionConfig(**description["config"]["vision_config"]).to_dict(), "architectures": ["CLIPVisionModel"],
              "vision_feature_layer": description["config"]["vision_feature_layer"]}
    (work / "config.json").write_text(json.dumps(config))
    write_safetensors(work / "model.safetensors", tower)
    with open(work / "model.safetensors", "rb") as file:  # the loader wants to know where it came from
        raw = file.read()
    size = int.from_bytes(raw[:8], "little")
    header = {"__metadata__": {"format": "pt"}, **json.loads(raw[8:8 + size])}
    text = json.dumps(header).encode()
    (work / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size:])
    torch.save(projector, work / "llava.projector")
    subprocess.run([sys.executable, ROOT / "tools/mtmd/legacy-models/convert_image_encoder_to_gguf.py", "-m", work, "--use-f32",
                    "--clip-model-is-vision", "--llava-projector", work / "llava.projector"], check=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT / "gguf-py")}, stdout=subprocess.DEVNULL)
    reader = gguf.GGUFReader(work / "mmproj-model-f32.gguf")
    keys = [describe_field(f) for f in reader.fields.values() if f.name.startswith("clip.")]
    tensors = []
    for t in reader.tensors:
        name = t.name.replace("ffn_down", "FFN").replace("ffn_up", "ffn_down").replace("FFN", "ffn_up")
        tensors.append([name, "f32", [int(d) for d in reversed(t.shape)],
                        hashlib.sha256(t.data.astype(np.float32).tobytes()).hexdigest()])
(GOLDEN / "llava-mmproj.json").write_text(golden_text({"model": {**description, "part": "projector", "dtype": "F32"},
                                                       "keys": keys, "tensors": tensors}))
