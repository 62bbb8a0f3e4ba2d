"""Models with experts, and those that go with them."""
from .parts import BPE, PRE, V, attention, decoder, experts, inner, layers, mlp, model, norms

# ---- Qwen MoE
model("qwen2-moe", "Qwen2MoeForCausalLM", BPE, {
    "attention_dropout": 0.0, "bos_token_id": 259, "eos_token_id": 259, "decoder_sparse_step": 1, "hidden_act": "silu",
    "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 96, "max_position_embeddings": 8192,
    "max_window_layers": 21, "model_type": "qwen2_moe", "moe_intermediate_size": 32, "norm_topk_prob": False,
    "num_attention_heads": 4, "num_experts": 11, "num_experts_per_tok": 4, "num_hidden_layers": 2,
    "num_key_value_heads": 4, "output_router_logits": False, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "router_aux_loss_coef": 0.001, "shared_expert_intermediate_size": 96, "sliding_window": 32768,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_sliding_window": False, "vocab_size": V},
    decoder(V, 64) + layers(2, norms(64, "input_layernorm", "post_attention_layernorm") + attention(64, 64, 64, bias=True)
                            + experts(11, 64, 32) + mlp(64, 96, "mlp.shared_expert.")
                            + [("mlp.gate.weight", [11, 64]), ("mlp.shared_expert_gate.weight", [1, 64])]), pre=PRE)
model("qwen3-moe", "Qwen3MoeForCausalLM", BPE, {
    "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 259, "decoder_sparse_step": 1, "eos_token_id": 259,
    "head_dim": 32, "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 192,
    "max_position_embeddings": 40960, "max_window_layers": 48, "mlp_only_layers": [], "model_type": "qwen3_moe",
    "moe_intermediate_size": 32, "norm_topk_prob": True, "num_attention_heads": 4, "num_experts": 12,
    "num_experts_per_tok": 8, "num_hidden_layers": 2, "num_key_value_heads": 2, "output_router_logits": False,
    "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000.0, "router_aux_loss_coef": 0.001,
    "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "use_sliding_window": False,
    "vocab_size": V},
    decoder(V, 64) + layers(2, norms(64, "input_layernorm", "post_attention_layernorm")
                            + attention(64, 128, 64, head=32) + experts(12, 64, 32) + [("mlp.gate.weight", [12, 64])]),
    pre=PRE)
model("qwen3-moe-fused", "Qwen3MoeForCausalLM", BPE, {
    "eos_token_id": 259, "head_dim": 32, "hidden_act": "silu", "hidden_size": 64, "intermediate_size": 192,
    "max_position_embeddings": 40960, "model_type": "qwen3_moe", "moe_intermediate_size": 32, "norm_topk_prob": True,
    "num_attention_heads": 4, "num_experts": 4, "num_experts_per_tok": 2, "num_hidden_layers": 1,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "tie_word_embeddings": True,
    "vocab_size": V},
    decoder(V, 64, False) + layers(1, norms(64, "input_layernorm", "post_attention_layernorm")
                                   + attention(64, 128, 64, head=32)
                                   + [("mlp.experts.gate_up_proj", [4, 64, 64]), ("mlp.experts.down_proj", [4, 64, 32]),
                                      ("mlp.gate.weight", [4, 64])]), pre=PRE)

# ---- gpt-oss
GPT_OSS = {
    "attention_bias": True, "attention_dropout": 0.0, "eos_token_id": 259, "experts_per_token": 2, "head_dim": 16,
    "hidden_act": "silu", "hidden_size": 64, "initial_context_length": 4096, "initializer_range": 0.02,
    "intermediate_size": 64, "layer_types": ["sliding_attention", "full_attention"], "max_position_embeddings": 131072,
    "model_type": "gpt_oss", "num_attention_heads": 4, "num_experts_per_tok": 2, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "num_local_experts": 4, "output_router_logits": False, "pad_token_id": 260,
    "rms_norm_eps": 1e-05, "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
                                            "original_max_position_embeddings": 4096, "rope_type": "yarn",
                                            "truncate": False},
    "rope_theta": 150000, "router_aux_loss_coef": 0.9, "sliding_window": 128, "swiglu_limit": 7.0,
    "tie_word_embeddings": False, "use_cache": True, "vocab_size": V}


