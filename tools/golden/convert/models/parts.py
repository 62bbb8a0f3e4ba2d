"""Tiny models of families: their configuration (the fields that published models have, sizes reduced), a
folder of tests/golden/tokenizers, and every tensor's name and shape. Here: what their descriptions share."""
MODELS = {}


def model(name, kind, tokenizer, config, tensors, dtype="BF16", pre=None, outtype="bf16", files=None, part="language_model"):
    """part: "projector" for what --mmproj writes."""
    config = {"architectures": [kind], **config}
    rows = []
    for key, shape, *more in tensors:
        # The reference takes exp() from a library whose last bit depends on the machine: few values, which
        # all agree on.
        if key.endswith("A_log"):
            more = [more[0] if more else dtype, 256]
        rows.append([key, list(shape)] + more)
    MODELS[name] = {"config": config, "tokenizer": tokenizer, "pre": pre, "dtype": dtype, "outtype": outtype,
                    "files": files or {}, "tensors": rows}
    if part != "language_model":
        MODELS[name]["part"] = part


def multimodal(name, kind, tokenizer, config, tensors, projector=("bf16",), **more):
    """One directory and the files that are made of it: the language model, and the projector in each of the types."""
    model(name, kind, tokenizer, config, tensors, **more)
    for outtype in projector:
        model(f"{name}-mmproj-{outtype}", kind, tokenizer, config, tensors, part="projector", **{**more, "outtype": outtype})


def layers(count, rows, prefix="model.layers.", start=0):
    return [(f"{prefix}{n}.{r[0]}",) + tuple(r[1:]) for n in range(start, start + count) for r in rows]


def decoder(v, h, lm_head=True):
    out = [("model.embed_tokens.weight", [v, h]), ("model.norm.weight", [h])]
    return out + ([("lm_head.weight", [v, h])] if lm_head else [])


def attention(h, q, kv, bias=False, o_bias=False, head=0):
    rows = [(f"self_attn.{p}_proj.weight", s) for p, s in
            (("q", [q, h]), ("k", [kv, h]), ("v", [kv, h]), ("o", [h, q]))]
    if bias:
        rows += [(f"self_attn.{p}_proj.bias", [s]) for p, s in (("q", q), ("k", kv), ("v", kv))]
    if o_bias:
        rows.append(("self_attn.o_proj.bias", [h]))
    if head:
        rows += [("self_attn.q_norm.weight", [head]), ("self_attn.k_norm.weight", [head])]
    return rows


def mlp(h, f, at="mlp."):
    return [(at + "gate_proj.weight", [f, h]), (at + "up_proj.weight", [f, h]), (at + "down_proj.weight", [h, f])]


def experts(n, h, f, at="mlp.experts."):
    return [row for e in range(n) for row in mlp(h, f, f"{at}{e}.")]


def norms(h, *names):
    return [(n + ".weight", [h]) for n in names]


def inner(rows):
    """The names that a language model inside a larger one has."""
    return [(row[0].replace("model.", "model.language_model.", 1) if row[0].startswith("model.") else row[0],) + tuple(row[1:])
            for row in rows]


BPE, V = "glm-like", 272
PRE = "gpt-2"
