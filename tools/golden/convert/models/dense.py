"""Dense decoders. Their tensors are those of the class in transformers, but where it has none."""
import json
import pathlib
import tempfile

from .parts import BPE, PRE, V, decoder, layers, model, norms


def of_class(name, kind, config, tokenizer=BPE, pre=PRE, drop=(), of=None, zero=(), **more):
    """of: what transformers calls the class, if not like the configuration; zero: parts of names of zeros."""
    import torch
    import transformers
    config = {"bos_token_id": 1, "eos_token_id": 2, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
              "num_hidden_layers": 2, "num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": V,
              "torch_dtype": "bfloat16", **config}
    config = {k: v for k, v in config.items() if v != "absent"}
    with tempfile.TemporaryDirectory() as work:
        (pathlib.Path(work) / "config.json").write_text(json.dumps({"architectures": [of or kind], **config}))
        loaded = transformers.AutoConfig.from_pretrained(work)
    with torch.device("meta"), transformers.modeling_utils.no_init_weights():
        made = getattr(transformers, of or kind)(loaded)
    tied = set(made._tied_weights_keys or []) if loaded.tie_word_embeddings else set()
    zeros = lambda n: (config["torch_dtype"].replace("bfloat", "BF").upper(), 4096) if any(z in n for z in zero) else ()
    tensors = [(n, list(t.shape), *zeros(n)) for n, t in sorted(made.state_dict().items())
               if n not in tied and not any(d in n for d in drop)]
    model(name, kind, tokenizer, config, tensors, pre=pre, **more)


SPM = {"tokenizer": "gemma-spm", "pre": None}
of_class("qwen2.5-instruct", "Qwen2ForCausalLM", {"model_type": "qwen2", "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
         "sliding_window": 64, "use_sliding_window": False, "tie_word_embeddings": True})
of_class("qwen3", "Qwen3ForCausalLM", {"model_type": "qwen3", "head_dim": 32, "rms_norm_eps": 1e-06,
         "rope_theta": 1000000.0, "tie_word_embeddings": False})
