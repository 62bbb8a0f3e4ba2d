#!/usr/bin/env python3
"""Makes tests/golden/lora: tiny models, adapters that the PEFT package saved for them, and what its
merge_and_unload() makes of both in float32.

    python tools/golden/lora/make.py tests/golden/lora [NAME ...]

Needs torch, transformers and peft. A folder per adapter: adapter_config.json and
adapter_model.safetensors as saved, about.json (the model, which tensors change), and
merged.safetensors: the changed tensors under the model's names. about.json has the hash of every
tensor from the same sums in double precision, the products added in the order of the rank and rounded
once. PEFT's values differ from these by a few units in the last place of the terms' magnitudes (its
sums are float32, in an order that depends on the machine); the largest difference is printed, and more
than 4 is an error. Seeds are fixed, and so the files.
"""
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (AutoModel, AutoModelForCausalLM, GPT2Config, GptOssConfig, Llama4TextConfig,
                          LlamaConfig, MixtralConfig, Qwen2Config)

LLAMA = dict(hidden_size=48, intermediate_size=600, num_hidden_layers=1, num_attention_heads=4,
             num_key_value_heads=2, vocab_size=40, max_position_embeddings=64)


class Convolutions(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = torch.nn.Conv2d(5, 7, 3)
        self.narrow = torch.nn.Conv2d(7, 6, 1)
        self.line = torch.nn.Conv1d(6, 4, 5)

    def forward(self, x):
        return self.line(self.narrow(self.wide(x)).flatten(2))


MODELS = {
    "llama": (LlamaConfig(**LLAMA), torch.bfloat16),
    "tied": (Qwen2Config(**LLAMA, tie_word_embeddings=True), torch.float16),
    "gpt2": (GPT2Config(n_embd=24, n_layer=1, n_head=2, vocab_size=40, n_positions=16), torch.float32),
    "mixtral": (MixtralConfig(hidden_size=32, intermediate_size=24, num_hidden_layers=1,
                              num_attention_heads=4, num_key_value_heads=2, vocab_size=40,
                              num_local_experts=3), torch.bfloat16),
    "gpt-oss": (GptOssConfig(hidden_size=32, intermediate_size=24, num_hidden_layers=1, head_dim=8,
                             num_attention_heads=4, num_key_value_heads=2, vocab_size=40,
                             num_local_experts=3, layer_types=["full_attention"]), torch.bfloat16),
    "convolutions": (None, torch.float32),
}

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
# name: (model, configuration, type of the saved adapter)
ADAPTERS = {
    "llama-attention": ("llama", dict(r=4, lora_alpha=8, target_modules=ATTENTION), torch.float32),
    "llama-fresh": ("llama", dict(r=4, lora_alpha=8, target_modules=ATTENTION,
                                  init_lora_weights=True), torch.float32),
    "llama-all-stabilized": ("llama", dict(
        r=3, lora_alpha=7, use_rslora=True, target_modules="all-linear",
        rank_pattern={"down_proj": 6, r"^model\.layers\.\d+\.self_attn.v_proj": 1},
        alpha_pattern={"layers.0.self_attn.q_proj": 1, "up_proj": 32}), torch.bfloat16),
    "llama-dora": ("llama", dict(r=5, lora_alpha=5, use_dora=True,
                                 target_modules=["q_proj", "down_proj", "lm_head"]), torch.float32),
    "llama-embeddings": ("llama", dict(r=2, lora_alpha=3, target_modules=["embed_tokens", "lm_head"]),
                         torch.float32),
    "llama-dora-embeddings": ("llama", dict(r=2, lora_alpha=3, use_dora=True,
                                            target_modules=["embed_tokens"]), torch.float32),
    "llama-saved": ("llama", dict(r=2, lora_alpha=4, target_modules=["gate_proj"],
                                  modules_to_save=["lm_head", "input_layernorm"]), torch.float16),
    "tied-biases": ("tied", dict(r=2, lora_alpha=4, target_modules=["k_proj", "v_proj"], bias="all"),
                    torch.float32),
    "tied-lora-bias": ("tied", dict(r=2, lora_alpha=5, target_modules=["k_proj", "v_proj"],
                                    lora_bias=True), torch.float32),
    "tied-saved-output": ("tied", dict(r=2, lora_alpha=4, target_modules=["o_proj"],
                                       modules_to_save=["lm_head"]), torch.float32),
    "gpt2-all": ("gpt2", dict(r=3, lora_alpha=6, target_modules=["c_attn", "c_proj", "c_fc"],
                              fan_in_fan_out=True), torch.float32),
    "gpt2-dora": ("gpt2", dict(r=3, lora_alpha=6, use_dora=True, target_modules=["c_attn", "c_proj"],
                               fan_in_fan_out=True), torch.float32),
    "mixtral-experts": ("mixtral", dict(r=2, lora_alpha=2, target_modules=["w1", "w2", "w3", "gate"]),
                        torch.float32),
    "gpt-oss-parameters": ("gpt-oss", dict(
        r=2, lora_alpha=6, target_modules=["q_proj"],
        target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]), torch.float32),
    "convolutions": ("convolutions", dict(r=2, lora_alpha=3, target_modules=["wide", "narrow", "line"]),
                     torch.float32),
    "convolutions-dora": ("convolutions", dict(r=2, lora_alpha=3, use_dora=True,
                                               target_modules=["wide", "narrow"]), torch.float32),
}


