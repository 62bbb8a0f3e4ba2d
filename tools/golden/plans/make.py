"""Writes tests/golden/plans/*.txt: the type that the official library's quantizer chooses for every
tensor of well-known models, for every preset. The models are sparse files of the right names, shapes
and hyper-parameters; a dry run of the library reads no weights.

    python3 tools/golden/plans/make.py LIBRARY_FOLDER [OUTPUT_FOLDER]

A file's first line holds the model's hyper-parameters, the second the presets; then each tensor, in the
library's order, with its shape and its type under each preset. "PRESET+" is the preset with an importance
matrix, listed where that makes a difference. A type "!" says that the library refuses the model.
"""

import ctypes
import os
import re
import struct
import sys
import tempfile

PRESETS = {
    "f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q4_0": 2, "q4_1": 3, "q5_0": 8, "q5_1": 9,
    "q2_k": 10, "q2_k_s": 21, "q3_k_s": 11, "q3_k_m": 12, "q3_k_l": 13, "q4_k_s": 14, "q4_k_m": 15,
    "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18, "iq1_s": 24, "iq1_m": 31, "iq2_xxs": 19, "iq2_xs": 20,
    "iq2_s": 28, "iq2_m": 29, "iq3_xxs": 23, "iq3_xs": 22, "iq3_s": 26, "iq3_m": 27, "iq4_nl": 25,
    "iq4_xs": 30, "tq1_0": 36, "tq2_0": 37, "mxfp4_moe": 38, "q1_0": 40, "q2_0": 41,
}
F32, F16 = 0, 1


def per_layer(layers, shapes):
    for i in range(layers):
        for name, shape in shapes.items():
            yield f"blk.{i}.{name}.weight", shape


def around(width, vocabulary, tied, layers):
    yield "token_embd.weight", (vocabulary, width)
    if not tied:
        yield "output.weight", (vocabulary, width)
    yield "output_norm.weight", (width,)
    yield from layers


def model(architecture, layers, width, feed_forward, heads, shared, head, tensors, **more):
    keys = {"block_count": layers, "context_length": 2048, "embedding_length": width,
            "feed_forward_length": feed_forward, "attention.head_count": heads,
            "attention.head_count_kv": shared, "rope.dimension_count": head, **more}
    return architecture, keys, list(tensors)


def llama(layers, width, feed_forward, heads, shared, head, vocabulary, tied, experts=0, listed=None):
    shapes = {
        "attn_norm": (width,), "attn_q": (heads * head, width), "attn_k": (shared * head, width),
        "attn_v": (shared * head, width), "attn_output": (width, heads * head), "ffn_norm": (width,),
        "ffn_gate": (feed_forward, width), "ffn_up": (feed_forward, width), "ffn_down": (width, feed_forward),
    }
    more = {}
    if experts:
        shapes = {**{n: s for n, s in shapes.items() if n not in ("ffn_gate", "ffn_up", "ffn_down")},
                  "ffn_gate_inp": (experts, width), "ffn_gate_exps": (experts, feed_forward, width),
                  "ffn_up_exps": (experts, feed_forward, width), "ffn_down_exps": (experts, width, feed_forward)}
        more = {"expert_count": experts, "expert_used_count": 2}
    shapes = {n: s for n, s in shapes.items() if not listed or n in listed}
    return model("llama", layers, width, feed_forward, heads, shared, head,
                 around(width, vocabulary, tied, per_layer(layers, shapes)), vocab_size=vocabulary, **more)


def fused(architecture, layers, width, feed_forward, heads, shared, head, vocabulary, tied):
    shapes = {
        "attn_norm": (width,), "attn_qkv": ((heads + 2 * shared) * head, width),
        "attn_output": (width, heads * head), "ffn_up": (feed_forward, width), "ffn_down": (width, feed_forward),
    }
    return model(architecture, layers, width, feed_forward, heads, shared, head,
                 around(width, vocabulary, tied, per_layer(layers, shapes)), vocab_size=vocabulary)


def experts(architecture, layers, dense, width, attention, more, tied=False, last=None):
    """Experts of 512 rows beside one shared one, behind `dense` layers without."""
    feed_forward = {"ffn_gate": (1536, width), "ffn_up": (1536, width), "ffn_down": (width, 1536)}
    sparse = {"ffn_gate_inp": (16, width), "ffn_gate_exps": (16, 512, width), "ffn_up_exps": (16, 512, width),
              "ffn_down_exps": (16, width, 512), "ffn_gate_shexp": (512, width), "ffn_up_shexp": (512, width),
              "ffn_down_shexp": (width, 512)}
    listed = [(f"blk.{i}.{name}.weight", shape) for i in range(layers)
              for name, shape in {**attention, **(feed_forward if i < dense else sparse),
                                  **(last if last and i == layers - 1 else {})}.items()]
    return model(architecture, layers, width, 1536, 16, 4, 64, around(width, 32000, tied, listed),
                 vocab_size=32000, expert_count=16, expert_used_count=4, expert_feed_forward_length=512,
                 expert_shared_count=1, leading_dense_block_count=dense, **more)


