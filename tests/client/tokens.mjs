// Asks a real client (node-llama-cpp, unmodified llama.cpp) for the ids that the vocabulary of a GGUF
// file gives to texts, special tokens in them included, and prints one JSON list of ids per text.
//   node tokens.mjs ORACLES MODEL[,MODEL...] TEXTS...    TEXTS: files of one JSON string a line
import {readFile} from "node:fs/promises";
import {pathToFileURL} from "node:url";
import path from "node:path";

const [oracles, models, ...texts] = process.argv.slice(2);
const entry = path.join(oracles, "node_modules/node-llama-cpp/dist/index.js");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(entry).href);
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 1});
let out = "";
for (const model of models.split(",")) {
    const loaded = await llama.loadModel({modelPath: path.resolve(model), vocabOnly: true});
    for (const file of texts)
        for (const line of (await readFile(file, "utf8")).split("\n").filter((l) => l !== ""))
            out += JSON.stringify(loaded.tokenize(JSON.parse(line), true)) + "\n";
    await loaded.dispose();
}
process.stdout.write(out, () => process.exit(0));
