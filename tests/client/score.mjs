// Asks a real client (node-llama-cpp, unmodified llama.cpp) what it makes of a file, and prints one
// JSON object.
//   node score.mjs ORACLES load MODEL                loads, continues a prompt
//   node score.mjs ORACLES perplexity MODEL TEXT N   mean negative log-likelihood of N windows of TEXT
//   node score.mjs ORACLES embed MODEL TEXT          one embedding per line of TEXT
import {readFile} from "node:fs/promises";
import {pathToFileURL} from "node:url";
import path from "node:path";

const [oracles, task, model, text, count] = process.argv.slice(2);
const entry = path.join(oracles, "node_modules/node-llama-cpp/dist/index.js");
const {getLlama, LlamaLogLevel, LlamaCompletion} = await import(pathToFileURL(entry).href);
const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 2});
const loaded = await llama.loadModel({modelPath: path.resolve(model)});

const tasks = {
    async load() {
        const context = await loaded.createContext({contextSize: 256, threads: 2});
        const completion = new LlamaCompletion({contextSequence: context.getSequence()});
        const answer = await completion.generateCompletion("The kernel reads the file", {maxTokens: 16, temperature: 0});
        return {completion: answer, tensorBytes: loaded.size};
    },

    // Every window starts with the beginning-of-text token, so that its tokens have the same context
    // in every file that is compared.
    async perplexity() {
        const window = 128;
        const tokens = loaded.tokenize((await readFile(text, "utf8")).slice(0, 60000));
        const context = await loaded.createContext({contextSize: 256, threads: 2});
        const sequence = context.getSequence();
        let sum = 0, counted = 0;
        for (let i = 0; i < Number(count); i++) {
            const piece = tokens.slice(i * window, (i + 1) * window);
            if (piece.length < window) throw new Error("the text is too short");
            await sequence.clearHistory();
            const input = [loaded.tokens.bos, ...piece];
            const results = await sequence.controlledEvaluate(input.map((token, at) =>
                at + 1 < input.length ? [token, {generateNext: {probabilities: true}}] : token));
            for (let at = 0; at + 1 < input.length; at++) {
                const p = results[at].next.probabilities.get(input[at + 1]);
                if (!(p > 0)) throw new Error("a token without a probability");
                sum -= Math.log(p);
                counted++;
            }
        }
        return {tokens: counted, negativeLogLikelihood: sum / counted, perplexity: Math.exp(sum / counted)};
    },

    async embed() {
        const context = await loaded.createEmbeddingContext({threads: 2});
        const embeddings = [];
        for (const line of (await readFile(text, "utf8")).split("\n").filter((l) => l !== ""))
            embeddings.push((await context.getEmbeddingFor(line)).vector);
        return {embeddings};
    }
};
const answer = await tasks[task]();
process.stdout.write(JSON.stringify(answer) + "\n", () => process.exit(0));