SEPARATE = {"attn_q": (1024, 1024), "attn_k": (256, 1024), "attn_v": (256, 1024), "attn_output": (1024, 1024)}
LATENT = {"attn_q_a": (512, 1024), "attn_q_b": (1536, 512), "attn_kv_a_mqa": (320, 1024), "attn_kv_b": (2048, 256),
          "attn_k_b": (16, 256, 64), "attn_v_b": (16, 64, 256), "attn_output": (1024, 1024)}
LATENT_KEYS = {"attention.kv_lora_rank": 256, "attention.q_lora_rank": 512, "attention.key_length_mla": 96,
               "attention.value_length_mla": 64, "attention.key_length": 320, "attention.value_length": 256}
VALUES_AND_DOWN = ("attn_v", "ffn_down")
MODELS = {
    "llama-3.2-1b": llama(16, 2048, 8192, 32, 8, 64, 128256, True),
    "llama-3.1-8b": llama(32, 4096, 14336, 32, 8, 128, 128256, False),
    "llama-3.1-70b": llama(80, 8192, 28672, 64, 8, 128, 128256, False),
    "smollm2-135m": llama(30, 576, 1536, 9, 3, 64, 49152, True),
    "mistral-7b": llama(32, 4096, 14336, 32, 8, 128, 32768, False),
    "tinyllama-1.1b": llama(22, 2048, 5632, 32, 4, 64, 32000, False),
    # Eight experts; four, one query a key; sixteen, rows that are not whole blocks of 256.
    "mixtral-8x7b": llama(32, 4096, 14336, 32, 8, 128, 32000, False, 8),
    "four-experts": llama(9, 1024, 2048, 8, 8, 128, 32000, True, 4),
    "sixteen-experts": llama(17, 1024, 1440, 8, 4, 128, 32000, False, 16),
    # No grouped queries, so that rules about them show; an 80-layer model without.
    "llama-2-7b": llama(32, 4096, 11008, 32, 32, 128, 32000, False),
    "llama-1-65b": llama(80, 8192, 22016, 64, 64, 128, 32000, False, listed=VALUES_AND_DOWN),
    "falcon-7b": fused("falcon", 32, 4544, 18176, 71, 1, 64, 65024, False),
    "falcon-40b": fused("falcon", 60, 8192, 32768, 128, 8, 64, 65024, False),
    "phi-3-mini": fused("phi3", 32, 3072, 8192, 32, 32, 96, 32064, False),
    "qwen2-72b": ("qwen2",) + llama(80, 8192, 29568, 64, 8, 128, 152064, False, listed=VALUES_AND_DOWN)[1:],
    "jais-2-70b": ("jais2",) + llama(68, 7168, 26624, 56, 56, 128, 150272, False, listed=VALUES_AND_DOWN)[1:],
    # Names of their own; experts beside dense layers; appended layers; layers that run twice.
    "qwen-3-moe": experts("qwen3moe", 9, 0, 1024, SEPARATE, {}),
    "deepseek-2": experts("deepseek2", 9, 1, 1024, LATENT, LATENT_KEYS),
    "glm-4-moe": experts("glm4moe", 17, 2, 1024, SEPARATE, {"nextn_predict_layers": 1}, last={
        "nextn.eh_proj": (1024, 2048), "nextn.embed_tokens": (32000, 1024)}),
    "bailing-moe-3": experts("bailingmoe3", 9, 1, 1024, LATENT, {
        **LATENT_KEYS, "ssm.conv_kernel": 4, "kda.head_dim": 64, "kda.gate_lower_bound": -5.0,
        "expert_gating_func": 2}, tied=True),
    "nanbeige": (lambda m: ("nanbeige", {**m[1], "num_loops": 2}, m[2]))(
        llama(10, 1024, 2048, 16, 4, 64, 32000, True)),
}


