"""Mixtures of experts that transformers does not know, or knows under other tensor names."""
from .encoders import POOLING
from .mixtures import DEEPSEEK, deepseek
from .parts import BPE, PRE, V, attention, decoder, experts, layers, mlp, model, norms

PAIR = norms(64, "input_layernorm", "post_attention_layernorm")
BASE = {"attention_bias": False, "bos_token_id": 260, "eos_token_id": 259, "hidden_act": "silu", "hidden_size": 64,
        "intermediate_size": 96, "max_position_embeddings": 4096, "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": V}
ROUTED = {"moe_intermediate_size": 32, "norm_topk_prob": True, "num_experts_per_tok": 2, "routed_scaling_factor": 2.5}


def mixtral(n, h, f):
    return [(f"block_sparse_moe.experts.{e}.{w}.weight", [h, f] if w == "w2" else [f, h]) for e in range(n) for w in ("w1", "w2", "w3")]


# ---- dots.llm1
SIGMOID = [("mlp.gate.weight", [4, 64]), ("mlp.gate.e_score_correction_bias", [4], "F32")]
model("dots1", "Dots1ForCausalLM", BPE, {
    **BASE, **ROUTED, "model_type": "dots1", "num_key_value_heads": 4, "first_k_dense_replace": 1, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 4,
    "n_shared_experts": 2, "scoring_func": "noaux_tc", "topk_group": 1, "topk_method": "noaux_tc", "head_dim": 16, "scoring_func": "sigmoid",
    "rope_scaling": None},
    decoder(V, 64) + layers(1, PAIR + attention(64, 64, 64, head=16) + mlp(64, 96))
    + layers(1, PAIR + attention(64, 64, 64, head=16) + SIGMOID + experts(4, 64, 32) + mlp(64, 64, "mlp.shared_experts."), start=1), pre=PRE)

# ---- Ling and Ring
BAILING = {**BASE, "first_k_dense_replace": 1, "head_dim": 16, "moe_intermediate_size": 32, "norm_topk_prob": True, "num_experts": 4,
           "num_experts_per_tok": 2, "num_shared_experts": 2, "rope_scaling": None, "use_bias": False, "use_qkv_bias": False}
BAILING_ENDS = [("model.word_embeddings.weight", [V, 64]), ("model.norm.weight", [64]), ("lm_head.weight", [V, 64])]
FUSED = [("attention.query_key_value.weight", [128, 64]), ("attention.dense.weight", [64, 64])]
BAILING_MOE = experts(4, 64, 32) + mlp(64, 64, "mlp.shared_experts.") + [("mlp.gate.weight", [4, 64])]
model("ling-lite", "BailingMoeForCausalLM", BPE, {**BAILING, "model_type": "bailing_moe", "first_k_dense_replace": 0, "norm_head": False,
      "norm_softmax": False}, BAILING_ENDS + layers(2, PAIR + FUSED + BAILING_MOE), pre=PRE)
QK = [("attention.query_layernorm.weight", [16]), ("attention.key_layernorm.weight", [16])]
model("ling2-mini", "BailingMoeV2ForCausalLM", BPE, {
    **BAILING, "model_type": "bailing_moe", "moe_router_enable_expert_bias": True, "moe_shared_expert_intermediate_size": 32, "n_group": 2,
    "num_nextn_predict_layers": 1, "num_shared_experts": 1, "partial_rotary_factor": 0.5, "routed_scaling_factor": 2.5,
    "score_function": "sigmoid", "topk_group": 1, "use_qk_norm": True},
    BAILING_ENDS + layers(1, PAIR + FUSED + QK + mlp(64, 96))
    + layers(1, PAIR + FUSED + QK + experts(4, 64, 32) + mlp(64, 32, "mlp.shared_experts.") + [
        ("mlp.gate.weight", [4, 64]), ("mlp.gate.expert_bias", [4], "F32")], start=1)
    + layers(1, PAIR + FUSED + QK + experts(4, 64, 32) + mlp(64, 32, "mlp.shared_experts.") + [
        ("mlp.gate.weight", [4, 64]), ("mlp.gate.expert_bias", [4], "F32"), ("eh_proj.weight", [64, 128])]
        + norms(64, "enorm", "hnorm", "final_layernorm"), start=2), pre=PRE)

