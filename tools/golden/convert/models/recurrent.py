"""State space models and hybrids with attention."""
from .parts import BPE, PRE, V, attention, layers, mlp, model, norms

# ---- Mamba
def mamba1(h, r):
    return [("norm.weight", [h])] + [("mixer." + n, s) for n, s in (
        ("A_log", [2 * h, 16]), ("D", [2 * h]), ("conv1d.weight", [2 * h, 1, 4]), ("conv1d.bias", [2 * h]), ("in_proj.weight", [4 * h, h]),
        ("x_proj.weight", [r + 32, 2 * h]), ("dt_proj.weight", [2 * h, r]), ("dt_proj.bias", [2 * h]), ("out_proj.weight", [h, 2 * h]))]


model("mamba", "MambaForCausalLM", BPE, {
    "bos_token_id": 259, "conv_kernel": 4, "d_inner": 128, "d_model": 64, "eos_token_id": 259, "expand": 2, "fused_add_norm": True,
    "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.1, "intermediate_size": 128, "layer_norm_epsilon": 1e-05,
    "model_type": "mamba", "n_layer": 2, "num_hidden_layers": 2, "pad_token_id": 259, "pad_vocab_size_multiple": 8, "rms_norm": True,
    "ssm_cfg": {}, "state_size": 16, "time_step_rank": 4, "use_bias": False, "use_cache": True, "use_conv_bias": True, "vocab_size": V},
    [("backbone.embeddings.weight", [V, 64]), ("backbone.norm_f.weight", [64])] + layers(2, mamba1(64, 4), "backbone.layers."),
    dtype="F32", outtype="f16", pre=PRE)
model("mamba-repeated", "MambaLMHeadModel", BPE, {
    "bos_token_id": 259, "d_model": 64, "eos_token_id": 259, "n_layer": 1, "rms_norm": True, "vocab_size": V},
    [("backbone.embedding.weight", [V, 64], "F16", 4096), ("lm_head.weight", [V, 64], "F16", 4096), ("backbone.norm_f.weight", [64])]
    + layers(1, mamba1(64, 4), "backbone.layers."), dtype="F16", outtype="f16", pre=PRE)
model("falcon-mamba", "FalconMambaForCausalLM", BPE, {
    "bos_token_id": 259, "conv_kernel": 4, "eos_token_id": 259, "expand": 16, "hidden_act": "silu", "hidden_size": 64,
    "intermediate_size": 128, "layer_norm_epsilon": 1e-05, "mixer_rms_eps": 1e-06, "model_type": "falcon_mamba", "num_hidden_layers": 2,
    "pad_token_id": 259, "state_size": 16, "tie_word_embeddings": False, "time_step_rank": 4, "use_bias": False, "use_conv_bias": True,
    "vocab_size": V},
    [("backbone.embeddings.weight", [V, 64]), ("backbone.norm_f.weight", [64]), ("lm_head.weight", [V, 64])]
    + layers(2, mamba1(64, 4), "backbone.layers."), pre=PRE)
model("mamba2", "Mamba2ForCausalLM", BPE, {
    "bos_token_id": 259, "chunk_size": 256, "conv_kernel": 4, "eos_token_id": 259, "expand": 2, "head_dim": 16, "hidden_act": "silu",
    "hidden_size": 64, "layer_norm_epsilon": 1e-05, "model_type": "mamba2", "n_groups": 2, "norm_before_gate": True, "num_heads": 8,
    "num_hidden_layers": 2, "pad_token_id": 259, "rms_norm": True, "state_size": 16, "tie_word_embeddings": False,
    "time_step_rank": 4, "use_bias": False, "use_conv_bias": True, "vocab_size": V},
    [("backbone.embeddings.weight", [V, 64]), ("backbone.norm_f.weight", [64]), ("lm_head.weight", [V, 64])]
    + layers(2, [("norm.weight", [64])] + [("mixer." + n, s) for n, s in (
        ("A_log", [8]), ("D", [8]), ("dt_bias", [8]), ("conv1d.weight", [192, 1, 4]), ("conv1d.bias", [192]), ("in_proj.weight", [328, 64]),
        ("norm.weight", [128]), ("out_proj.weight", [64, 128]))], "backbone.layers."), pre=PRE)

