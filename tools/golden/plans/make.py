"""Writes tests/golden/plans/*.txt: the type that the official library's quantizer chooses for every
tensor of well-known models, for every preset. The models are sparse files of the right names, shapes
and hyper-parameters; a dry run of the library reads no weights.

    python3 tools/golden/plans/make.py LIBRARY_FOLDER [OUTPUT_FOLDER]
"""

import ctypes
import os
import re
import struct
import sys
import tempfile

# name: layers, width, feed-forward, heads, key-value heads, head size, vocabulary, tied
MODELS = {
    "llama-3.2-1b": (16, 2048, 8192, 32, 8, 64, 128256, True),
    "llama-3.1-8b": (32, 4096, 14336, 32, 8, 128, 128256, False),
    "llama-3.1-70b": (80, 8192, 28672, 64, 8, 128, 128256, False),
    "smollm2-135m": (30, 576, 1536, 9, 3, 64, 49152, True),
    "mistral-7b": (32, 4096, 14336, 32, 8, 128, 32768, False),
    "tinyllama-1.1b": (22, 2048, 5632, 32, 4, 64, 32000, False),
}
PRESETS = {
    "f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q4_0": 2, "q4_1": 3, "q5_0": 8, "q5_1": 9,
    "q2_k": 10, "q2_k_s": 21, "q3_k_s": 11, "q3_k_m": 12, "q3_k_l": 13, "q4_k_s": 14, "q4_k_m": 15,
    "q5_k_s": 16, "q5_k_m": 17, "q6_k": 18,
}
UNSET_TYPE = 43
F32, F16 = 0, 1


def tensors(layers, width, feed_forward, heads, shared, head, vocabulary, tied):
    yield "token_embd.weight", (vocabulary, width)
    if not tied:
        yield "output.weight", (vocabulary, width)
    yield "output_norm.weight", (width,)
    for i in range(layers):
        for name, shape in (
            ("attn_norm", (width,)), ("attn_q", (heads * head, width)),
            ("attn_k", (shared * head, width)), ("attn_v", (shared * head, width)),
            ("attn_output", (width, heads * head)), ("ffn_norm", (width,)),
            ("ffn_gate", (feed_forward, width)), ("ffn_up", (feed_forward, width)),
            ("ffn_down", (width, feed_forward)),
        ):
            yield f"blk.{i}.{name}.weight", shape


def write_sparse(path, model):
    layers, width, feed_forward, heads, shared, head, vocabulary, _ = model
    text = lambda s: struct.pack("<Q", len(s)) + s.encode()
    u32 = lambda key, value: text(key) + struct.pack("<II", 4, value)
    f32 = lambda key, value: text(key) + struct.pack("<If", 6, value)
    keys = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        u32("llama.block_count", layers), u32("llama.context_length", 2048),
        u32("llama.embedding_length", width), u32("llama.feed_forward_length", feed_forward),
        u32("llama.attention.head_count", heads), u32("llama.attention.head_count_kv", shared),
        u32("llama.rope.dimension_count", head), u32("llama.vocab_size", vocabulary),
        f32("llama.attention.layer_norm_rms_epsilon", 1e-5), u32("general.file_type", 1),
    ]
    infos, offset = b"", 0
    listed = list(tensors(*model))
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
    line = re.compile(r"\[ *\d+/ *\d+\] +(\S+) +- \[[^]]*\], type = +(\S+), size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((\S+)\))?")
    os.makedirs(output, exist_ok=True)
    for name, model in MODELS.items():
        columns = {}
        with tempfile.TemporaryDirectory() as temporary:
            path = os.path.join(temporary, "model.gguf")
            write_sparse(path, model)
            for preset, file_type in PRESETS.items():
                parameters = llama.llama_model_quantize_default_params()
                parameters.file_type = file_type
                parameters.dry_run = True
                del log[:]
                status = llama.llama_model_quantize(
                    path.encode(), os.path.join(temporary, "out.gguf").encode(), ctypes.byref(parameters))
                joined = re.sub(r"llama_tensor_get_type[^\n]*\n|warning:[^\n]*\n|\(WARNING[^\n]*\n", "", "".join(log))
                chosen = {m[1]: (m[3] or m[2]) for m in line.finditer(joined)}
                if status != 0 or set(chosen) != {n for n, _ in tensors(*model)}:
                    sys.exit(f"{name} {preset}: status {status}, {len(chosen)} tensors\n" + joined[-2000:])
                columns[preset] = chosen
        with open(os.path.join(output, name + ".txt"), "w") as file:
            file.write("tensor " + " ".join(PRESETS) + "\n")
            for tensor in chosen:
                file.write(tensor + " " + " ".join(columns[p][tensor] for p in PRESETS) + "\n")
        print(name, len(chosen))


main()
