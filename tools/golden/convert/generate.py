#!/usr/bin/env python3
"""Makes tests/golden/convert: tiny synthetic models, and what the reference converter makes of them
and of real ones: every key with its type and value, every tensor's type, shape and SHA-256, in order.

usage: generate.py CONVERTER [MODEL_DIRECTORY ...]

CONVERTER is the reference's convert_hf_to_gguf.py; its GGUF library is taken from beside it. Needs
numpy, torch, transformers 4.57.6, sentencepiece, protobuf and safetensors. Weights come from an integer
generator, so the models are the same wherever this runs."""
import json
import pathlib
import subprocess
import sys
import tempfile

from describe import describe_model, golden_text, use_converter
from weights import Weights, write_safetensors

CONVERTER = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests/golden/convert"
gguf = use_converter(CONVERTER)


def write_golden(model):
    for outtype in ("f32", "f16", "bf16"):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "out.gguf"
            subprocess.run([sys.executable, str(CONVERTER), str(model), "--outtype", outtype, "--outfile", str(out)],
                           check=True, capture_output=True)
            keys, tensors = describe_model(gguf, out)
        (GOLDEN / f"{model.name}.{outtype}.json").write_text(golden_text({"keys": keys, "tensors": tensors}))


def write_tokenizer(path, size):
    from sentencepiece import sentencepiece_model_pb2 as proto
    model = proto.ModelProto()
    for i in range(size):
        text, kind = [("<unk>", 2), ("<s>", 3), ("</s>", 3)][i] if i < 3 else ("\u2581" * (i % 2) + chr(94 + i), 1)
        model.pieces.add(piece=text, score=-float(i), type=kind)
    model.trainer_spec.model_type = 2
    model.normalizer_spec.name = "identity"
    path.write_bytes(model.SerializeToString(deterministic=True))


VOCABULARY, HIDDEN, FEED_FORWARD, LAYERS = 24, 32, 48, 2


def synthetic(name, seed, dtype, config, head_dim=8, heads=4, kv_heads=4, tied=False, biases=False, experts=0,
              files=None):
    folder = GOLDEN / "models" / name
    folder.mkdir(parents=True, exist_ok=True)
    base = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
            "intermediate_size": FEED_FORWARD, "num_hidden_layers": LAYERS, "num_attention_heads": heads,
            "num_key_value_heads": kv_heads, "max_position_embeddings": 256, "vocab_size": VOCABULARY,
            "rms_norm_eps": 1e-05, "tie_word_embeddings": tied}
    base.update(config)
    base = {k: v for k, v in base.items() if v != "absent"}
    (folder / "config.json").write_text(json.dumps(base, indent=1) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
         "add_bos_token": True, "add_eos_token": False}) + "\n")
    write_tokenizer(folder / "tokenizer.model", VOCABULARY)
    for file, text in (files or {}).items():
        (folder / file).write_text(text)
    weights, tensors = Weights(seed), {}

    def add(tensor, *shape, bias=False):
        tensors[tensor + ".weight"] = weights.take(shape, dtype), dtype
        if bias:
            tensors[tensor + ".bias"] = weights.take(shape[:1], dtype), dtype

    add("model.embed_tokens", VOCABULARY, HIDDEN)
    for n in range(LAYERS):
        layer = f"model.layers.{n}."
        add(layer + "input_layernorm", HIDDEN)
        add(layer + "self_attn.q_proj", heads * head_dim, HIDDEN, bias=biases)
        add(layer + "self_attn.k_proj", kv_heads * head_dim, HIDDEN, bias=biases)
        add(layer + "self_attn.v_proj", kv_heads * head_dim, HIDDEN, bias=biases)
        add(layer + "self_attn.o_proj", HIDDEN, heads * head_dim, bias=biases)
        add(layer + "post_attention_layernorm", HIDDEN)
        if experts:
            add(layer + "block_sparse_moe.gate", experts, HIDDEN)
        for e in range(experts):
            add(layer + f"block_sparse_moe.experts.{e}.w1", FEED_FORWARD, HIDDEN)
            add(layer + f"block_sparse_moe.experts.{e}.w2", HIDDEN, FEED_FORWARD)
            add(layer + f"block_sparse_moe.experts.{e}.w3", FEED_FORWARD, HIDDEN)
        if not experts:
            add(layer + "mlp.gate_proj", FEED_FORWARD, HIDDEN, bias=biases)
            add(layer + "mlp.up_proj", FEED_FORWARD, HIDDEN, bias=biases)
            add(layer + "mlp.down_proj", HIDDEN, FEED_FORWARD, bias=biases)
    add("model.norm", HIDDEN)
    if not tied:
        add("lm_head", VOCABULARY, HIDDEN)
    write_safetensors(folder / "model.safetensors", tensors)
    write_golden(folder)


CARD = """---
license: [mit, apache-2.0]
language:
- en
- no
tags: [tiny, "1.0"]
pipeline_tag: text-generation
base_model: some-org/Base-Model-7B-v0.2
datasets:
- plain
- an-org/data-set
- https://example.org/x
model_creator: Someone \u00c9lse
---
# Text
"""
SAMPLING = '{"temperature": 0.7, "top_k": 40, "top_p": 0.95, "repetition_penalty": 1.1, "eos_token_id": [2]}\n'

synthetic("linear-tied", 1, "F16", {"rope_scaling": {"type": "linear", "factor": 2.5}}, tied=True)
synthetic("Yarn-Mistral-0.02M-Instruct-v0.3", 2, "F32",
          {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": None,
           "rope_theta": 1000000.0, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 32.0,
                                                     "beta_slow": 1.0, "original_max_position_embeddings": 64}},
          kv_heads=2)
synthetic("llama3-wide-heads", 3, "BF16",
          {"head_dim": 24, "rope_theta": 500000.0, "max_position_embeddings": 131072,
           "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                            "original_max_position_embeddings": 8192}},
          head_dim=24, kv_heads=1, tied=True)
synthetic("longrope", 4, "BF16",
          {"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
                            "factor": 4.0, "original_max_position_embeddings": 64}}, kv_heads=2)
synthetic("dynamic-biases", 5, "F32", {"rope_scaling": {"type": "dynamic", "factor": 2.0}, "attention_bias": True,
                                       "mlp_bias": True, "num_key_value_heads": "absent", "rms_norm_eps": "absent"},
          biases=True)
synthetic("rope-parameters", 6, "BF16", {"rope_parameters": {"rope_type": "default", "rope_theta": 123456.0},
                                         "_name_or_path": "an-org/Some-Model-2B-chat"},
          kv_heads=2, files={"README.md": CARD, "generation_config.json": SAMPLING})
synthetic("mixtral", 7, "BF16", {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral",
                                 "num_local_experts": 3, "num_experts_per_tok": 2}, kv_heads=2, experts=3)
for argument in sys.argv[2:]:
    write_golden(pathlib.Path(argument))
