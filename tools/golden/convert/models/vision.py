"""Models that see: a language model, a vision tower and a projector in one directory."""
import json

from .parts import attention, layers, mlp, multimodal, norms

BPE, PRE, V = "glm-like", "gpt-2", 272


def tower(h, f, count, at, patch, positions, channels=3):
    """CLIP's and SigLIP's: layers, with biases, around them the embeddings."""
    def both(name, shape):
        return [(f"{name}.weight", shape), (f"{name}.bias", shape[:1])]
    rows = sum([both(f"self_attn.{p}", [h, h]) for p in ("k_proj", "v_proj", "q_proj", "out_proj")], [])
    rows += both("layer_norm1", [h]) + both("mlp.fc1", [f, h]) + both("mlp.fc2", [h, f]) + both("layer_norm2", [h])
    return ([(f"{at}embeddings.patch_embedding.weight", [h, channels, patch, patch]), (f"{at}embeddings.patch_embedding.bias", [h]),
             (f"{at}embeddings.position_embedding.weight", [positions, h])]
            + layers(count, rows, f"{at}encoder.layers."))


def post_norm(h, at):
    return [(f"{at}post_layernorm.weight", [h]), (f"{at}post_layernorm.bias", [h])]


def decoder_layers(h, f, kv, at, head=0, bias=False):
    return layers(2, norms(h, "input_layernorm", "post_attention_layernorm") + attention(h, h, kv, head=head, bias=bias) + mlp(h, f), at)


def preprocessor(**fields):
    return {"preprocessor_config.json": json.dumps({"do_normalize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
                                                    **fields})}


# ---- SmolVLM: fields as SmolVLM-256M-Instruct has them; SmolVLM2 leaves most of them to defaults
SMOLVLM_TEXT = {"architectures": ["VLlama3ForCausalLM"], "head_dim": 16, "hidden_size": 64, "intermediate_size": 96, "is_llama_config": True,
                "max_position_embeddings": 8192, "model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 2,
                "num_key_value_heads": 2, "pad_token_id": 2, "pixel_shuffle_factor": 4, "qk_layer_norms": False, "rms_norm_eps": 1e-05,
                "rope_interleaved": False, "rope_theta": 100000, "torch_dtype": "bfloat16", "use_resampler": False, "vocab_size": V}


