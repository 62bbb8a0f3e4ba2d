// What llama.cpp (node-llama-cpp, unmodified) says it allocates for a file, by its log.
//   node memory.mjs ORACLES MODEL CONTEXT...
// prints one JSON object a context, in MiB: weights, cache (attention), state (recurrent layers),
// compute and output buffers.
import {pathToFileURL} from "node:url";
import path from "node:path";

const [oracles, model, ...contexts] = process.argv.slice(2);
const entry = path.join(oracles, "node_modules/node-llama-cpp/dist/index.js");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(entry).href);
const lines = [];
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.debug, maxThreads: 2,
    logger: (level, message) => lines.push(...message.split("\n"))});
// The log arrives later than what it is about; before a context is made, one is tried that allocates
// nothing, so that only lines after the last beginning count.
const sum = (what, from = 0) => lines.slice(from)
    .map((line) => line.match(new RegExp(`${what} buffer size = +([\\d.]+) MiB`))).filter((m) => m)
    .reduce((total, m) => total + Number(m[1]), 0);
const last = () => lines.findLastIndex((line) => line.includes("constructing llama_context"));
const logged = async () => {
    for (let before = -1, end = Date.now() + 60000; Date.now() < end;) {
        const complete = lines.slice(last()).some((line) => line.includes("reserve took"));
        if (complete && before === lines.length) return;
        before = lines.length;
        await new Promise((done) => setTimeout(done, 200));
    }
};

const loaded = await llama.loadModel({modelPath: path.resolve(model)});
for (const contextSize of contexts.map(Number)) {
    const context = await loaded.createContext({contextSize, batchSize: 512, threads: 2});
    await logged();
    const from = last();
    console.log(JSON.stringify({
        context: contextSize,
        weights: sum("model"),
        cache: sum("KV", from),
        state: sum("RS", from),
        compute: sum("compute", from),
        output: sum("output", from)
    }));
    await context.dispose();
}
process.exit(0);
