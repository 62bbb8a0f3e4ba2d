"""Gemma 3n and 4."""
from .parts import attention, inner, layers, mlp, model, norms

# ---- Gemma 3n, Gemma 4
GEMMA_NORMS = norms(64, "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
model("gemma3n", "Gemma3nForConditionalGeneration", "gemma-spm", {
    "audio_token_id": 19, "model_type": "gemma3n", "text_config": {
        "activation_sparsity_pattern": [0.95, 0.0], "altup_active_idx": 0, "altup_coef_clip": 120.0, "altup_correct_scale": True,
        "altup_num_inputs": 4, "attention_bias": False, "attention_dropout": 0.0, "final_logit_softcapping": 30.0, "head_dim": 16,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 64, "hidden_size_per_layer_input": 8, "initializer_range": 0.02,
        "intermediate_size": 96, "laurel_rank": 8, "layer_types": ["sliding_attention", "full_attention"],
        "max_position_embeddings": 32768, "model_type": "gemma3n_text", "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "num_kv_shared_layers": 1, "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-06,
        "rope_local_base_freq": 10000.0, "rope_scaling": None, "rope_theta": 1000000.0, "sliding_window": 512, "vocab_size": 24,
        "vocab_size_per_layer_input": 20}},
    [(r[0].replace("model.", "model.language_model.", 1),) + tuple(r[1:]) for r in
     [("model.embed_tokens.weight", [24, 64]), ("model.norm.weight", [64]), ("model.embed_tokens_per_layer.weight", [20, 16]),
      ("model.per_layer_model_projection.weight", [16, 64]), ("model.per_layer_projection_norm.weight", [8])]
     + [(f"model.altup_{p}projections.{i}.weight", [64, 64]) for p in ("", "unembed_") for i in range(3)]
     + layers(2, GEMMA_NORMS + attention(64, 64, 32, head=16) + mlp(64, 96) + norms(64, "post_per_layer_input_norm", "laurel.post_laurel_norm",
              "altup.router_norm") + [("per_layer_input_gate.weight", [8, 64]), ("per_layer_projection.weight", [64, 8]),
              ("laurel.linear_left.weight", [8, 64]), ("laurel.linear_right.weight", [64, 8]), ("altup.correct_output_scale", [64]),
              ("altup.correction_coefs.weight", [4, 4]), ("altup.prediction_coefs.weight", [16, 4]), ("altup.modality_router.weight", [4, 64])])]
    + [("model.vision_tower.timm_model.conv_stem.conv.bias", [8]), ("model.audio_tower.subsample_conv_projection.input_proj_linear.weight", [8, 8]),
       ("model.embed_vision.embedding.weight", [8, 8]), ("model.embed_audio.embedding.weight", [8, 8])])


def gemma4(dense, moe):
    shared = GEMMA_NORMS + [("layer_scalar", [1]), ("per_layer_input_gate.weight", [8, 64]), ("per_layer_projection.weight", [64, 8]),
                            ("post_per_layer_input_norm.weight", [64])]
    full = attention(64, 128, 32, head=32)
    sliding = attention(64, 64, 32, head=16)
    extra = ([("router.proj.weight", [4, 64]), ("router.scale", [64]), ("router.per_expert_scale", [4]),
              ("experts.gate_up_proj", [4, 64, 64]), ("experts.down_proj", [4, 64, 32])]
             + norms(64, "post_feedforward_layernorm_1", "post_feedforward_layernorm_2", "pre_feedforward_layernorm_2")) if moe else []
    return inner([("model.embed_tokens.weight", [64, 64]), ("model.norm.weight", [64]), ("model.embed_tokens_per_layer.weight", [64, 16]),
                  ("model.per_layer_model_projection.weight", [16, 64]), ("model.per_layer_projection_norm.weight", [8])]
                 + layers(1, shared + sliding + mlp(64, 96) + extra) + layers(1, shared + full + mlp(64, dense) + extra, start=1))


GEMMA4 = {"attention_bias": False, "attention_dropout": 0.0, "attention_k_eq_v": False, "bos_token_id": 2, "eos_token_id": 1,
          "final_logit_softcapping": 30.0, "global_head_dim": 32, "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh",
          "hidden_size": 64, "hidden_size_per_layer_input": 8, "initializer_range": 0.02, "intermediate_size": 96,
          "layer_types": ["sliding_attention", "full_attention"], "max_position_embeddings": 131072, "model_type": "gemma4_text",
          "moe_intermediate_size": None, "num_attention_heads": 4, "num_experts": None, "num_global_key_value_heads": None,
          "num_hidden_layers": 2, "num_key_value_heads": 2, "num_kv_shared_layers": 1, "pad_token_id": 0, "rms_norm_eps": 1e-06,
          "rope_parameters": {"full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
                              "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}},
          "sliding_window": 512, "tie_word_embeddings": True, "top_k_experts": None, "use_bidirectional_attention": None,
          "use_double_wide_mlp": True, "vocab_size": 64, "vocab_size_per_layer_input": 64}
model("gemma4", "Gemma4ForConditionalGeneration", "gemma4-like", {"model_type": "gemma4", "text_config": GEMMA4, "image_token_id": 20},
      gemma4(192, False))
model("gemma4-moe", "Gemma4ForConditionalGeneration", "gemma4-like", {"model_type": "gemma4", "text_config": {
    **GEMMA4, "attention_k_eq_v": True, "moe_intermediate_size": 32, "num_experts": 4, "num_global_key_value_heads": 1, "top_k_experts": 2,
    "use_double_wide_mlp": False, "enable_moe_block": True, "num_kv_shared_layers": 0}},
    [r for r in gemma4(96, True) if "layers.1.self_attn.v_proj" not in r[0]])