def gpt_oss(mxfp4):
    parts = norms(64, "input_layernorm", "post_attention_layernorm") + attention(64, 64, 32, bias=True, o_bias=True) + [
        ("self_attn.sinks", [4]), ("mlp.router.weight", [4, 64]), ("mlp.router.bias", [4]),
        ("mlp.experts.gate_up_proj_bias", [4, 128]), ("mlp.experts.down_proj_bias", [4, 64])]
    if mxfp4:
        parts += [("mlp.experts.gate_up_proj_blocks", [4, 128, 2, 16], "U8"), ("mlp.experts.gate_up_proj_scales", [4, 128, 2], "U8"),
                  ("mlp.experts.down_proj_blocks", [4, 64, 2, 16], "U8"), ("mlp.experts.down_proj_scales", [4, 64, 2], "U8")]
    else:
        parts += [("mlp.experts.gate_up_proj", [4, 64, 128]), ("mlp.experts.down_proj", [4, 64, 64])]
    return decoder(V, 64) + layers(2, parts)


model("gpt-oss", "GptOssForCausalLM", BPE, {**GPT_OSS, "quantization_config": {
    "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
    "quant_method": "mxfp4"}}, gpt_oss(True), pre=PRE)
model("gpt-oss-bf16", "GptOssForCausalLM", BPE, GPT_OSS, gpt_oss(False), pre=PRE)

# ---- DeepSeek
DEEPSEEK = {
    "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 260, "eos_token_id": 259,
    "first_k_dense_replace": 1, "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.02,
    "intermediate_size": 96, "kv_lora_rank": 32, "max_position_embeddings": 163840, "moe_intermediate_size": 32,
    "moe_layer_freq": 1, "n_routed_experts": 12, "n_shared_experts": 2, "num_attention_heads": 4,
    "num_experts_per_tok": 6, "num_hidden_layers": 2, "num_key_value_heads": 4, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "rms_norm_eps": 1e-06, "rope_theta": 10000, "tie_word_embeddings": False,
    "torch_dtype": "bfloat16", "v_head_dim": 24, "vocab_size": V}


def deepseek(q_lora, bias, mtp):
    attn = norms(64, "input_layernorm", "post_attention_layernorm") + [
        ("self_attn.kv_a_proj_with_mqa.weight", [40, 64]), ("self_attn.kv_a_layernorm.weight", [32]),
        ("self_attn.kv_b_proj.weight", [160, 32]), ("self_attn.o_proj.weight", [64, 96])]
    attn += [("self_attn.q_a_proj.weight", [48, 64]), ("self_attn.q_a_layernorm.weight", [48]),
             ("self_attn.q_b_proj.weight", [96, 48])] if q_lora else [("self_attn.q_proj.weight", [96, 64])]
    moe = experts(12, 64, 32) + mlp(64, 64, "mlp.shared_experts.") + [("mlp.gate.weight", [12, 64])]
    if bias:
        moe.append(("mlp.gate.e_score_correction_bias", [12], "F32"))
    out = decoder(V, 64) + layers(1, attn + mlp(64, 96)) + layers(1, attn + moe, start=1)
    if mtp:
        out += layers(1, attn + moe + norms(64, "enorm", "hnorm", "shared_head.norm") + [
            ("eh_proj.weight", [64, 128]), ("embed_tokens.weight", [V, 64]), ("shared_head.head.weight", [V, 64])], start=2)
    return out


model("deepseek-v2-lite", "DeepseekV2ForCausalLM", BPE, {
    **DEEPSEEK, "model_type": "deepseek_v2", "aux_loss_alpha": 0.001, "ep_size": 1, "n_group": 1, "norm_topk_prob": False,
    "q_lora_rank": None, "rope_scaling": {"beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 0.707,
                                          "mscale_all_dim": 0.707, "original_max_position_embeddings": 4096, "type": "yarn"},
    "routed_scaling_factor": 1.0, "scoring_func": "softmax", "seq_aux": True, "topk_group": 1, "topk_method": "greedy"},
    deepseek(False, False, False), pre=PRE)