def write_sparse(path, architecture, numbers, listed):
    text = lambda s: struct.pack("<Q", len(s)) + s.encode()
    u32 = lambda key, value: text(key) + struct.pack("<II", 4, value)
    f32 = lambda key, value: text(key) + struct.pack("<If", 6, value)
    keys = [text("general.architecture") + struct.pack("<I", 8) + text(architecture)]
    keys += [(f32 if isinstance(value, float) else u32)(f"{architecture}.{key}", value)
             for key, value in numbers.items()]
    keys += [f32(f"{architecture}.attention.layer_norm_{kind}epsilon", 1e-5) for kind in ("rms_", "")]
    keys += [u32("general.file_type", 1)]
    infos, offset = b"", 0
    for name, shape in listed:
        kind = F16 if len(shape) > 1 else F32
        values = 1
        for n in shape:
            values *= n
        infos += text(name) + struct.pack("<I", len(shape))
        infos += b"".join(struct.pack("<Q", n) for n in reversed(shape))
        infos += struct.pack("<IQ", kind, offset)
        offset += (values * (2 if kind == F16 else 4) + 31) // 32 * 32
    header = struct.pack("<IIQQ", 0x46554747, 3, len(listed), len(keys)) + b"".join(keys) + infos
    header += bytes(-len(header) % 32)
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + offset)


class Parameters(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int32) for n in ("threads", "file_type", "output_type", "embedding_type")]
    _fields_ += [(n, ctypes.c_bool) for n in (
        "allow_requantize", "quantize_output", "only_copy", "pure", "keep_split", "dry_run")]
    _fields_ += [(n, ctypes.c_void_p) for n in ("imatrix", "overrides", "tensor_types", "prune")]
    _fields_ += [("max_buffer", ctypes.c_size_t)]


class Importance(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.POINTER(ctypes.c_float)), ("size", ctypes.c_size_t)]


def main():
    folder = sys.argv[1]
    output = sys.argv[2] if len(sys.argv) > 2 else "tests/golden/plans"
    load = lambda name: ctypes.CDLL(os.path.join(folder, name), mode=ctypes.RTLD_GLOBAL)
    load("libggml-base.so"), load("libggml.v0.5.0.so")
    llama = load("libllama.v0.5.0.so")
    llama.llama_model_quantize_default_params.restype = Parameters
    log = []
    callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(
        lambda level, line, data: log.append(line.decode(errors="replace")))
    llama.llama_log_set(callback, None)
    llama.llama_backend_init()
    weight = ctypes.c_float(1)
    importance = (Importance * 2)(Importance(b"any.weight", ctypes.pointer(weight), 1), Importance())
    line = re.compile(r"\[ *\d+/ *\d+\] +(\S+) +- \[[^]]*\], type = +(\S+), size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((\S+)\))?")

    def types_of(path, names, file_type, weighted):
        """The types in the library's order, or None where it refuses for want of a fitting type."""
        parameters = llama.llama_model_quantize_default_params()
        parameters.file_type = file_type
        parameters.dry_run = True
        if weighted:
            parameters.imatrix = ctypes.cast(importance, ctypes.c_void_p)
        del log[:]
        status = llama.llama_model_quantize(path.encode(), (path + ".out").encode(), ctypes.byref(parameters))
        text = "".join(log)
        if status != 0 and "no tensor type fallback is defined" in text:
            return None
        text = re.sub(r"llama_tensor_get_type[^\n]*\n|warning:[^\n]*\n|\(WARNING[^\n]*\n", "", text)
        chosen = {m[1]: (m[3] or m[2]) for m in line.finditer(text)}
        if status != 0 or set(chosen) != names:
            sys.exit(f"{path} {file_type}: status {status}, {len(chosen)} tensors\n" + text[-2000:])
        return chosen

    os.makedirs(output, exist_ok=True)
    for name, (architecture, keys, listed) in MODELS.items():
        shapes = dict(listed)
        columns = {}
        with tempfile.TemporaryDirectory() as temporary:
            path = os.path.join(temporary, name)
            write_sparse(path, architecture, keys, listed)
            for preset, file_type in PRESETS.items():
                columns[preset] = types_of(path, set(shapes), file_type, False)
                weighted = types_of(path, set(shapes), file_type, True)
                if weighted != columns[preset]:
                    columns[preset + "+"] = weighted
        with open(os.path.join(output, name + ".txt"), "w") as file:
            file.write(f"architecture={architecture} " + " ".join(f"{k}={v}" for k, v in keys.items()) + "\n")
            file.write("tensor shape " + " ".join(columns) + "\n")
            for tensor in columns["f32"]:
                shape = "x".join(str(n) for n in shapes[tensor])
                types = (chosen[tensor] if chosen else "!" for chosen in columns.values())
                file.write(f"{tensor} {shape} " + " ".join(types) + "\n")
        print(name, len(shapes), [c for c in columns if c.endswith("+") or not columns[c]])


if __name__ == "__main__":
    main()
