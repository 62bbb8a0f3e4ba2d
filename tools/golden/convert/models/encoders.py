"""Encoders: BERT and its relatives, T5."""
from .parts import BPE, PRE, V, layers, model

# ---- BERT relatives
def bert_layers(h, f, prefix="encoder.layer."):
    rows = []
    for name, o, i in (("attention.self.query", h, h), ("attention.self.key", h, h), ("attention.self.value", h, h),
                       ("attention.output.dense", h, h), ("intermediate.dense", f, h), ("output.dense", h, f)):
        rows += [(name + ".weight", [o, i]), (name + ".bias", [o])]
    for name in ("attention.output.LayerNorm", "output.LayerNorm"):
        rows += [(name + ".weight", [h]), (name + ".bias", [h])]
    return layers(2, rows, prefix)


def bert_embeddings(v, p, t, h):
    return [("embeddings.word_embeddings.weight", [v, h]), ("embeddings.position_embeddings.weight", [p, h]),
            ("embeddings.token_type_embeddings.weight", [t, h]), ("embeddings.LayerNorm.weight", [h]),
            ("embeddings.LayerNorm.bias", [h])]


def prefixed(prefix, rows):
    return [(prefix + r[0],) + tuple(r[1:]) for r in rows]


ENCODER = {"attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 64,
           "initializer_range": 0.02, "intermediate_size": 96, "layer_norm_eps": 1e-05, "num_attention_heads": 4,
           "num_hidden_layers": 2, "position_embedding_type": "absolute"}
POOLING = {"modules.json": '[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, '
           '{"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]\n',
           "1_Pooling/config.json": '{"word_embedding_dimension": 64, "pooling_mode_cls_token": true, '
           '"pooling_mode_mean_tokens": false}\n'}
model("bert", "BertModel", "wordpiece-like", {
    **ENCODER, "classifier_dropout": None, "gradient_checkpointing": False, "layer_norm_eps": 1e-12, "max_position_embeddings": 64,
    "model_type": "bert", "pad_token_id": 0, "type_vocab_size": 2, "vocab_size": 32},
    bert_embeddings(32, 64, 2, 64) + bert_layers(64, 96) + [("pooler.dense.weight", [64, 64]), ("pooler.dense.bias", [64])],
    dtype="F32", outtype="f16", pre="jina-v2-en", files=POOLING)
model("roberta", "RobertaModel", "roberta-processing", {
    **ENCODER, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_position_embeddings": 66, "model_type": "roberta",
    "type_vocab_size": 1, "vocab_size": 300},
    prefixed("roberta.", bert_embeddings(300, 66, 1, 64) + bert_layers(64, 96)), pre="gpt-2", files=POOLING)
model("xlm-roberta", "XLMRobertaModel", "xlm-roberta-json", {
    **ENCODER, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_position_embeddings": 66, "model_type": "xlm-roberta",
    "output_past": True, "type_vocab_size": 1, "vocab_size": 12},
    bert_embeddings(12, 66, 1, 64) + bert_layers(64, 96)
    + [("pooler.dense.weight", [64, 64]), ("pooler.dense.bias", [64])], files=POOLING)