# ---- LFM2
LFM2 = {"bos_token_id": 259, "conv_L_cache": 3, "conv_bias": False, "eos_token_id": 260, "hidden_size": 64, "initializer_range": 0.02,
        "layer_types": ["conv", "full_attention"], "max_position_embeddings": 128000, "norm_eps": 1e-05, "num_attention_heads": 4,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "pad_token_id": 259, "rope_theta": 1000000.0, "use_pos_enc": True, "vocab_size": V}
LFM2_CONV = [("conv.conv.weight", [64, 1, 3]), ("conv.in_proj.weight", [192, 64]), ("conv.out_proj.weight", [64, 64])]
LFM2_ATTENTION = [("self_attn.q_proj.weight", [64, 64]), ("self_attn.k_proj.weight", [32, 64]), ("self_attn.v_proj.weight", [32, 64]),
                  ("self_attn.out_proj.weight", [64, 64]), ("self_attn.q_layernorm.weight", [16]), ("self_attn.k_layernorm.weight", [16])]
LFM2_NORMS = norms(64, "operator_norm", "ffn_norm")
LFM2_EMBEDDINGS = [("model.embed_tokens.weight", [V, 64]), ("model.embedding_norm.weight", [64])]


def lfm2_ff(f):
    return [("feed_forward.w1.weight", [f, 64]), ("feed_forward.w2.weight", [64, f]), ("feed_forward.w3.weight", [f, 64])]


model("lfm2", "Lfm2ForCausalLM", BPE, {
    **LFM2, "block_auto_adjust_ff_dim": True, "block_dim": 64, "block_ff_dim": 96, "block_ffn_dim_multiplier": 1.0,
    "block_mlp_init_scale": 1.0, "block_multiple_of": 16, "block_norm_eps": 1e-05, "block_out_init_scale": 1.0, "block_use_swiglu": True,
    "conv_dim": 64, "conv_dim_out": 64, "conv_use_xavier_init": True, "model_type": "lfm2", "num_heads": 4},
    LFM2_EMBEDDINGS + layers(1, LFM2_NORMS + LFM2_CONV + lfm2_ff(64)) + layers(1, LFM2_NORMS + LFM2_ATTENTION + lfm2_ff(64), start=1),
    pre=PRE)
model("lfm2-moe", "Lfm2MoeForCausalLM", BPE, {
    **LFM2, "intermediate_size": 96, "model_type": "lfm2_moe", "moe_intermediate_size": 32, "norm_topk_prob": True, "num_dense_layers": 1,
    "num_experts": 4, "num_experts_per_tok": 2, "routed_scaling_factor": 1.0, "use_expert_bias": True},
    LFM2_EMBEDDINGS + layers(1, LFM2_NORMS + LFM2_CONV + lfm2_ff(96))
    + layers(1, LFM2_NORMS + LFM2_ATTENTION + [("feed_forward.gate.weight", [4, 64]), ("feed_forward.expert_bias", [4], "F32")]
             + [(f"feed_forward.experts.{e}.{w}.weight", [64, 32] if w == "w2" else [32, 64]) for e in range(4) for w in ("w1", "w2", "w3")],
             start=1), pre=PRE)

# ---- Falcon-H1
model("falcon-h1", "FalconH1ForCausalLM", BPE, {
    "attention_bias": False, "attention_dropout": 0.0, "attention_in_multiplier": 0.9, "attention_out_multiplier": 0.7, "attn_layer_indices": None,
    "bos_token_id": 259, "embedding_multiplier": 5.656854249492381, "eos_token_id": 259, "head_dim": 16, "hidden_act": "silu",
    "hidden_size": 64, "initializer_range": 0.02, "intermediate_size": 96, "key_multiplier": 0.39062499999999994,
    "lm_head_multiplier": 0.0390625, "mamba_chunk_size": 256, "mamba_conv_bias": True, "mamba_d_conv": 4, "mamba_d_head": 16,
    "mamba_d_ssm": 96, "mamba_d_state": 16, "mamba_expand": 2, "mamba_n_groups": 2, "mamba_n_heads": 6, "mamba_norm_before_gate": False,
    "mamba_proj_bias": False, "mamba_rms_norm": False, "mamba_use_mlp": True, "max_position_embeddings": 16384, "mlp_bias": False,
    "mlp_multipliers": [0.8838834764831844, 0.5859375], "model_type": "falcon_h1", "num_attention_heads": 4, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "num_logits_to_keep": 1, "pad_token_id": 259, "projectors_bias": False, "rms_norm_eps": 1e-05,
    "rope_scaling": None, "rope_theta": 100000000000.0, "ssm_in_multiplier": 1.25, "ssm_multipliers": [
        0.3535533905932738, 0.25, 0.3535533905932738, 0.5, 0.3535533905932738], "ssm_out_multiplier": 0.23570226039551587,
    "tie_word_embeddings": False, "vocab_size": V},
    [("model.embed_tokens.weight", [V, 64]), ("model.final_layernorm.weight", [64]), ("lm_head.weight", [V, 64])]
    + layers(2, norms(64, "input_layernorm", "pre_ff_layernorm") + attention(64, 64, 32) + mlp(64, 96, "feed_forward.")
             + [("mamba." + n, s) for n, s in (("A_log", [6]), ("D", [6]), ("dt_bias", [6]), ("conv1d.weight", [160, 1, 4]),
                                               ("conv1d.bias", [160]), ("in_proj.weight", [262, 64]), ("norm.weight", [96]),
                                               ("out_proj.weight", [64, 96]))]), pre=PRE)