of_class("gemma", "GemmaForCausalLM", {"model_type": "gemma", "head_dim": 16, "rms_norm_eps": 1e-06, "vocab_size": 20}, **SPM)
of_class("gemma2", "Gemma2ForCausalLM", {"model_type": "gemma2", "head_dim": 16, "rms_norm_eps": 1e-06, "vocab_size": 20,
         "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "sliding_window": 32}, **SPM)
of_class("gemma3-text", "Gemma3ForCausalLM", {"model_type": "gemma3_text", "head_dim": 16, "rms_norm_eps": 1e-06,
         "vocab_size": 20, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "sliding_window": 32,
         "sliding_window_pattern": 6}, **SPM)
of_class("phi3-mini", "Phi3ForCausalLM", {"model_type": "phi3", "rms_norm_eps": 1e-05, "vocab_size": 24, "num_key_value_heads": 4,
         "original_max_position_embeddings": 256, "sliding_window": 63, "pad_token_id": 0}, tokenizer="phi3", pre=None)
of_class("phi35-mini", "Phi3ForCausalLM", {"model_type": "phi3", "rms_norm_eps": 1e-05, "vocab_size": 24, "pad_token_id": 0,
         "num_key_value_heads": 4, "original_max_position_embeddings": 64, "sliding_window": None, "rope_scaling": {
             "type": "longrope", "long_factor": [1.0 + i / 4 for i in range(8)],
             "short_factor": [1.0 + i / 32 for i in range(8)]}}, tokenizer="phi3", pre=None)
of_class("phi2", "PhiForCausalLM", {"model_type": "phi", "layer_norm_eps": 1e-05, "num_key_value_heads": None,
         "partial_rotary_factor": 0.4, "hidden_size": 80})
of_class("smollm3", "SmolLM3ForCausalLM", {"model_type": "smollm3", "rms_norm_eps": 1e-06, "pad_token_id": 2,
         "rope_theta": 5000000.0, "tie_word_embeddings": True})
of_class("olmo", "OlmoForCausalLM", {"model_type": "olmo", "clip_qkv": 8.0, "pad_token_id": 1})
of_class("olmo2", "Olmo2ForCausalLM", {"model_type": "olmo2", "rms_norm_eps": 1e-06, "rope_theta": 500000})
of_class("olmo3", "Olmo3ForCausalLM", {"model_type": "olmo3", "rms_norm_eps": 1e-06, "rope_theta": 500000, "sliding_window": 32})
of_class("granite3", "GraniteForCausalLM", {"model_type": "granite", "rms_norm_eps": 1e-05, "attention_multiplier": 0.015625,
         "embedding_multiplier": 12.0, "residual_multiplier": 0.22, "logits_scaling": 8.0, "tie_word_embeddings": True})
of_class("glm4", "Glm4ForCausalLM", {"model_type": "glm4", "head_dim": 16, "partial_rotary_factor": 0.5, "rms_norm_eps": 1e-05,
         "attention_bias": True, "pad_token_id": 0, "vocab_size": 280}, tokenizer="glm-like")
of_class("command-r", "CohereForCausalLM", {"model_type": "cohere", "layer_norm_eps": 1e-05, "logit_scale": 0.0625,
         "model_max_length": 512, "pad_token_id": 0, "use_qk_norm": False})
of_class("command-r7b", "Cohere2ForCausalLM", {"model_type": "cohere2", "layer_norm_eps": 1e-05, "logit_scale": 0.25,
         "rotary_pct": 1.0, "sliding_window": 32, "pad_token_id": 0, "attention_bias": True}, zero=(".bias",))
of_class("stablelm2", "StableLmForCausalLM", {"model_type": "stablelm", "layer_norm_eps": 1e-05, "use_qkv_bias": True,
         "partial_rotary_factor": 0.25})
# StableLM 2 12B has norms for each head, which the reference collects and then loses ("Unprocessed norms"): it
# returns a generator from a generator. So it has no golden data.
of_class("starcoder2", "Starcoder2ForCausalLM", {"model_type": "starcoder2", "norm_epsilon": 1e-05, "use_bias": True})
of_class("falcon-7b", "FalconForCausalLM", {"model_type": "falcon", "num_kv_heads": 1, "multi_query": True, "alibi": False,
         "parallel_attn": True, "bias": False, "new_decoder_architecture": False, "num_key_value_heads": "absent"})
of_class("falcon-40b", "FalconForCausalLM", {"model_type": "falcon", "num_kv_heads": 2, "alibi": False, "parallel_attn": True,
         "bias": False, "new_decoder_architecture": True, "num_key_value_heads": "absent"})
GPT2 = {"n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 64, "layer_norm_epsilon": 1e-05, "hidden_size": "absent",
        "intermediate_size": "absent", "num_attention_heads": "absent", "num_hidden_layers": "absent",
        "num_key_value_heads": "absent", "max_position_embeddings": "absent"}
of_class("gpt2", "GPT2LMHeadModel", {"model_type": "gpt2", **GPT2, "n_ctx": 64})
of_class("starcoder", "GPTBigCodeForCausalLM", {"model_type": "gpt_bigcode", **GPT2, "multi_query": True})
of_class("pythia", "GPTNeoXForCausalLM", {"model_type": "gpt_neox", "layer_norm_eps": 1e-05, "rotary_pct": 0.25,
         "use_parallel_residual": True, "num_key_value_heads": "absent"})
of_class("bloom", "BloomForCausalLM", {"model_type": "bloom", "n_layer": 2, "n_head": 4, "layer_norm_epsilon": 1e-05,
         "seq_length": 64, "num_key_value_heads": "absent", "num_attention_heads": "absent", "num_hidden_layers": "absent"})
of_class("seed-oss", "SeedOssForCausalLM", {"model_type": "seed_oss", "head_dim": 16, "rms_norm_eps": 1e-06})
of_class("nemotron-mini", "NemotronForCausalLM", {"model_type": "nemotron", "norm_eps": 1e-05, "partial_rotary_factor": 0.5,
         "head_dim": 16, "vocab_size": 20}, **SPM)
of_class("exaone4", "Exaone4ForCausalLM", {"model_type": "exaone4", "head_dim": 16, "rms_norm_eps": 1e-05,
         "sliding_window": 32, "sliding_window_pattern": 4})
of_class("arcee", "ArceeForCausalLM", {"model_type": "arcee", "rms_norm_eps": 1e-05})
of_class("ernie4.5", "Ernie4_5ForCausalLM", {"model_type": "ernie4_5", "head_dim": 16, "rms_norm_eps": 1e-05, "vocab_size": 20}, **SPM)
MINI = {"bos_token_id": 1, "eos_token_id": 2, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": 20, "rms_norm_eps": 1e-05}
LLAMA = norms(64, "input_layernorm", "post_attention_layernorm") + [
    ("self_attn.o_proj.weight", [64, 64]), ("mlp.gate_proj.weight", [96, 64]), ("mlp.up_proj.weight", [96, 64]), ("mlp.down_proj.weight", [64, 96])]
QKV = [("self_attn.q_proj.weight", [64, 64]), ("self_attn.k_proj.weight", [32, 64]), ("self_attn.v_proj.weight", [32, 64])]
model("minicpm", "MiniCPMForCausalLM", "gemma-spm", {**MINI, "model_type": "minicpm", "scale_emb": 12, "scale_depth": 1.4,
      "dim_model_base": 32}, decoder(20, 64) + layers(2, LLAMA + QKV))
model("exaone3.5", "ExaoneForCausalLM", BPE, {"model_type": "exaone", "bos_token_id": 1, "eos_token_id": 2, "hidden_size": 64,
      "intermediate_size": 96, "num_attention_heads": 4, "num_layers": 2, "num_key_value_heads": 2, "vocab_size": V,
      "max_position_embeddings": 256, "activation_function": "silu", "layer_norm_epsilon": 1e-05, "rope_theta": 1000000},
      [("transformer.wte.weight", [V, 64]), ("transformer.ln_f.weight", [64])] + layers(2, norms(64, "ln_1", "ln_2") + [
          ("attn.attention.q_proj.weight", [64, 64]), ("attn.attention.k_proj.weight", [32, 64]),
          ("attn.attention.v_proj.weight", [32, 64]), ("attn.attention.out_proj.weight", [64, 64]),
          ("mlp.c_fc_0.weight", [96, 64]), ("mlp.c_fc_1.weight", [96, 64]), ("mlp.c_proj.weight", [64, 96])],
          prefix="transformer.h."), pre=PRE)
