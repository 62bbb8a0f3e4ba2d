"""How golden data writes down a GGUF file: keys as [name, type, value], tensors as [name, type, shape, SHA-256]."""
import hashlib
import json
import sys

import numpy as np

TYPE_NAMES = {0: "u8", 1: "i8", 2: "u16", 3: "i16", 4: "u32", 5: "i32", 6: "f32", 7: "bool", 8: "str",
              10: "u64", 11: "i64", 12: "f64"}
LONGEST_ARRAY = 16


def describe_field(field):
    kind = field.types[0]
    if kind != 9:
        value = field.contents()
        if kind == 6:
            value = "%08x" % np.float32(value).view(np.uint32)
        return [field.name, TYPE_NAMES[kind], value]
    element = field.types[-1]
    values = field.contents()
    if element == 6:
        values = ["%08x" % np.float32(v).view(np.uint32) for v in values]
    if len(values) > LONGEST_ARRAY:
        digest = hashlib.sha256()
        for i in field.data:
            # Strings with their length, so that moving a boundary changes the digest.
            if element == 8:
                digest.update(len(bytes(field.parts[i])).to_bytes(8, "little"))
            digest.update(bytes(field.parts[i]))
        values = {"count": len(values), "sha256": digest.hexdigest()}
    return [field.name, "arr " + TYPE_NAMES[element], values]


def describe_model(gguf, path):
    reader = gguf.GGUFReader(path)
    keys = [describe_field(f) for f in reader.fields.values() if not f.name.startswith("GGUF.")]
    tensors = []
    for t in reader.tensors:
        shape = [int(d) for d in reversed(t.shape)]
        tensors.append([t.name, t.tensor_type.name.lower(), shape, hashlib.sha256(t.data.tobytes()).hexdigest()])
    return keys, tensors


def golden_text(parts):
    """JSON with one entry of a list per line; other parts on a line each."""
    lines = []
    for name, value in parts.items():
        text = "[\n" + ",\n".join(json.dumps(v) for v in value) + "\n]" if isinstance(value, list) else json.dumps(value)
        lines.append(f"{json.dumps(name)}: {text}")
    return "{" + ", ".join(lines) + "}\n"


def use_converter(converter):
    """The reference's GGUF library, from beside its converter."""
    sys.path.insert(0, str(converter.parent / "gguf-py"))
    import gguf
    return gguf