def randomize(module, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(module.named_parameters()):
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) *
                            (0.3 if parameter.dim() == 1 else 0.1) + (1 if "norm" in name else 0))


def make_model(folder, name):
    config, dtype = MODELS[name]
    path = folder / "models" / name
    if config is None:
        model = Convolutions()
        randomize(model, 1)
        path.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), path / "model.safetensors")
    else:
        model = AutoModelForCausalLM.from_config(config)
        randomize(model, 1)
        model.to(dtype).save_pretrained(path)
        (path / "generation_config.json").unlink(missing_ok=True)


def open_model(folder, name):
    path = folder / "models" / name
    if MODELS[name][0] is None:
        model = Convolutions()
        model.load_state_dict(load_file(path / "model.safetensors"))
        return model
    return AutoModelForCausalLM.from_pretrained(path, torch_dtype=torch.float32)


def in_double(target, before):
    """The merged weight of one wrapped module, and the sum of its terms' magnitudes, in double precision."""
    def double(tensor):
        return tensor.detach().float().numpy().astype(np.float64)
    w = double(before)
    scale = target.scaling["default"]
    if "default" in getattr(target, "lora_embedding_A", {}):
        a, b = double(target.lora_embedding_A["default"]), double(target.lora_embedding_B["default"])
        turned = True
    else:
        a, b = double(target.lora_A["default"].weight), double(target.lora_B["default"].weight)
        turned = getattr(target, "fan_in_fan_out", False)
    experts = getattr(target, "num_experts", 1)
    if experts > 1:
        a = a.reshape(experts, -1, a.shape[-1])
        b = b.reshape(b.shape[0], -1, experts).transpose(2, 0, 1)
        total = np.zeros((experts, b.shape[1], a.shape[2]))
        for k in range(a.shape[1]):
            total = total + b[:, :, k:k + 1] * a[:, k:k + 1, :]
        if not target._did_swap_in_out_features:
            total = total.transpose(0, 2, 1)
        size = abs(b) @ abs(a)
        if not target._did_swap_in_out_features:
            size = size.transpose(0, 2, 1)
    else:
        a, b = a.reshape(a.shape[0], -1), b.reshape(b.shape[0], -1)
        total = np.zeros((b.shape[0], a.shape[1]))
        for k in range(a.shape[0]):
            total = total + b[:, k:k + 1] * a[k:k + 1, :]
        size = abs(b) @ abs(a)
        if turned:
            total, size = total.T, size.T
    size = abs(w) + (size * scale).reshape(w.shape)
    merged = w + (total * scale).reshape(w.shape)
    magnitude = getattr(target, "lora_magnitude_vector", {})
    if "default" in magnitude:
        m = double(magnitude["default"].weight).reshape(-1)
        rows = merged.reshape(merged.shape[0], -1)
        # cumsum adds one by one, sum does not.
        factor = m / np.sqrt(np.cumsum(rows * rows, axis=0 if turned else 1)[(-1,) if turned else (slice(None), -1)])
        if not turned:
            factor = factor.reshape(-1, *[1] * (merged.ndim - 1))
        merged, size = merged * factor, size * abs(factor)
    return merged, size


