// What llama.cpp (node-llama-cpp, unmodified) says it allocates for a file, by its log.
//   node memory.mjs ORACLES MODEL CONTEXT...
// prints one JSON object a context: MiB of model, cache (attention), state (recurrent), compute and
// output buffers, each the sum of its lines, and the number of cells.
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
const logged = async (what) => {
    const end = Date.now() + 20000;
    while (!lines.at(-1)?.includes(what) && Date.now() < end)
        await new Promise((done) => setTimeout(done, 20));
};

const loaded = await llama.loadModel({modelPath: path.resolve(model)});
for (const contextSize of contexts.map(Number)) {
    const context = await loaded.createContext({contextSize, batchSize: 512, threads: 2});
    await logged("sched_reserve: reserve took");
    const from = lines.findLastIndex((line) => line.includes("constructing llama_context"));
    const beginning = lines.slice(0, from);
    console.log(JSON.stringify({
        context: contextSize,
        weights: sum("model"),
        cache: sum("KV", from),
        state: sum("RS", from),
        compute: sum("compute", from),
        output: sum("output", from),
        lines: process.env.LINES ? lines : undefined
    }));
    await context.dispose();
}
process.exit(0);
