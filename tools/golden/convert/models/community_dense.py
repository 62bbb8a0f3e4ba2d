"""Dense decoders that transformers does not know, or knows under other tensor names."""
from .dense import GPT2, LLAMA, MINI, QKV, SPM, of_class
from .parts import BPE, PRE, V, attention, decoder, layers, mlp, model, norms

PAIR = norms(64, "input_layernorm", "post_attention_layernorm")
WIDE = {**MINI, "vocab_size": V}


def biases(rows):
    return [row for name, shape in rows for row in ((name, shape), (name.replace(".weight", ".bias"), shape[:1]))]


# ---- InternLM
model("internlm2", "InternLM2ForCausalLM", "internlm2-like", {
    **MINI, "model_type": "internlm2", "bias": False, "hidden_act": "silu", "pad_token_id": 2, "rope_scaling": {
        "factor": 2.0, "type": "dynamic"}, "rope_theta": 1000000, "tie_word_embeddings": False, "vocab_size": 278},
    [("model.tok_embeddings.weight", [278, 64]), ("model.norm.weight", [64]), ("output.weight", [278, 64])]
    + layers(2, norms(64, "attention_norm", "ffn_norm") + [
        ("attention.wqkv.weight", [128, 64]), ("attention.wo.weight", [64, 64]), ("feed_forward.w1.weight", [96, 64]),
        ("feed_forward.w3.weight", [96, 64]), ("feed_forward.w2.weight", [64, 96])]))
model("internlm3", "InternLM3ForCausalLM", "internlm2-like", {
    **MINI, "model_type": "internlm3", "bias": False, "head_dim": 16, "hidden_act": "silu", "pad_token_id": 2, "qkv_bias": True,
    "rope_scaling": {"factor": 6.0, "rope_type": "dynamic"}, "rope_theta": 50000000, "tie_word_embeddings": False, "vocab_size": 278},
    decoder(278, 64) + layers(2, PAIR + attention(64, 64, 32, bias=True) + mlp(64, 96)))

# ---- Orion: norms with a bias, whose epsilon is named after the other kind
model("orion", "OrionForCausalLM", "spm-bytes", {
    **MINI, "vocab_size": V, "model_type": "orion", "max_sequence_length": 512, "pretraining_tp": 1, "rope_scaling": None, "rope_theta": 10000.0},
    decoder(V, 64) + [("model.norm.bias", [64])] + layers(2, biases(PAIR) + QKV + LLAMA[2:]))

# ---- MPT, and SEA-LION, which has SentencePiece
MPT = {
    "model_type": "mpt", "d_model": 64, "n_heads": 4, "n_layers": 2, "max_seq_len": 64, "expansion_ratio": 4, "no_bias": True,
    "attn_config": {"alibi": True, "alibi_bias_max": 8, "attn_impl": "torch", "attn_type": "multihead_attention", "clip_qkv": 6,
                    "qk_ln": False}, "hidden_size": "absent", "intermediate_size": "absent", "num_attention_heads": "absent",
    "num_hidden_layers": "absent", "num_key_value_heads": "absent", "max_position_embeddings": "absent"}
of_class("mpt", "MPTForCausalLM", MPT, of="MptForCausalLM")
of_class("sea-lion", "MPTForCausalLM", {**MPT, "vocab_size": 20}, of="MptForCausalLM", **SPM)