model("xlm-roberta-reranker", "XLMRobertaForSequenceClassification", "xlm-roberta-json", {
    **ENCODER, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "max_position_embeddings": 66, "model_type": "xlm-roberta",
    "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "type_vocab_size": 1, "vocab_size": 12},
    prefixed("roberta.", bert_embeddings(12, 66, 1, 64) + bert_layers(64, 96))
    + [("classifier.dense.weight", [64, 64]), ("classifier.dense.bias", [64]), ("classifier.out_proj.weight", [1, 64]),
       ("classifier.out_proj.bias", [1])])


def distil_layers(h, f):
    rows = []
    for name, o, i in (("attention.q_lin", h, h), ("attention.k_lin", h, h), ("attention.v_lin", h, h),
                       ("attention.out_lin", h, h), ("ffn.lin1", f, h), ("ffn.lin2", h, f)):
        rows += [(name + ".weight", [o, i]), (name + ".bias", [o])]
    for name in ("sa_layer_norm", "output_layer_norm"):
        rows += [(name + ".weight", [h]), (name + ".bias", [h])]
    return layers(2, rows, "distilbert.transformer.layer.")


model("distilbert", "DistilBertForMaskedLM", "wordpiece-like", {
    "activation": "gelu", "attention_dropout": 0.1, "dim": 64, "dropout": 0.1, "hidden_dim": 96, "initializer_range": 0.02,
    "max_position_embeddings": 64, "model_type": "distilbert", "n_heads": 4, "n_layers": 2, "pad_token_id": 0,
    "qa_dropout": 0.1, "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": False, "tie_weights_": True, "vocab_size": 32},
    prefixed("distilbert.", [r for r in bert_embeddings(32, 64, 1, 64) if "token_type" not in r[0]]) + distil_layers(64, 96)
    + [("vocab_layer_norm.weight", [64]), ("vocab_layer_norm.bias", [64]), ("vocab_transform.weight", [64, 64]),
       ("vocab_transform.bias", [64]), ("vocab_projector.bias", [32])], dtype="F32", outtype="f16", pre="jina-v2-en")
NOMIC = {
    "activation_function": "swiglu", "attn_pdrop": 0.0, "bos_token_id": None, "causal": False, "dense_seq_output": True,
    "embd_pdrop": 0.0, "eos_token_id": None, "fused_bias_fc": True, "fused_dropout_add_ln": True, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-12, "max_trained_positions": 2048, "mlp_fc1_bias": False, "mlp_fc2_bias": False,
    "model_type": "nomic_bert", "n_embd": 64, "n_head": 4, "n_inner": 96, "n_layer": 2, "n_positions": 8192,
    "pad_vocab_size_multiple": 64, "parallel_block": False, "prenorm": False, "qkv_proj_bias": False, "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None, "rotary_scaling_factor": None,
    "scale_attn_by_inverse_layer_idx": False, "scale_attn_weights": True, "type_vocab_size": 2, "use_flash_attn": True,
    "use_rms_norm": False, "use_xentropy": True, "vocab_size": 32}


def nomic_layer(moe, biases):
    rows = [("attn.Wqkv.weight", [192, 64]), ("attn.out_proj.weight", [64, 64])]
    for name in ("norm1", "norm2"):
        rows += [(name + ".weight", [64]), (name + ".bias", [64])]
    if biases:
        rows += [("attn.Wqkv.bias", [192]), ("attn.out_proj.bias", [64])]
    if moe:
        return rows + [("mlp.router.layer.weight", [4, 64]), ("mlp.experts.bias", [64]), ("mlp.experts.mlp.w1", [384, 64]),
                       ("mlp.experts.mlp.w2", [384, 64])]
    if biases:
        return rows + [("mlp.fc1.weight", [96, 64]), ("mlp.fc1.bias", [96]), ("mlp.fc2.weight", [64, 96]), ("mlp.fc2.bias", [64])]
    return rows + [("mlp.fc11.weight", [96, 64]), ("mlp.fc12.weight", [96, 64]), ("mlp.fc2.weight", [64, 96])]


NOMIC_EMBEDDINGS = [("embeddings.token_type_embeddings.weight", [2, 64]), ("emb_ln.weight", [64]), ("emb_ln.bias", [64])]
model("nomic-bert", "NomicBertModel", "wordpiece-like", NOMIC,
      NOMIC_EMBEDDINGS + [("embeddings.word_embeddings.weight", [32, 64])] + layers(2, nomic_layer(False, False), "encoder.layers."),
      dtype="F32", outtype="f16", pre="jina-v2-en", files=POOLING)
model("nomic-bert-moe", "NomicBertModel", "xlm-roberta-json", {
    **NOMIC, "activation_function": "gelu", "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "expert_choice_router": False,
    "layer_norm_epsilon": 1e-05, "mlp_fc1_bias": True, "mlp_fc2_bias": True, "moe_every_n_layers": 2, "moe_impl": "megablocks",
    "moe_normalize_expert_weights": False, "moe_resid_pdrop": 0.0, "moe_top_k": 2, "n_positions": 2048, "num_experts": 4,
    "num_shared_experts": 0, "qkv_proj_bias": True, "rotary_emb_base": 10000, "type_vocab_size": 1, "vocab_size": 12},
    [("embeddings.token_type_embeddings.weight", [1, 64]), ("emb_ln.weight", [64]), ("emb_ln.bias", [64]),
     ("embeddings.word_embeddings.weight", [12, 64])] + layers(1, nomic_layer(False, True), "encoder.layers.")
    + layers(1, nomic_layer(True, True), "encoder.layers.", start=1), dtype="F32", outtype="f32")
model("modern-bert", "ModernBertModel", BPE, {
    "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 259, "classifier_activation": "gelu",
    "cls_token_id": 259, "decoder_bias": True, "embedding_dropout": 0.0, "eos_token_id": 260, "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0, "hidden_activation": "gelu", "hidden_size": 64, "initializer_range": 0.02,
    "intermediate_size": 96, "layer_norm_eps": 1e-05, "local_attention": 128, "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192, "mlp_bias": False, "mlp_dropout": 0.0, "model_type": "modernbert", "norm_bias": False,
    "norm_eps": 1e-05, "num_attention_heads": 4, "num_hidden_layers": 2, "pad_token_id": 261, "sep_token_id": 260,
    "vocab_size": V},
    prefixed("model.", [("embeddings.tok_embeddings.weight", [V, 64]), ("embeddings.norm.weight", [64]), ("final_norm.weight", [64])]
             + [r for r in layers(2, [("attn.Wqkv.weight", [192, 64]), ("attn.Wo.weight", [64, 64]), ("attn_norm.weight", [64]),
                                      ("mlp_norm.weight", [64]), ("mlp.Wi.weight", [192, 64]), ("mlp.Wo.weight", [64, 96])], "layers.")
                if r[0] != "layers.0.attn_norm.weight"]), pre=PRE, files=POOLING)
model("jina-bert-v2", "JinaBertModel", "wordpiece-like", {
    **ENCODER, "attn_implementation": "torch", "emb_pooler": "mean", "feed_forward_type": "geglu", "layer_norm_eps": 1e-12,
    "max_position_embeddings": 8192, "model_max_length": 8192, "model_type": "bert", "position_embedding_type": "alibi",
    "pad_token_id": 0, "type_vocab_size": 2, "vocab_size": 32},
    [r for r in bert_embeddings(32, 8192, 2, 64) if "position" not in r[0]] + layers(2, [
        (f"attention.self.{p}.{s}", [64, 64] if s == "weight" else [64]) for p in ("query", "key", "value") for s in ("weight", "bias")]
        + [("attention.output.dense.weight", [64, 64]), ("attention.output.dense.bias", [64]), ("attention.output.LayerNorm.weight", [64]),
           ("attention.output.LayerNorm.bias", [64]), ("mlp.gated_layers.weight", [192, 64]), ("mlp.wo.weight", [64, 96]),
           ("mlp.wo.bias", [64]), ("mlp.layernorm.weight", [64]), ("mlp.layernorm.bias", [64])], "encoder.layer."),
    dtype="F32", outtype="f16", pre="jina-v2-en")

# ---- T5
def t5_stack(side, h, d, f, n, gated):
    rows = []
    for b in range(n):
        at = f"{side}.block.{b}.layer."
        kinds = ["0.SelfAttention"] + (["1.EncDecAttention"] if side == "decoder" else [])
        for kind in kinds:
            rows += [(f"{at}{kind}.{p}.weight", [d, h]) for p in "qkv"] + [(f"{at}{kind}.o.weight", [h, d])]
        if b == 0:
            rows.append((f"{at}0.SelfAttention.relative_attention_bias.weight", [32, 4]))
        last = len(kinds)
        rows += [(f"{at}{i}.layer_norm.weight", [h]) for i in range(last + 1)]
        dense = f"{at}{last}.DenseReluDense."
        rows += [(dense + w + ".weight", [f, h]) for w in (("wi_0", "wi_1") if gated else ("wi",))] + [(dense + "wo.weight", [h, f])]
    return rows + [(f"{side}.final_layer_norm.weight", [h])]


T5 = {"d_ff": 96, "d_kv": 16, "d_model": 64, "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1,
      "initializer_factor": 1.0, "is_encoder_decoder": True, "layer_norm_epsilon": 1e-06, "model_type": "t5", "n_positions": 512,
      "num_heads": 4, "num_layers": 2, "output_past": True, "pad_token_id": 0, "relative_attention_max_distance": 128,
      "relative_attention_num_buckets": 32, "vocab_size": 64}
model("t5", "T5ForConditionalGeneration", "t5", T5,
      [("shared.weight", [64, 64]), ("decoder.embed_tokens.weight", [64, 64]), ("encoder.embed_tokens.weight", [64, 64])]
      + t5_stack("encoder", 64, 64, 96, 2, False) + t5_stack("decoder", 64, 64, 96, 2, False), dtype="F32", outtype="f16")
model("flan-t5", "T5ForConditionalGeneration", "t5", {
    **T5, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 1, "tie_word_embeddings": False},
    [("shared.weight", [64, 64]), ("lm_head.weight", [64, 64])]
    + t5_stack("encoder", 64, 64, 96, 2, True) + t5_stack("decoder", 64, 64, 96, 1, True), dtype="F32", outtype="f16")
model("t5-encoder", "T5EncoderModel", "t5", {**T5, "feed_forward_proj": "relu"},
      [("shared.weight", [64, 64]), ("encoder.embed_tokens.weight", [64, 64])] + t5_stack("encoder", 64, 64, 96, 2, False),
      dtype="F32", outtype="f16")