# ---- MiniMax M2
model("minimax-m2", "MiniMaxM2ForCausalLM", BPE, {
    **BASE, "model_type": "minimax_m2", "attn_type_list": [1, 1], "head_dim": 32, "intermediate_size": 32, "num_experts_per_tok": 2,
    "num_local_experts": 4, "qk_norm_type": "per_layer", "rope_theta": 5000000, "rotary_dim": 16, "scoring_func": "sigmoid",
    "use_qk_norm": True, "use_routing_bias": True},
    decoder(V, 64) + layers(2, PAIR + attention(64, 128, 64) + norms(128, "self_attn.q_norm") + norms(64, "self_attn.k_norm") + [
        ("block_sparse_moe.gate.weight", [4, 64]), ("block_sparse_moe.e_score_correction_bias", [4], "F32")] + mixtral(4, 64, 32)), pre=PRE)

# ---- OLMoE
model("olmoe", "OlmoeForCausalLM", BPE, {
    **BASE, "model_type": "olmoe", "clip_qkv": None, "intermediate_size": 32, "norm_topk_prob": False, "num_experts": 4,
    "num_experts_per_tok": 2, "num_key_value_heads": 4, "rms_norm_eps": 1e-05},
    decoder(V, 64) + layers(2, PAIR + attention(64, 64, 64, head=64) + experts(4, 64, 32) + [("mlp.gate.weight", [4, 64])]), pre=PRE)

# ---- GroveMoE
model("grovemoe", "GroveMoeForCausalLM", BPE, {
    **BASE, "model_type": "grove_moe", "head_dim": 16, "moe_intermediate_size": 32, "norm_topk_prob": True, "num_experts": 4,
    "num_experts_per_tok": 2, "rope_scaling": None, "sliding_window": None},
    decoder(V, 64) + layers(2, PAIR + attention(64, 64, 32, head=16) + experts(4, 64, 32) + experts(2, 64, 16, "mlp.chunk_experts.")
                            + [("mlp.gate.weight", [4, 64]), ("mlp.expert_bias", [4], "F32")]), pre=PRE)

# ---- DBRX
model("dbrx", "DbrxForCausalLM", BPE, {
    "model_type": "dbrx", "attn_config": {"clip_qkv": 8, "kv_n_heads": 2, "model_type": "", "rope_theta": 500000}, "d_model": 64,
    "emb_pdrop": 0.0, "ffn_config": {"ffn_hidden_size": 48, "model_type": "", "moe_loss_weight": 0.05, "moe_num_experts": 4,
                                     "moe_top_k": 2}, "max_seq_len": 256, "n_heads": 4, "n_layers": 2, "tie_word_embeddings": False,
    "vocab_size": V},
    [("transformer.wte.weight", [V, 64]), ("transformer.norm_f.weight", [64]), ("lm_head.weight", [V, 64])]
    + layers(2, norms(64, "norm_attn_norm.norm_1", "norm_attn_norm.norm_2") + [
        ("norm_attn_norm.attn.Wqkv.weight", [128, 64]), ("norm_attn_norm.attn.out_proj.weight", [64, 64]),
        ("ffn.router.layer.weight", [4, 64]), ("ffn.experts.mlp.w1", [192, 64]), ("ffn.experts.mlp.v1", [192, 64]),
        ("ffn.experts.mlp.w2", [192, 64])], "transformer.blocks."), pre=PRE)

# ---- ERNIE 4.5 with experts
model("ernie4.5-moe", "Ernie4_5_MoeForCausalLM", "spm-bytes", {
    **BASE, "model_type": "ernie4_5_moe", "intermediate_size": 128, "bos_token_id": 1, "eos_token_id": 2, "head_dim": 16, "moe_capacity": [64, 64, 64], "moe_gate": "topk",
    "moe_intermediate_size": 32, "moe_k": 2, "moe_layer_end_index": 1, "moe_layer_interval": 1, "moe_layer_start_index": 1,
    "moe_num_experts": 4, "moe_num_shared_experts": 2, "moe_use_aux_free": True, "rms_norm_eps": 1e-05, "rope_theta": 500000.0,
    "tie_word_embeddings": True, "use_bias": False, "vocab_size": V},
    decoder(V, 64, False) + layers(1, PAIR + attention(64, 64, 32) + mlp(64, 128))
    + layers(1, PAIR + attention(64, 64, 32) + experts(4, 64, 32) + mlp(64, 64, "mlp.shared_experts.") + [
        ("mlp.gate.weight", [4, 64], "F32"), ("mlp.moe_statics.e_score_correction_bias", [1, 4], "F32")], start=1)
    + [("model.mtp_block.0.input_layernorm.weight", [64]), ("model.mtp_emb_norm.0.weight", [64]),
       ("model.mtp_hidden_norm.0.weight", [64]), ("model.mtp_linear_proj.0.weight", [64, 128])])

