// usage: node record_llamacpp.mjs JOBS.json OUT.json; each job: {model: path of a .gguf file, special: bool, texts: [...]}
import fs from "fs";
import { getLlama } from "node-llama-cpp";

const llama = await getLlama({ build: "never", gpu: false, maxThreads: 1, logLevel: "error" });
const jobs = JSON.parse(fs.readFileSync(process.argv[2]));
const results = [];
for (const { model, special, texts } of jobs) {
  const loaded = await llama.loadModel({ modelPath: model, vocabOnly: true });
  results.push({ ids: texts.map((text) => [...loaded.tokenize(text, special)]) });
}
fs.writeFileSync(process.argv[3], JSON.stringify(results));
process.exit(0);