model("deepseek-v3", "DeepseekV3ForCausalLM", BPE, {
    **DEEPSEEK, "model_type": "deepseek_v3", "ep_size": 1, "n_group": 4, "norm_topk_prob": True,
    "num_nextn_predict_layers": 1, "q_lora_rank": 48, "rope_scaling": {
        "beta_fast": 32, "beta_slow": 1, "factor": 40, "mscale": 1.0, "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 4096, "type": "yarn"},
    "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_group": 2, "topk_method": "noaux_tc"},
    deepseek(True, True, True), pre=PRE)
model("deepseek-moe", "DeepseekForCausalLM", BPE, {
    "attention_bias": False, "bos_token_id": 260, "eos_token_id": 259, "first_k_dense_replace": 1, "hidden_act": "silu",
    "hidden_size": 64, "intermediate_size": 96, "max_position_embeddings": 4096, "model_type": "deepseek",
    "moe_intermediate_size": 32, "moe_layer_freq": 1, "n_routed_experts": 4, "n_shared_experts": 2,
    "norm_topk_prob": False, "num_attention_heads": 4, "num_experts_per_tok": 2, "num_hidden_layers": 2,
    "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000,
    "scoring_func": "softmax", "tie_word_embeddings": False, "vocab_size": V},
    decoder(V, 64) + layers(1, norms(64, "input_layernorm", "post_attention_layernorm") + attention(64, 64, 64) + mlp(64, 96))
    + layers(1, norms(64, "input_layernorm", "post_attention_layernorm") + attention(64, 64, 64) + experts(4, 64, 32)
             + mlp(64, 64, "mlp.shared_experts.") + [("mlp.gate.weight", [4, 64])], start=1), pre=PRE)

# ---- Qwen3-Next, Qwen3.5
def linear_attention(h, nk, nv, dk, dv, split):
    qkv = 2 * nk * dk + nv * dv
    rows = [("linear_attn.A_log", [nv]), ("linear_attn.dt_bias", [nv]), ("linear_attn.norm.weight", [dv]),
            ("linear_attn.conv1d.weight", [qkv, 1, 4]), ("linear_attn.out_proj.weight", [h, nv * dv])]
    if split:
        return rows + [("linear_attn.in_proj_qkv.weight", [qkv, h]), ("linear_attn.in_proj_z.weight", [nv * dv, h]),
                       ("linear_attn.in_proj_a.weight", [nv, h]), ("linear_attn.in_proj_b.weight", [nv, h])]
    return rows + [("linear_attn.in_proj_qkvz.weight", [qkv + nv * dv, h]), ("linear_attn.in_proj_ba.weight", [2 * nv, h])]


def qwen_moe(h, n, f, s, fused=False):
    rows = [("mlp.gate.weight", [n, h]), ("mlp.shared_expert_gate.weight", [1, h])] + mlp(h, s, "mlp.shared_expert.")
    return rows + ([("mlp.experts.gate_up_proj", [n, 2 * f, h]), ("mlp.experts.down_proj", [n, h, f])] if fused
                   else experts(n, h, f))


PAIR = norms(64, "input_layernorm", "post_attention_layernorm")
QWEN_NEXT = {
    "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 259, "eos_token_id": 259,
    "full_attention_interval": 2, "head_dim": 32, "hidden_act": "silu", "hidden_size": 64,
    "layer_types": ["linear_attention", "full_attention"], "linear_conv_kernel_dim": 4, "linear_key_head_dim": 16,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_value_head_dim": 16, "max_position_embeddings": 262144,
    "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-06,
    "tie_word_embeddings": False, "vocab_size": V}
GATED = [("self_attn.q_proj.weight", [256, 64]), ("self_attn.k_proj.weight", [64, 64]), ("self_attn.v_proj.weight", [64, 64]),
         ("self_attn.o_proj.weight", [64, 128]), ("self_attn.q_norm.weight", [32]), ("self_attn.k_norm.weight", [32])]


def mtp(mlp_rows):
    return [("mtp.fc.weight", [64, 128])] + norms(64, "mtp.norm", "mtp.pre_fc_norm_embedding", "mtp.pre_fc_norm_hidden") \
        + layers(1, PAIR + GATED + mlp_rows, "mtp.layers.")


model("qwen3-next", "Qwen3NextForCausalLM", BPE, {
    **QWEN_NEXT, "decoder_sparse_step": 1, "intermediate_size": 96, "mlp_only_layers": [], "model_type": "qwen3_next",
    "moe_intermediate_size": 32, "norm_topk_prob": True, "num_experts": 4, "num_experts_per_tok": 2,
    "partial_rotary_factor": 0.25, "rope_scaling": None, "rope_theta": 10000000, "shared_expert_intermediate_size": 32},
    decoder(V, 64) + layers(1, PAIR + linear_attention(64, 2, 4, 16, 16, False) + qwen_moe(64, 4, 32, 32))
    + layers(1, PAIR + GATED + qwen_moe(64, 4, 32, 32), start=1) + mtp(qwen_moe(64, 4, 32, 32)), pre=PRE)
QWEN35 = {**QWEN_NEXT, "attn_output_gate": True, "mtp_num_hidden_layers": 1,
          "mtp_use_dedicated_embeddings": False, "mamba_ssm_dtype": "float32",
          "rope_parameters": {"mrope_interleaved": True, "mrope_section": [2, 1, 1], "partial_rotary_factor": 0.25,
                              "rope_theta": 10000000, "rope_type": "default"}}


VISION = [("model.visual.patch_embed.proj.bias", [8]), ("model.visual.merger.norm.weight", [8])]
model("qwen35", "Qwen3_5ForConditionalGeneration", BPE, {
    "image_token_id": 262, "model_type": "qwen3_5", "text_config": {**QWEN35, "intermediate_size": 96, "model_type": "qwen3_5_text"},
    "tie_word_embeddings": False, "vision_config": {"depth": 1, "hidden_size": 8, "model_type": "qwen3_5"}},
    inner(decoder(V, 64) + layers(1, PAIR + linear_attention(64, 2, 4, 16, 16, True) + mlp(64, 96))
          + layers(1, PAIR + GATED + mlp(64, 96), start=1) + mtp(mlp(64, 96))) + VISION, pre=PRE)
model("qwen35-moe", "Qwen3_5MoeForConditionalGeneration", BPE, {
    "image_token_id": 262, "model_type": "qwen3_5_moe",
    "text_config": {**QWEN35, "linear_num_key_heads": 2, "linear_num_value_heads": 6, "model_type": "qwen3_5_moe_text",
                    "moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2,
                    "rope_parameters": {"partial_rotary_factor": 0.25, "rope_theta": 10000000, "rope_type": "default"},
                    "shared_expert_intermediate_size": 32},
    "tie_word_embeddings": False},
    inner(decoder(V, 64) + layers(1, PAIR + linear_attention(64, 2, 6, 16, 16, True) + qwen_moe(64, 4, 32, 32, True))
          + layers(1, PAIR + GATED + qwen_moe(64, 4, 32, 32, True), start=1) + mtp(qwen_moe(64, 4, 32, 32, True))), pre=PRE)

# ---- GLM 4.5
def glm_moe(mtp_layer):
    attn = PAIR + attention(64, 128, 64, bias=True, head=32)
    moe = experts(4, 64, 32) + mlp(64, 32, "mlp.shared_experts.") + [("mlp.gate.weight", [4, 64]),
                                                                     ("mlp.gate.e_score_correction_bias", [4], "F32")]
    rows = decoder(V, 64) + layers(1, attn + mlp(64, 96)) + layers(1, attn + moe, start=1)
    if mtp_layer:
        rows += layers(1, attn + moe + norms(64, "enorm", "hnorm", "shared_head.norm") + [
            ("eh_proj.weight", [64, 128]), ("embed_tokens.weight", [V, 64]), ("shared_head.head.weight", [V, 64])], start=2)
    return rows


model("glm45-moe", "Glm4MoeForCausalLM", "glm-like", {
    "attention_bias": True, "attention_dropout": 0.0, "eos_token_id": [259, 261], "first_k_dense_replace": 1, "head_dim": 32,
    "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 96,
    "max_position_embeddings": 131072, "model_type": "glm4_moe", "moe_intermediate_size": 32, "n_group": 1,
    "n_routed_experts": 4, "n_shared_experts": 1, "norm_topk_prob": True, "num_attention_heads": 4,
    "num_experts_per_tok": 2, "num_hidden_layers": 2, "num_key_value_heads": 2, "num_nextn_predict_layers": 1,
    "pad_token_id": 259, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 1000000,
    "routed_scaling_factor": 1.0, "tie_word_embeddings": False, "topk_group": 1, "use_qk_norm": True, "vocab_size": V},
    glm_moe(True), pre="glm4")

# ---- Phi-3.5-MoE
model("phi35-moe", "PhiMoEForCausalLM", "spm-padded", {
    "attention_bias": True, "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    "hidden_size": 64, "initializer_range": 0.02, "input_jitter_noise": 0.01, "intermediate_size": 48, "lm_head_bias": True,
    "max_position_embeddings": 131072, "model_type": "phimoe", "num_attention_heads": 4, "num_experts_per_tok": 2,
    "num_hidden_layers": 2, "num_key_value_heads": 2, "num_local_experts": 4, "original_max_position_embeddings": 4096,
    "output_router_logits": False, "rms_norm_eps": 1e-05, "rope_scaling": {
        "long_factor": [1.0 + i / 8 for i in range(8)], "long_mscale": 1.243163121016122, "original_max_position_embeddings": 4096,
        "short_factor": [1.0] * 8, "short_mscale": 1.243163121016122, "type": "longrope"},
    "rope_theta": 10000.0, "router_aux_loss_coef": 0.0, "router_jitter_noise": 0.01, "sliding_window": 131072,
    "tie_word_embeddings": False, "vocab_size": 64},
    decoder(64, 64) + [("lm_head.bias", [64]), ("model.norm.bias", [64])]
    + layers(2, PAIR + [("input_layernorm.bias", [64]), ("post_attention_layernorm.bias", [64])]
             + attention(64, 64, 32, bias=True, o_bias=True) + [("block_sparse_moe.gate.weight", [4, 64])]
             + [row for e in range(4) for row in ((f"block_sparse_moe.experts.{e}.w1.weight", [48, 64]),
                                                  (f"block_sparse_moe.experts.{e}.w2.weight", [64, 48]),
                                                  (f"block_sparse_moe.experts.{e}.w3.weight", [48, 64]))]))

# ---- Granite
GRANITE = {
    "attention_bias": False, "attention_dropout": 0.0, "attention_multiplier": 0.015625, "bos_token_id": 259,
    "embedding_multiplier": 12.0, "eos_token_id": 259, "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.02,
    "intermediate_size": 32, "logits_scaling": 6.0, "max_position_embeddings": 4096, "num_attention_heads": 4,
    "num_experts_per_tok": 2, "num_hidden_layers": 2, "num_key_value_heads": 2, "num_local_experts": 4, "pad_token_id": 259,
    "residual_multiplier": 0.22, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000.0,
    "tie_word_embeddings": True, "vocab_size": V}
GRANITE_MOE = [("block_sparse_moe.input_linear.weight", [4, 64, 64]), ("block_sparse_moe.output_linear.weight", [4, 64, 32]),
               ("block_sparse_moe.router.layer.weight", [4, 64])]
SHARED_MLP = [("shared_mlp.input_linear.weight", [96, 64]), ("shared_mlp.output_linear.weight", [64, 48])]
model("granite-moe", "GraniteMoeForCausalLM", BPE, {**GRANITE, "model_type": "granitemoe"},
      decoder(V, 64, False) + layers(2, PAIR + attention(64, 64, 32) + GRANITE_MOE), pre=PRE)
model("granite-moe-shared", "GraniteMoeSharedForCausalLM", BPE,
      {**GRANITE, "model_type": "granitemoeshared", "shared_intermediate_size": 48},
      decoder(V, 64, False) + layers(1, PAIR + attention(64, 64, 32) + GRANITE_MOE + SHARED_MLP)
      + layers(1, PAIR + attention(64, 64, 32) + GRANITE_MOE + SHARED_MLP, start=1), pre=PRE)
MAMBA2 = [("A_log", [8]), ("D", [8]), ("dt_bias", [8]), ("conv1d.weight", [160, 1, 4]), ("conv1d.bias", [160]),
          ("in_proj.weight", [296, 64]), ("norm.weight", [128]), ("out_proj.weight", [64, 128])]
HYBRID = {**GRANITE, "model_type": "granitemoehybrid", "layer_types": ["mamba", "attention"], "mamba_chunk_size": 256,
          "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 16, "mamba_d_state": 16, "mamba_expand": 2,
          "mamba_n_groups": 1, "mamba_n_heads": 8, "mamba_proj_bias": False, "normalization_function": "rmsnorm",
          "position_embedding_type": "nope", "shared_intermediate_size": 48}
model("granite4-hybrid-moe", "GraniteMoeHybridForCausalLM", BPE, HYBRID,
      decoder(V, 64, False) + layers(1, PAIR + [("mamba." + r[0], r[1]) for r in MAMBA2] + GRANITE_MOE + SHARED_MLP)
      + layers(1, PAIR + attention(64, 64, 32) + GRANITE_MOE + SHARED_MLP, start=1), pre=PRE)
model("granite4-hybrid-dense", "GraniteMoeHybridForCausalLM", BPE,
      {**HYBRID, "num_local_experts": 0, "num_experts_per_tok": 0},
      decoder(V, 64, False) + layers(1, PAIR + [("mamba." + r[0], r[1]) for r in MAMBA2] + SHARED_MLP)
      + layers(1, PAIR + attention(64, 64, 32) + SHARED_MLP, start=1), pre=PRE)
model("granite4-dense", "GraniteMoeHybridForCausalLM", BPE,
      {**HYBRID, "num_local_experts": 0, "num_experts_per_tok": 0, "layer_types": ["attention", "attention"],
       "position_embedding_type": "rope"},
      decoder(V, 64, False) + layers(2, PAIR + attention(64, 64, 32) + SHARED_MLP), pre=PRE)