# ---- Nemotron-H and Nemotron 3 Nano
NEMOTRON = {
    "attention_bias": False, "bos_token_id": 260, "chunk_size": 128, "conv_kernel": 4, "eos_token_id": 259, "expand": 2, "head_dim": 16,
    "hidden_size": 64, "hybrid_override_pattern": "M-M*", "intermediate_size": 96, "layer_norm_epsilon": 1e-05, "mamba_head_dim": 16,
    "mamba_hidden_act": "silu", "mamba_num_heads": 8, "mamba_proj_bias": False, "max_position_embeddings": 8192, "mlp_bias": False,
    "mlp_hidden_act": "relu2", "model_type": "nemotron_h", "n_groups": 2, "num_attention_heads": 4, "num_hidden_layers": 4, "num_key_value_heads": 2,
    "pad_token_id": 0, "rms_norm_eps": 1e-05, "ssm_state_size": 16, "tie_word_embeddings": False, "use_bias": False, "use_conv_bias": True, "vocab_size": V}
NEMOTRON_ENDS = [("backbone.embeddings.weight", [V, 64]), ("backbone.norm_f.weight", [64]), ("lm_head.weight", [V, 64])]
NEMOTRON_PARTS = {
    "M": [("A_log", [8]), ("D", [8]), ("dt_bias", [8]), ("conv1d.weight", [192, 1, 4]), ("conv1d.bias", [192]), ("in_proj.weight", [328, 64]),
          ("norm.weight", [128]), ("out_proj.weight", [64, 128])],
    "*": [("q_proj.weight", [64, 64]), ("k_proj.weight", [32, 64]), ("v_proj.weight", [32, 64]), ("o_proj.weight", [64, 64])],
    "-": [("up_proj.weight", [96, 64]), ("down_proj.weight", [64, 96])],
    "E": [("gate.weight", [4, 64], "F32"), ("gate.e_score_correction_bias", [4], "F32"), ("shared_experts.up_proj.weight", [48, 64]),
          ("shared_experts.down_proj.weight", [64, 48])] + [
        row for e in range(4) for row in ((f"experts.{e}.up_proj.weight", [32, 64]), (f"experts.{e}.down_proj.weight", [64, 32]))]}


def nemotron(pattern):
    return NEMOTRON_ENDS + [row for n, kind in enumerate(pattern) for row in layers(
        1, [("norm.weight", [64])] + [("mixer." + r[0], *r[1:]) for r in NEMOTRON_PARTS[kind]], "backbone.layers.", start=n)]


model("nemotron-h", "NemotronHForCausalLM", BPE, NEMOTRON, nemotron("M-M*"), pre=PRE)
model("nemotron3-nano", "NemotronHForCausalLM", BPE, {
    **NEMOTRON, "hybrid_override_pattern": "MEM*E", "moe_intermediate_size": 32, "moe_shared_expert_intermediate_size": 48, "n_group": 1,
    "n_routed_experts": 4, "n_shared_experts": 1, "norm_topk_prob": True, "num_experts_per_tok": 2, "num_hidden_layers": 5,
    "routed_scaling_factor": 2.5, "topk_group": 1}, nemotron("MEM*E"), pre=PRE)