def make_adapter(folder, name):
    base, settings, dtype = ADAPTERS[name]
    path = folder / "adapters" / name
    shutil.rmtree(path, ignore_errors=True)
    torch.manual_seed(len(name))
    model = get_peft_model(open_model(folder, base), LoraConfig(**{"init_lora_weights": False, **settings}))
    generator = torch.Generator().manual_seed(2)
    for key, parameter in sorted(model.named_parameters()):
        if not parameter.requires_grad or settings.get("init_lora_weights"):
            continue
        with torch.no_grad():
            if "magnitude" in key:
                parameter.mul_(1 + 0.2 * torch.randn(parameter.shape, generator=generator))
            elif "lora_" in key:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
            else:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
    model.save_pretrained(path)
    (path / "README.md").unlink(missing_ok=True)
    config = json.loads((path / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = None
    for key in ("target_modules", "modules_to_save"):
        if isinstance(config.get(key), list):
            config[key].sort()
    (path / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")

    # From the saved files, as anyone would load them.
    model = PeftModel.from_pretrained(open_model(folder, base), path)
    model.float()
    before = {k: v.clone() for k, v in open_model(folder, base).state_dict().items()}
    exact = {}
    for key, module in model.named_modules():
        key = key.removeprefix("base_model.model.")
        if getattr(module, "r", None) and hasattr(module, "scaling"):
            parameter = getattr(module, "parameter_name", "weight")
            key = key.replace(".base_layer", "") + "." + parameter
            exact[key] = in_double(module, before[key])
            if getattr(module, "lora_bias", {}).get("default"):
                key = key.removesuffix("weight") + "bias"
                terms = [v.detach().numpy().astype(np.float64) for v in
                         (before[key], module.lora_B["default"].bias * 1.0)]
                terms[1] = terms[1] * module.scaling["default"]
                exact[key] = terms[0] + terms[1], abs(terms[0]) + abs(terms[1])
    merged = model.merge_and_unload().state_dict()
    stored = load_file(folder / "models" / base / "model.safetensors")
    changed, hashes, units = {}, {}, 0.0
    for key, value in merged.items():
        if key not in stored and (key != "lm_head.weight" or "lm_head" not in settings.get("modules_to_save", [])):
            continue  # buffers, and outputs that are the embedding
        if key in exact or key not in before or not torch.equal(value, before[key]):
            changed[key] = value.float().contiguous().clone()
        if key not in changed:
            continue
        values = changed[key].numpy()
        if key in exact:
            sums, size = exact[key]
            units = max(units, float((abs(sums - values) / np.spacing(size.astype(np.float32))).max()))
            values = sums.astype(np.float32)
        hashes[key] = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    assert units <= 4, units
    save_file(changed, path / "merged.safetensors")
    about = {"model": base, "sha256": dict(sorted(hashes.items()))}
    (path / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{name}: {len(changed)} tensors, at most {units:.2f} units from double precision")


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    for name in MODELS:
        if not names or any(ADAPTERS[n][0] == name for n in names):
            make_model(folder, name)
    for name in names or ADAPTERS:
        make_adapter(folder, name)


main()