def smolvlm(name, kind, vision, h, f, patch, image, fold, **more):
    text = "model.text_model."
    multimodal(name, kind, BPE, {"image_token_id": 200, "model_type": {"I": "idefics3", "S": "smolvlm"}[kind[0]], "scale_factor": fold,
                                 "text_config": SMOLVLM_TEXT, "tie_word_embeddings": False, "vision_config": vision, "vocab_size": V},
               [("lm_head.weight", [V, 64]), ("model.connector.modality_projection.proj.weight", [64, h * fold * fold]),
                (text + "embed_tokens.weight", [V, 64])] + decoder_layers(64, 96, 32, text + "layers.") + [(text + "norm.weight", [64])]
               + tower(h, f, vision.get("num_hidden_layers", 12), "model.vision_model.", patch, (image // patch) ** 2)
               + post_norm(h, "model.vision_model."), pre=PRE,
               files=preprocessor(size={"longest_edge": 2048}, max_image_size={"longest_edge": 512}), **more)


smolvlm("smolvlm", "Idefics3ForConditionalGeneration", {
    "hidden_size": 32, "image_size": 32, "intermediate_size": 80, "max_image_size": {"longest_edge": 512}, "model_type": "idefics3",
    "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 8, "size": {"longest_edge": 2048}, "tie_word_embeddings": False,
    "use_base_siglip": False}, 32, 80, 8, 32, 4, projector=("bf16", "f16", "f32", "q8_0"))
smolvlm("smolvlm2", "SmolVLMForConditionalGeneration", {
    "hidden_size": 32, "image_size": 32, "intermediate_size": 64, "max_image_size": {"longest_edge": 512}, "model_type": "smolvlm_vision",
    "num_attention_heads": 4, "patch_size": 8, "layer_norm_eps": 1e-05, "size": {"longest_edge": 2048}}, 32, 64, 8, 32, 2)

# ---- LLaVA: fields as llava-1.5-7b-hf has them; what text_config leaves out are Llama's defaults, here reduced sizes
LLAVA_TOWER = {"hidden_size": 32, "image_size": 32, "intermediate_size": 64, "model_type": "clip_vision_model", "num_attention_heads": 2,
               "num_hidden_layers": 3, "patch_size": 8, "projection_dim": 24, "vocab_size": 32000}
multimodal("llava", "LlavaForConditionalGeneration", BPE, {
    "ignore_index": -100, "image_token_index": 23, "model_type": "llava", "pad_token_id": 0, "projector_hidden_act": "gelu",
    "text_config": {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 4096, "model_type": "llama", "rms_norm_eps": 1e-05,
                    "torch_dtype": "float16", "vocab_size": V, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
                    "num_hidden_layers": 2},
    "tie_word_embeddings": False, "torch_dtype": "float16", "vision_config": LLAVA_TOWER,
    "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "vocab_size": V},
    [("vision_tower.vision_model.embeddings.class_embedding", [32])] + tower(32, 64, 3, "vision_tower.vision_model.", 8, 17)[:1]
    + tower(32, 64, 3, "vision_tower.vision_model.", 8, 17)[2:3]
    + [(f"vision_tower.vision_model.{n}.{p}", [32]) for n in ("pre_layrnorm", "post_layernorm") for p in ("weight", "bias")]
    + tower(32, 64, 3, "vision_tower.vision_model.", 8, 17)[3:]
    + [("multi_modal_projector.linear_1.weight", [64, 32]), ("multi_modal_projector.linear_1.bias", [64]),
       ("multi_modal_projector.linear_2.weight", [64, 64]), ("multi_modal_projector.linear_2.bias", [64]),
       ("language_model.model.embed_tokens.weight", [V, 64])]
    + decoder_layers(64, 96, 64, "language_model.model.layers.") + [("language_model.model.norm.weight", [64]),
                                                                    ("language_model.lm_head.weight", [V, 64])],
    projector=(), pre=PRE, dtype="F16", outtype="f16", files={"preprocessor_config.json": json.dumps({
        "crop_size": {"height": 32, "width": 32}, "do_center_crop": True, "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "size": {"shortest_edge": 32}})})

# ---- Gemma 3: fields as gemma-3-4b-it has them
multimodal("gemma3", "Gemma3ForConditionalGeneration", "gemma-spm", {
    "boi_token_index": 17, "eoi_token_index": 18, "eos_token_id": [1, 106], "image_token_index": 19, "initializer_range": 0.02,
    "mm_tokens_per_image": 16, "model_type": "gemma3", "torch_dtype": "bfloat16", "text_config": {
        "hidden_size": 64, "intermediate_size": 96, "model_type": "gemma3_text", "num_hidden_layers": 2, "head_dim": 16,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 20, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024},
    "vision_config": {"hidden_size": 32, "image_size": 64, "intermediate_size": 80, "model_type": "siglip_vision_model",
                      "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 8, "vision_use_head": False}},
    [("language_model.model.embed_tokens.weight", [20, 64])]
    + layers(2, norms(64, "input_layernorm") + mlp(64, 96) + norms(64, "post_attention_layernorm", "post_feedforward_layernorm",
             "pre_feedforward_layernorm") + attention(64, 64, 32, head=16), "language_model.model.layers.")
    + [("language_model.model.norm.weight", [64]), ("multi_modal_projector.mm_input_projection_weight", [32, 64]),
       ("multi_modal_projector.mm_soft_emb_norm.weight", [32])]
    + tower(32, 80, 2, "vision_tower.vision_model.", 8, 64) + post_norm(32, "vision_tower.vision_model."),
    projector=("bf16", "f16", "f32", "q8_0"), files={**preprocessor(size={"height": 64, "width": 64}),
                                             "processor_config.json": json.dumps({"image_seq_length": 16, "processor_class": "Gemma3Processor"})})


# ---- Qwen2-VL, 2.5-VL, 3-VL: fields as Qwen2-VL-2B-, Qwen2.5-VL-3B-, Qwen3-VL-4B- and -30B-A3B-Instruct have them
def pairs(*rows):
    return [row for name, shape in rows for row in ((f"{name}.weight", shape), (f"{name}.bias", shape[:1]))]


def qwen_text(theta):
    return {"attention_dropout": 0.0, "bos_token_id": 9, "eos_token_id": 10, "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.02,
            "intermediate_size": 96, "max_position_embeddings": 32768, "max_window_layers": 2, "num_attention_heads": 4, "num_hidden_layers": 2,
            "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": theta, "vocab_size": V}


def qwen2(name, kind, model_type, vision, tensors, outtypes, eps):
    multimodal(name, kind, BPE, {**qwen_text(1000000.0), "rms_norm_eps": eps, "model_type": model_type, "sliding_window": 32768,
                                 "tie_word_embeddings": True, "torch_dtype": "bfloat16", "use_cache": True, "use_sliding_window": False,
                                 "vision_start_token_id": 11, "vision_end_token_id": 12, "vision_token_id": 13, "image_token_id": 14,
                                 "video_token_id": 15, "vision_config": vision,
                                 "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}},
               [("model.embed_tokens.weight", [V, 64])] + decoder_layers(64, 96, 32, "model.layers.", bias=True) + [("model.norm.weight", [64])]
               + tensors, projector=outtypes, pre=PRE, files=preprocessor(min_pixels=3136, max_pixels=12845056, patch_size=8, merge_size=2))


qwen2("qwen2-vl", "Qwen2VLForConditionalGeneration", "qwen2_vl", {
    "depth": 3, "embed_dim": 32, "mlp_ratio": 4, "num_heads": 2, "in_chans": 3, "hidden_size": 64, "patch_size": 8, "spatial_merge_size": 2,
    "spatial_patch_size": 8, "temporal_patch_size": 2},
    [("visual.patch_embed.proj.weight", [32, 3, 2, 8, 8])]
    + layers(3, pairs(("norm1", [32]), ("norm2", [32]), ("attn.qkv", [96, 32]), ("attn.proj", [32, 32]), ("mlp.fc1", [128, 32]),
                      ("mlp.fc2", [32, 128])), "visual.blocks.")
    + pairs(("visual.merger.ln_q", [32]), ("visual.merger.mlp.0", [128, 128]), ("visual.merger.mlp.2", [64, 128])), ("bf16", "f16"), 1e-06)
qwen2("qwen2.5-vl", "Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", {
    "depth": 4, "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 84, "num_heads": 2, "in_chans": 3, "out_hidden_size": 64,
    "patch_size": 8, "spatial_merge_size": 2, "spatial_patch_size": 8, "window_size": 112, "fullatt_block_indexes": [1, 3],
    "tokens_per_second": 2, "temporal_patch_size": 2},
    [("visual.patch_embed.proj.weight", [32, 3, 2, 8, 8])]
    + layers(4, norms(32, "norm1", "norm2") + pairs(("attn.qkv", [96, 32]), ("attn.proj", [32, 32]), ("mlp.gate_proj", [84, 32]),
             ("mlp.up_proj", [84, 32]), ("mlp.down_proj", [32, 84])), "visual.blocks.")
    + norms(32, "visual.merger.ln_q") + pairs(("visual.merger.mlp.0", [128, 128]), ("visual.merger.mlp.2", [64, 128])),
    ("bf16", "q8_0"), 1e-05)

QWEN3_TOWER = {"deepstack_visual_indexes": [0, 2], "depth": 3, "hidden_act": "gelu_pytorch_tanh", "hidden_size": 32, "in_channels": 3,
               "initializer_range": 0.02, "intermediate_size": 80, "num_heads": 2, "num_position_embeddings": 36, "out_hidden_size": 64,
               "patch_size": 8, "spatial_merge_size": 2, "temporal_patch_size": 2}


def qwen3_tower(at="model.visual."):
    merger = (("linear_fc1", [128, 128]), ("linear_fc2", [64, 128]))
    return (layers(3, pairs(("attn.proj", [32, 32]), ("attn.qkv", [96, 32]), ("mlp.linear_fc1", [80, 32]), ("mlp.linear_fc2", [32, 80]),
                            ("norm1", [32]), ("norm2", [32])), at + "blocks.")
            + layers(2, pairs(*merger, ("norm", [128])), at + "deepstack_merger_list.") + [(f"{at}merger.{n}", s) for n, s in
                                                                                          pairs(*merger, ("norm", [32]))]
            + pairs((at + "patch_embed.proj", [32, 3, 2, 8, 8])) + [(at + "pos_embed.weight", [36, 32])])


def qwen3(name, kind, model_type, text, rows, outtypes):
    multimodal(name, kind, BPE, {"image_token_id": 14, "model_type": model_type, "tie_word_embeddings": True, "video_token_id": 15,
                                 "vision_end_token_id": 12, "vision_start_token_id": 11, "vision_config": {**QWEN3_TOWER, "model_type": model_type},
                                 "text_config": {**qwen_text(5000000), "head_dim": 16, "max_position_embeddings": 262144,
                                                 "model_type": model_type + "_text", "dtype": "bfloat16", "attention_bias": False,
                                                 "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
                                                 **text}},
               [("model.language_model.embed_tokens.weight", [V, 64])]
               + layers(2, norms(64, "input_layernorm") + rows + norms(64, "post_attention_layernorm") + attention(64, 64, 32, head=16),
                        "model.language_model.layers.") + [("model.language_model.norm.weight", [64])] + qwen3_tower(),
               projector=outtypes, pre=PRE, files=preprocessor(size={"longest_edge": 16777216, "shortest_edge": 65536}, patch_size=8,
                                                               temporal_patch_size=2, merge_size=2))


qwen3("qwen3-vl", "Qwen3VLForConditionalGeneration", "qwen3_vl", {}, mlp(64, 96), ("bf16", "f16"))
qwen3("qwen3-vl-moe", "Qwen3VLMoeForConditionalGeneration", "qwen3_vl_moe", {
    "decoder_sparse_step": 1, "mlp_only_layers": [], "moe_intermediate_size": 32, "norm_topk_prob": True, "num_experts": 4,
    "num_experts_per_tok": 2},
    [("mlp.experts.down_proj", [4, 32, 64]), ("mlp.experts.gate_up_proj", [4, 64, 64]), ("mlp.gate.weight", [4, 64])], ("bf16",))
