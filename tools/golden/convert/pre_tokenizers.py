#!/usr/bin/env python3
"""Makes tests/golden/tokenizers/pre_tokenizers.txt: a digest of the check string's ids and the name that the
reference gives it, a line for each row of the reference's table, in its order.

usage: pre_tokenizers.py CONVERTER

CONVERTER is the reference's convert_hf_to_gguf.py. The table is get_vocab_base_pre(), one `if` a row."""
import ast
import pathlib
import sys

CONVERTER = pathlib.Path(sys.argv[1]).resolve()
OUT = pathlib.Path(__file__).resolve().parents[3] / "tests/golden/tokenizers/pre_tokenizers.txt"

module = ast.parse((CONVERTER.parent / "conversion/base.py").read_text())
function, = [node for node in ast.walk(module)
             if isinstance(node, ast.FunctionDef) and node.name == "get_vocab_base_pre"]
rows = []
for node in function.body:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and isinstance(node.test.comparators[0].value, str):
        assert ast.unparse(node.test.left) == "chkhsh" and len(node.body) == 1, ast.unparse(node)
        assert ast.unparse(node.body[0].targets[0]) == "res", ast.unparse(node)
        rows.append(f"{node.test.comparators[0].value} {node.body[0].value.value}")
assert len(rows) == ast.unparse(function).count("if chkhsh == ")
OUT.write_text("\n".join(rows) + "\n")
print(len(rows), "rows,", len({row.split()[0] for row in rows}), "digests")
