#!/usr/bin/env python3
"""Makes tests/golden/convert/image_models: what ComfyUI-GGUF's conversion tool makes of small files
with the names of image and video models.

    python tools/golden/convert/image_models.py CONVERT.PY CONVERTER OUTPUT

CONVERT.PY is tools/convert.py of that project, CONVERTER llama.cpp's convert_hf_to_gguf.py, whose gguf
package is used; needs torch and safetensors.
OUTPUT gets a description per model: its tensors (their values come from the generator of weights.py)
and the keys and tensors of the GGUF file. Tensors of five dimensions, which the tool sets aside, are
left out of what is expected.
"""
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from describe import describe_model, golden_text, use_converter  # noqa: E402
from weights import Weights, write_safetensors  # noqa: E402

WIDE, SMALL = [24, 64], [16, 64]  # more than 1024 values, and no more

FLUX = {
    "double_blocks.0.img_attn.proj.weight": WIDE, "double_blocks.0.img_attn.qkv.weight": WIDE,
    "double_blocks.0.img_attn.norm.query_norm.scale": [64], "double_blocks.0.img_mlp.0.bias": [24],
    "img_in.weight": SMALL, "final_layer.linear.weight": WIDE,
}
UNET = {
    "input_blocks.0.0.weight": [12, 4, 3, 3], "input_blocks.1.0.in_layers.2.weight": [64, 32, 3, 3],
    "input_blocks.3.0.op.weight": [16, 16, 3, 3], "input_blocks.6.0.op.weight": [16, 16, 3, 3],
    "input_blocks.4.1.proj_in.weight": [32, 48, 1, 1], "input_blocks.4.1.transformer.to_v.weight": [8, 256],
    "input_blocks.4.1.transformer.to_q.weight": [16, 320], "out.2.weight": [4, 12, 3, 3],
    "output_blocks.5.2.conv.weight": [16, 16, 3, 3], "time_embed.0.weight": [64, 16], "tiny.weight": [15, 17],
}
MODELS = {
    "flux": ("BF16", FLUX),
    "flux-f16": ("F16", FLUX),
    "flux-f32": ("F32", FLUX),
    "flux-in-checkpoint": ("BF16", {
        **{"model.diffusion_model." + k: v for k, v in FLUX.items()},
        "first_stage_model.decoder.weight": WIDE, "text.embedding.weight": WIDE,
    }),
    "sd3": ("F16", {"joint_blocks.0.x_block.attn.qkv.weight": WIDE, "pos_embed": [1, 32, 48], "x_embedder.proj.weight": WIDE}),
    "aura": ("F32", {"double_layers.3.modX.1.weight": WIDE, "positional_encoding": [1, 32, 48], "register_tokens": [1, 8, 64]}),
    "hidream": ("BF16", {
        "caption_projection.0.linear.weight": WIDE, "double_stream_blocks.0.block.ff_i.shared_experts.w3.weight": WIDE,
        "double_stream_blocks.0.block.ff_i.gate.weight": WIDE, "img_emb.emb_pos": WIDE}),
    "cosmos": ("BF16", {
        "net.blocks.0.mlp.layer1.weight": WIDE, "net.blocks.0.adaln_modulation_cross_attn.1.weight": WIDE,
        "net.blocks.0.attn._extra_state": [8], "net.accum_steps": [4], "net.pos_embedder.seq": WIDE}),
    "ltxv": ("BF16", {
        "adaln_single.emb.timestep_embedder.linear_2.weight": WIDE, "transformer_blocks.27.scale_shift_table": WIDE,
        "caption_projection.linear_2.weight": WIDE, "transformer_blocks.0.ff.net.2.weight": WIDE}),
    "hyvid": ("BF16", {
        "double_blocks.0.img_attn_proj.weight": WIDE,
        "txt_in.individual_token_refiner.blocks.1.self_attn_qkv.weight": WIDE, "img_in.proj.weight": [4, 3, 2, 8, 8]}),
    "wan": ("F16", {
        "blocks.0.self_attn.norm_q.weight": [64], "text_embedding.2.weight": WIDE, "head.modulation": [1, 2, 64],
        "blocks.0.modulation": [1, 32, 64], "blocks.0.ffn.2.weight": WIDE, "patch_embedding.weight": [8, 4, 1, 8, 8]}),
    "sdxl": ("F16", {**UNET, "label_emb.0.0.weight": WIDE, "output_blocks.2.2.conv.weight": [16, 16, 3, 3]}),
    "sd1": ("F32", {**UNET, "input_blocks.9.0.op.weight": [16, 16, 3, 3], "output_blocks.2.1.conv.weight": [16, 16, 3, 3],
                    "output_blocks.8.2.conv.weight": [16, 16, 3, 3]}),
    "sdxl-diffusers": ("BF16", {
        "down_blocks.0.downsamplers.0.conv.weight": [16, 16, 3, 3], "add_embedding.linear_1.weight": WIDE,
        "conv_in.weight": [16, 4, 3, 3]}),
    "lumina2": ("BF16", {"cap_embedder.1.weight": WIDE, "context_refiner.0.attention.qkv.weight": WIDE,
                         "layers.0.feed_forward.w2.weight": WIDE}),
}


def main():
    gguf = use_converter(Path(sys.argv[2]))
    spec = importlib.util.spec_from_file_location("convert", sys.argv[1])
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    output = Path(sys.argv[3]).resolve()
    output.mkdir(parents=True, exist_ok=True)
    for name, (dtype, tensors) in MODELS.items():
        tensors = dict(sorted(tensors.items()))
        weights = Weights(1)
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            write_safetensors(Path("model.safetensors"), {k: (weights.take(v, dtype), dtype) for k, v in tensors.items()})
            tool.convert_file("model.safetensors", "out.gguf", interact=False)
            keys, described = describe_model(gguf, "out.gguf")
        model = {"config": {}, "tokenizer": "glm-like", "dtype": dtype, "files": {},
                 "tensors": [list(t) for t in tensors.items()]}
        text = golden_text({"model": model, "keys": keys, "tensors": described})
        (output / f"{name}.json").write_text(text)
        print(name, len(described))


main()
