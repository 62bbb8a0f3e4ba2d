"""Models with rows of whole super-blocks, for the rules that choose types: one for each kind of rule."""
from .encoders import bert_embeddings, bert_layers
from .mixtures import DEEPSEEK
from .parts import BPE, PRE, V, attention, decoder, experts, layers, mlp, model, norms

H, F = 256, 512
PAIR = norms(H, "input_layernorm", "post_attention_layernorm")
BASE = {"bos_token_id": 260, "eos_token_id": 259, "hidden_act": "silu", "hidden_size": H, "intermediate_size": F,
        "max_position_embeddings": 2048, "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": V}
LLAMA = PAIR + attention(H, H, 128) + mlp(H, F)
model("wide-llama", "LlamaForCausalLM", BPE, {**BASE, "model_type": "llama", "num_hidden_layers": 5}, decoder(V, H) + layers(5, LLAMA), pre=PRE)
model("wide-mixtral", "MixtralForCausalLM", BPE, {**BASE, "model_type": "mixtral", "intermediate_size": H, "num_hidden_layers": 1, "num_experts_per_tok": 2,
      "num_local_experts": 8, "sliding_window": None},
      decoder(V, H) + layers(1, PAIR + attention(H, H, 128) + [("block_sparse_moe.gate.weight", [8, H])] + [
          (f"block_sparse_moe.experts.{e}.{w}.weight", [H, H]) for e in range(8) for w in ("w1", "w2", "w3")]), pre=PRE)
model("wide-qwen2-tied", "Qwen2ForCausalLM", BPE, {**BASE, "model_type": "qwen2", "tie_word_embeddings": True, "use_sliding_window": False},
      decoder(V, H, False) + layers(2, PAIR + attention(H, H, 128, bias=True) + mlp(H, F)), pre=PRE)
model("wide-phi3", "Phi3ForCausalLM", "phi4-like", {**BASE, "model_type": "phi3", "original_max_position_embeddings": 2048, "pad_token_id": 261,
      "sliding_window": None},
      decoder(V, H) + layers(2, PAIR + [("self_attn.qkv_proj.weight", [512, H]), ("self_attn.o_proj.weight", [H, H]),
                                        ("mlp.gate_up_proj.weight", [2 * F, H]), ("mlp.down_proj.weight", [H, F])]), pre=PRE)
model("wide-falcon", "FalconForCausalLM", BPE, {
    "model_type": "falcon", "alibi": False, "bias": False, "bos_token_id": 259, "eos_token_id": 259, "hidden_size": H, "multi_query": True,
    "layer_norm_epsilon": 1e-05, "new_decoder_architecture": False, "num_attention_heads": 4, "num_hidden_layers": 4, "num_kv_heads": 1, "parallel_attn": True,
    "vocab_size": V},
    [("transformer.word_embeddings.weight", [V, H]), ("transformer.ln_f.weight", [H]), ("transformer.ln_f.bias", [H]), ("lm_head.weight", [V, H])]
    + layers(4, [("input_layernorm.weight", [H]), ("input_layernorm.bias", [H]), ("self_attention.query_key_value.weight", [384, H]),
                 ("self_attention.dense.weight", [H, H]), ("mlp.dense_h_to_4h.weight", [4 * H, H]), ("mlp.dense_4h_to_h.weight", [H, 4 * H])],
             "transformer.h."), pre=PRE)
model("wide-deepseek2", "DeepseekV2ForCausalLM", BPE, {
    **DEEPSEEK, "model_type": "deepseek_v2", "aux_loss_alpha": 0.001, "hidden_size": H, "intermediate_size": F, "kv_lora_rank": 256, "n_group": 1,
    "moe_intermediate_size": 256, "n_routed_experts": 2, "n_shared_experts": 1, "norm_topk_prob": False, "num_attention_heads": 4, "num_experts_per_tok": 1,
    "q_lora_rank": 256, "qk_nope_head_dim": 64, "qk_rope_head_dim": 64, "routed_scaling_factor": 1.0, "scoring_func": "softmax", "topk_group": 1,
    "topk_method": "greedy", "v_head_dim": 64},
    decoder(V, H) + layers(1, PAIR + [
        ("self_attn.q_a_proj.weight", [256, H]), ("self_attn.q_a_layernorm.weight", [256]), ("self_attn.q_b_proj.weight", [512, 256]),
        ("self_attn.kv_a_proj_with_mqa.weight", [320, H]), ("self_attn.kv_a_layernorm.weight", [256]),
        ("self_attn.kv_b_proj.weight", [512, 256]), ("self_attn.o_proj.weight", [H, 256])] + mlp(H, F))
    + layers(1, PAIR + [
        ("self_attn.q_a_proj.weight", [256, H]), ("self_attn.q_a_layernorm.weight", [256]), ("self_attn.q_b_proj.weight", [512, 256]),
        ("self_attn.kv_a_proj_with_mqa.weight", [320, H]), ("self_attn.kv_a_layernorm.weight", [256]),
        ("self_attn.kv_b_proj.weight", [512, 256]), ("self_attn.o_proj.weight", [H, 256])] + experts(2, H, 256)
        + mlp(H, 256, "mlp.shared_experts.") + [("mlp.gate.weight", [2, H])], start=1), pre=PRE)
model("wide-gemma2", "Gemma2ForCausalLM", "gemma-spm", {
    **BASE, "model_type": "gemma2", "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "head_dim": 64, "query_pre_attn_scalar": 64,
    "sliding_window": 32, "vocab_size": 20, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0},
    decoder(20, H, False) + layers(2, norms(H, "input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
                                   + attention(H, H, 128) + mlp(H, F)))
model("wide-bert", "BertModel", "wordpiece-like", {
    "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": H, "initializer_range": 0.02,
    "intermediate_size": F, "layer_norm_eps": 1e-12, "num_attention_heads": 4, "num_hidden_layers": 2, "position_embedding_type": "absolute",
    "max_position_embeddings": 64, "model_type": "bert", "pad_token_id": 0, "type_vocab_size": 2, "vocab_size": 32},
    bert_embeddings(32, 64, 2, H) + bert_layers(H, F), dtype="F32", outtype="f16", pre="jina-v2-en")
