// usage: node record_hf.mjs JOBS.json OUT.json; each job: {tokenizer: path of a tokenizer.json, texts: [...]}
import fs from "fs";
import { createRequire } from "module";

const { Tokenizer } = createRequire(import.meta.url)("tokenizers");
const jobs = JSON.parse(fs.readFileSync(process.argv[2]));
const results = [];
for (const { tokenizer, texts } of jobs) {
  const loaded = Tokenizer.fromFile(tokenizer);
  const encode = async (text, addSpecialTokens) => (await loaded.encode(text, null, { addSpecialTokens })).getIds();
  const ids = [];
  for (const text of texts) ids.push(await encode(text, false));
  results.push({ ids, surrounded: await encode(texts[0], true) });
}
fs.writeFileSync(process.argv[3], JSON.stringify(results));