# ---- LLaDA with experts
model("llada-moe", "LLaDAMoEModelLM", BPE, {
    **BASE, "model_type": "llada", "dense_intermediate_size": 96, "expert_intermediate_size": 32, "norm_topk_prob": False, "num_experts": 4,
    "num_experts_per_tok": 2, "num_key_value_heads": 4, "partial_rotary_factor": 1, "qk_layernorm": True, "shared_expert_intermediate_size": None},
    decoder(V, 64) + layers(2, PAIR + attention(64, 64, 64, head=16) + experts(4, 64, 32) + [("mlp.gate.weight", [4, 64])]), pre=PRE)

# ---- GLM 4.7 Flash
model("glm47-flash", "Glm4MoeLiteForCausalLM", "glm-like", {
    **DEEPSEEK, "model_type": "glm4_moe_lite", "eos_token_id": [259, 261], "n_group": 1, "n_shared_experts": 2, "norm_topk_prob": True, "num_nextn_predict_layers": 1,
    "pad_token_id": 259, "partial_rotary_factor": 1.0, "q_lora_rank": 48, "rope_interleave": True, "rope_scaling": None,
    "routed_scaling_factor": 1.8, "topk_group": 1, "topk_method": "noaux_tc"}, deepseek(True, True, True), pre="glm4")

# ---- Solar Open
model("solar-open", "SolarOpenForCausalLM", "solar-like", {
    **BASE, **ROUTED, "model_type": "solar_open", "first_k_dense_replace": 0, "head_dim": 16, "n_group": 1, "n_routed_experts": 4,
    "n_shared_experts": 1, "partial_rotary_factor": 1.0, "topk_group": 1},
    decoder(V, 64) + layers(2, PAIR + attention(64, 64, 32) + SIGMOID + experts(4, 64, 32) + mlp(64, 32, "mlp.shared_experts.")), pre=PRE)

# ---- Trinity
model("afmoe", "AfmoeForCausalLM", BPE, {
    **BASE, "model_type": "afmoe", "global_attn_every_n_layers": 4, "head_dim": 16, "layer_types": ["sliding_attention", "full_attention"],
    "load_balance_coeff": 0.001, "moe_intermediate_size": 32, "mup_enabled": True, "n_group": 1, "num_dense_layers": 1, "num_experts": 4,
    "num_experts_per_tok": 2, "num_shared_experts": 1, "route_norm": True, "route_scale": 2.826, "score_func": "sigmoid",
    "sliding_window": 2048, "topk_group": 1},
    decoder(V, 64) + layers(1, PAIR + norms(64, "pre_mlp_layernorm", "post_mlp_layernorm") + attention(64, 64, 32, head=16)
                            + [("self_attn.gate_proj.weight", [64, 64])] + mlp(64, 96))
    + layers(1, PAIR + norms(64, "pre_mlp_layernorm", "post_mlp_layernorm") + attention(64, 64, 32, head=16)
             + [("self_attn.gate_proj.weight", [64, 64]), ("mlp.router.gate.weight", [4, 64]), ("mlp.expert_bias", [4], "F32")]
             + experts(4, 64, 32) + mlp(64, 32, "mlp.shared_experts."), start=1), pre=PRE)

# ---- K-EXAONE
model("exaone-moe", "ExaoneMoEForCausalLM", BPE, {
    **BASE, **ROUTED, "model_type": "exaone_moe", "first_k_dense_replace": 1, "head_dim": 16, "layer_types": ["sliding_attention", "full_attention"],
    "n_group": 1, "num_experts": 4, "num_nextn_predict_layers": 1, "num_shared_experts": 1, "scoring_func": "sigmoid", "sliding_window": 128,
    "sliding_window_pattern": "LLLG", "topk_group": 1, "rope_parameters": {"rope_theta": 1000000, "rope_type": "default"}},
    decoder(V, 64) + layers(1, PAIR + attention(64, 64, 32, head=16) + mlp(64, 96))
    + layers(1, PAIR + attention(64, 64, 32, head=16) + experts(4, 64, 32) + mlp(64, 32, "mlp.shared_experts.") + [
        ("mlp.gate.weight", [4, 64]), ("mlp.e_score_correction_bias", [4], "F32")], start=1)
    + layers(1, PAIR + attention(64, 64, 32, head=16) + mlp(64, 96), "mtp.layers.")
    + [("mtp.fc.weight", [64, 128])] + norms(64, "mtp.norm", "mtp.pre_fc_norm_embedding", "mtp.pre_fc_norm_hidden"), pre=PRE)