# ---- Apertus: numbers of the activation are tensors, one value each
model("apertus", "ApertusForCausalLM", BPE, {
    **WIDE, "model_type": "apertus", "hidden_act": "xielu", "rope_theta": 12000000, "qk_norm": True, "post_norm": False,
    "tie_word_embeddings": False, "rope_scaling": {
        "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 128, "rope_type": "llama3"}},
    decoder(V, 64) + layers(2, norms(64, "attention_layernorm", "feedforward_layernorm") + attention(64, 64, 32, head=16) + [
        ("mlp.act_fn.alpha_n", [1]), ("mlp.act_fn.alpha_p", [1]), ("mlp.act_fn.beta", [1]), ("mlp.act_fn.eps", [1]),
        ("mlp.up_proj.weight", [96, 64]), ("mlp.down_proj.weight", [64, 96])]), pre=PRE)

# ---- Hunyuan, dense: a base that the factor of the context scales
of_class("hunyuan-dense", "HunYuanDenseV1ForCausalLM", {
    "model_type": "hunyuan_v1_dense", "head_dim": 16, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "use_qk_norm": True,
    "max_position_embeddings": 32768, "eod_token_id": 259, "eos_token_id": 260, "pad_token_id": 261, "tie_word_embeddings": True,
    "rope_scaling": {"alpha": 1000.0, "beta_fast": 32, "beta_slow": 1, "factor": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
                     "type": "dynamic"}},
    files={"generation_config.json": '{"do_sample": true, "eos_token_id": [260, 259], "temperature": 0.7, "top_k": 20}\n'})

# ---- StableLM 2 12B: norms of each head. The reference collects them and then stops, so it has no golden data.

# ---- DBRX's and LLaDA's relatives of GPT-2
model("codeshell", "CodeShellForCausalLM", BPE, {
    "model_type": "codeshell", "attention_softmax_in_fp32": True, "bos_token_id": 259, "eos_token_id": 259, "layer_norm_epsilon": 1e-05,
    "n_embd": 64, "n_head": 4, "n_inner": 256, "n_layer": 2, "n_positions": 64, "num_query_groups": 2, "position_embedding_type": "rope",
    "vocab_size": V},
    [("transformer.wte.weight", [V, 64]), ("lm_head.weight", [V, 64])] + biases([("transformer.ln_f.weight", [64])])
    + layers(2, biases([("ln_1.weight", [64]), ("ln_2.weight", [64]), ("attn.c_attn.weight", [128, 64]), ("attn.c_proj.weight", [64, 64]),
                        ("mlp.c_fc.weight", [256, 64]), ("mlp.c_proj.weight", [64, 256])])
             + [("attn.rotary_emb.inv_freq", [8], "F32")], "transformer.h."), pre=PRE)
model("refact", "GPTRefactForCausalLM", BPE, {
    "model_type": "gpt_refact", "bos_token_id": 259, "do_sample": True, "eos_token_id": 0, "layer_norm_epsilon": 1e-05, "multi_query": True,
    "n_embd": 64, "n_head": 4, "n_inner": None, "n_layer": 2, "n_positions": 64, "vocab_size": V},
    [("transformer.wte.weight", [V, 64]), ("lm_head.weight", [V, 64]), ("transformer.ln_f.weight", [64])]
    + layers(2, [("ln_1.weight", [64]), ("ln_2.weight", [64]), ("attn.q.weight", [64, 64]), ("attn.kv.weight", [32, 64]),
                 ("attn.c_proj.weight", [64, 64]), ("mlp.gate_up_proj.weight", [512, 64]), ("mlp.c_proj.weight", [64, 256])],
             "transformer.h."), pre=PRE)

# ---- OpenELM: every layer has its own sizes
OPENELM_HEADS, OPENELM_KV, OPENELM_FF = [4, 8], [1, 2], [64, 128]
model("openelm", "OpenELMForCausalLM", "spm-bytes", {
    "model_type": "openelm", "activation_fn_name": "swish", "bos_token_id": 1, "eos_token_id": 2, "ffn_dim_divisor": 32,
    "ffn_multipliers": [1.0, 2.0], "ffn_with_glu": True, "head_dim": 16, "initializer_range": 0.02, "max_context_length": 256,
    "model_dim": 64, "normalization_layer_name": "rms_norm", "normalize_qk_projections": True, "num_gqa_groups": 4,
    "num_kv_heads": OPENELM_KV, "num_query_heads": OPENELM_HEADS, "num_transformer_layers": 2, "qkv_multipliers": [0.5, 1.0],
    "rope_freq_constant": 10000, "rope_max_length": 512, "share_input_output_layers": True, "vocab_size": V},
    [("transformer.token_embeddings.weight", [V, 64]), ("transformer.norm.weight", [64])]
    + [(f"transformer.layers.{n}.{name}", shape) for n in range(2) for name, shape in (
        ("attn.k_norm.weight", [16]), ("attn.q_norm.weight", [16]), ("attn_norm.weight", [64]), ("ffn_norm.weight", [64]),
        ("attn.qkv_proj.weight", [16 * (OPENELM_HEADS[n] + 2 * OPENELM_KV[n]), 64]),
        ("attn.out_proj.weight", [64, 16 * OPENELM_HEADS[n]]), ("ffn.proj_1.weight", [2 * OPENELM_FF[n], 64]),
        ("ffn.proj_2.weight", [64, OPENELM_FF[n]]))])

# ---- Jais: scales in the weights, the slope of the positions in a tensor
JAIS = {"model_type": "jais", "activation_function": "swiglu", "bos_token_id": 0, "eos_token_id": 0, "layer_norm_epsilon": 1e-05,
        "n_embd": 64, "n_head": 4, "n_inner": 96, "n_layer": 2, "n_positions": 64, "position_embedding_type": "alibi",
        "scale_attn_weights": True, "scale_qk_dot_by_d": True, "vocab_size": V}
JAIS_TENSORS = biases([("transformer.ln_f.weight", [64])]) + [("transformer.wte.weight", [V, 64])] + layers(2, biases([
    ("ln_1.weight", [64]), ("ln_2.weight", [64])]) + [row for name, i, o in (
        ("attn.c_attn", 64, 192), ("attn.c_proj", 64, 64), ("mlp.c_fc", 64, 96), ("mlp.c_fc2", 64, 96), ("mlp.c_proj", 96, 64))
        for row in ((name + ".weight", [i, o]), (name + ".bias", [o]))], "transformer.h.")
model("jais", "JAISLMHeadModel", BPE, {**JAIS, "mup_embeddings_scale": 14.6, "mup_output_alpha": 2.22, "mup_scale_qk_dot_by_d": True,
                                       "mup_width_scale": 0.125}, JAIS_TENSORS + [("lm_head.weight", [V, 64]), ("transformer.relative_pe.slopes", [4], "F32")], pre=PRE)
model("jais2", "Jais2ForCausalLM", BPE, {**{k: v for k, v in WIDE.items() if k != "rms_norm_eps"}, "model_type": "jais2", "head_dim": 16,
      "hidden_act": "relu2", "layer_norm_eps": 1e-05, "rope_theta": 500000.0}, decoder(V, 64) + [("model.norm.bias", [64])] + layers(2, biases(
             PAIR + [("self_attn.q_proj.weight", [64, 64]), ("self_attn.k_proj.weight", [32, 64]), ("self_attn.v_proj.weight", [32, 64]),
                     ("self_attn.o_proj.weight", [64, 64]), ("mlp.up_proj.weight", [96, 64]), ("mlp.down_proj.weight", [64, 96])])), pre=PRE)

# ---- Text by diffusion
model("llada", "LLaDAModelLM", BPE, {
    "model_type": "llada", "activation_type": "silu", "alibi": False, "block_type": "llama", "bias_for_layer_norm": False, "d_model": 64,
    "embedding_size": V, "eos_token_id": 259, "flash_attention": False, "include_bias": False, "mask_token_id": 262,
    "max_sequence_length": 256, "mlp_hidden_size": 96, "mlp_ratio": 4, "n_heads": 4, "n_kv_heads": 4, "n_layers": 2,
    "pad_token_id": 260, "rms_norm_eps": 1e-05, "rope": True, "rope_theta": 500000.0, "vocab_size": V, "weight_tying": False},
    [("model.transformer.wte.weight", [V, 64]), ("model.transformer.ln_f.weight", [64]), ("model.transformer.ff_out.weight", [V, 64])]
    + layers(2, norms(64, "attn_norm", "ff_norm") + [
        ("q_proj.weight", [64, 64]), ("k_proj.weight", [64, 64]), ("v_proj.weight", [64, 64]), ("attn_out.weight", [64, 64]),
        ("ff_proj.weight", [96, 64]), ("up_proj.weight", [96, 64]), ("ff_out.weight", [64, 96])], "model.transformer.blocks."), pre=PRE)
model("dream", "DreamModel", BPE, {
    **WIDE, "model_type": "Dream", "bos_token_id": 259, "eos_token_id": 259, "hidden_act": "silu", "mask_token_id": 262,
    "max_window_layers": 28, "pad_token_id": 259, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000.0,
    "sliding_window": None, "tie_word_embeddings": False, "use_sliding_window": False},
    decoder(V, 64) + layers(2, PAIR + attention(64, 64, 32, bias=True) + mlp(64, 96)), pre=PRE)

# ---- MiniCPM 3: attention over latent vectors
model("minicpm3", "MiniCPM3ForCausalLM", "spm-bytes", {
    **MINI, "vocab_size": V, "model_type": "minicpm3", "dim_model_base": 32, "hidden_act": "silu", "kv_lora_rank": 32, "q_lora_rank": 48,
    "num_key_value_heads": 4, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "scale_depth": 1.4, "scale_emb": 12, "rope_scaling": {
        "type": "longrope", "long_factor": [1.0 + i / 4 for i in range(4)], "short_factor": [1.0 + i / 32 for i in range(4)],
        "original_max_position_embeddings": 256}},
    decoder(V, 64, False) + layers(2, PAIR + mlp(64, 96) + [
        ("self_attn.q_a_proj.weight", [48, 64]), ("self_attn.q_a_layernorm.weight", [48]), ("self_attn.q_b_proj.weight", [96, 48]),
        ("self_attn.kv_a_proj_with_mqa.weight", [40, 64]), ("self_attn.kv_a_layernorm.weight", [32]),
        ("self_attn.kv_b_proj.weight", [128, 32]), ("self_attn.o_proj.weight", [64, 64])]))

# ---- Phi-4: Phi 3 with GPT-2's tokenizer
of_class("phi4", "Phi3ForCausalLM", {"model_type": "phi3", "rms_norm_eps": 1e-05, "num_key_value_heads": 2, "rope_theta": 250000,
         "original_max_position_embeddings": 256, "sliding_window": None, "bos_token_id": 259, "eos_token_id": 260,
         "pad_token_id": 261, "rope_scaling": None}, tokenizer="phi4-like")

# ---- GLM-4.1V's language model: its rotation must be stored in halves
GLM4V_TEXT = {
    **WIDE, "attention_bias": True, "bos_token_id": 260, "eos_token_id": [259, 263], "head_dim": 16, "hidden_act": "silu", "model_type": "glm4v_text",
    "pad_token_id": 259, "partial_rotary_factor": 0.5, "rope_scaling": {"mrope_section": [2, 1, 1], "rope_type": "default"}, "rope_theta": 10000.0}
model("glm41v", "Glm4vForConditionalGeneration", "glm-like", {
    "image_token_id": 264, "model_type": "glm4v", "text_config": GLM4V_TEXT, "tie_word_embeddings": False, "vision_config": {"model_type": "glm4v"}},
    [(row[0].replace("model.", "model.language_model.", 1), *row[1:]) for row in decoder(V, 64) + layers(2, PAIR + norms(
        64, "post_self_attn_layernorm", "post_mlp_layernorm") + attention(64, 64, 32, bias=True) + [
            ("mlp.gate_up_proj.weight", [192, 64]), ("mlp.down_proj.weight", [64, 96])])] + [("model.visual.post_layernorm.weight", [64])], pre="glm4")

# ---- Baichuan: queries, keys and values in one matrix
model("baichuan", "BaichuanForCausalLM", "spm-bytes", {
    **WIDE, "model_type": "baichuan", "hidden_act": "silu", "model_max_length": 256, "num_key_value_heads": 4, "pad_token_id": 0, "z_loss_weight": 0},
    decoder(V, 64) + layers(2, PAIR + mlp(64, 96) + [("self_attn.W_pack.weight", [192, 64]), ("self_attn.o_proj.weight", [64, 64])]))