# ---- Llama 4: text, with images left out
LLAMA4_TEXT = {
    "attention_bias": False, "attention_chunk_size": 8192, "attn_scale": 0.1, "attn_temperature_tuning": True, "bos_token_id": 260,
    "eos_token_id": [259, 261], "floor_scale": 8192, "for_llm_compressor": False, "head_dim": 16, "hidden_act": "silu", "hidden_size": 64,
    "interleave_moe_layer_step": 2, "intermediate_size": 32, "intermediate_size_mlp": 96, "max_position_embeddings": 4096,
    "model_type": "llama4_text", "no_rope_layers": [1, 0], "num_attention_heads": 4, "num_experts_per_tok": 1, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "num_local_experts": 4, "pad_token_id": 262, "rms_norm_eps": 1e-05, "rope_scaling": {
        "factor": 16.0, "high_freq_factor": 1.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 128, "rope_type": "llama3"},
    "rope_theta": 500000.0, "use_qk_norm": True, "vocab_size": V}
LLAMA4 = decoder(V, 64) + layers(1, PAIR + attention(64, 64, 32) + mlp(64, 96, "feed_forward.")) + layers(
    1, PAIR + attention(64, 64, 32) + mlp(64, 32, "feed_forward.shared_expert.") + [
        ("feed_forward.router.weight", [4, 64]), ("feed_forward.experts.gate_up_proj", [4, 64, 64]),
        ("feed_forward.experts.down_proj", [4, 32, 64])], start=1)
model("llama4", "Llama4ForConditionalGeneration", BPE, {
    "model_type": "llama4", "boi_token_index": 264, "eoi_token_index": 265, "image_token_index": 266, "text_config": LLAMA4_TEXT,
    "tie_word_embeddings": False, "vision_config": {"hidden_size": 64, "model_type": "llama4_vision_model"}},
    [("language_model." + row[0],) + tuple(row[1:]) for row in LLAMA4]
    + [("multi_modal_projector.linear_1.weight", [64, 64]), ("vision_model.class_embedding", [64])], pre=PRE)

# ---- Encoders that are decoders without the mask
model("eurobert", "EuroBertModel", BPE, {
    **BASE, "model_type": "eurobert", "bos_token": "<|begin_of_text|>", "is_decoder": False, "mask_token_id": 262, "num_key_value_heads": 4,
    "pad_token_id": 261, "rms_norm_eps": 1e-05, "rope_theta": 250000, "rope_scaling": None},
    [r for r in decoder(V, 64, False)] + layers(2, PAIR + attention(64, 64, 64) + mlp(64, 96)), pre=PRE, files=POOLING)
GEMMA_ENCODER = norms(64, "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
model("embedding-gemma", "Gemma3TextModel", "spm-bytes", {
    **{k: v for k, v in BASE.items() if k not in ("attention_bias", "hidden_act", "rope_theta")}, "model_type": "gemma3_text",
    "_sliding_window_pattern": 6, "attention_bias": False, "attention_dropout": 0.0, "attn_logit_softcapping": None, "bos_token_id": 2,
    "eos_token_id": 1, "final_logit_softcapping": None, "head_dim": 16, "hidden_activation": "gelu_pytorch_tanh",
    "layer_types": ["sliding_attention", "full_attention"], "num_key_value_heads": 1, "query_pre_attn_scalar": 16, "rope_local_base_freq": 10000.0,
    "rope_scaling": None, "rope_theta": 1000000.0, "sliding_window": 512, "use_bidirectional_attention": True, "vocab_size": V,
    "pad_token_id": 0},
    [("embed_tokens.weight", [V, 64]), ("norm.weight", [64])] + layers(2, GEMMA_ENCODER + attention(64, 64, 16, head=16) + mlp(64, 96), "layers."),
    files={**POOLING, "modules.json": POOLING["modules.json"].replace("}]", "}" + "".join(
        f', {{"idx": {i}, "name": "{i}", "path": "{i}_Dense", "type": "sentence_transformers.models.Dense"}}' for i in (2, 3)) + "]")})
