// Drives the HTTP API with the official npm client. Usage: node openai-client.mjs BASE_URL MODEL
// Prints one JSON object with what came back.
import OpenAI from 'openai';

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: 'none', maxRetries: 0, timeout: 60_000 });
const messages = [{ role: 'user', content: 'What is pipeline parallelism?' }];
const greedy = { model, temperature: 0, max_tokens: 40 };

const collect = async (stream, piece) => {
  let text = '', usage = null, finish = null;
  for await (const chunk of stream) {
    text += chunk.choices[0] ? piece(chunk.choices[0]) ?? '' : '';
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  return { text, usage, finish };
};
const failure = async work => {
  try { await work(); return null; } catch (error) { return { status: error.status, param: error.param, code: error.code, message: error.message }; }
};

const chat = await client.chat.completions.create({ ...greedy, messages, logprobs: true, top_logprobs: 2 });
const result = {
  models: (await client.models.list()).data.map(m => m.id),
  chat: { text: chat.choices[0].message.content, finish: chat.choices[0].finish_reason, usage: chat.usage, logprobs: chat.choices[0].logprobs.content.length },
  streamed: await collect(await client.chat.completions.create({ ...greedy, messages, stream: true, stream_options: { include_usage: true } }), c => c.delta.content),
  several: (await client.chat.completions.create({ ...greedy, messages, n: 3 })).choices.map(c => c.message.content),
  completion: (await client.completions.create({ ...greedy, prompt: 'LlamaCluster', max_tokens: 8, logprobs: 1, echo: true })).choices[0],
  // Without an encoding_format the client asks for base64 and decodes it.
  embeddings: (await client.embeddings.create({ model, input: ['What is a KV cache?', 'Pipelines'] })).data.map(one => Math.hypot(...one.embedding)),
  sameEmbedding: await (async () => {
    const ask = encoding_format => client.embeddings.create({ model, input: 'What is a KV cache?', encoding_format });
    const [numbers, text] = [await ask('float'), await ask('base64')].map(answer => answer.data[0].embedding);
    const bytes = Buffer.from(text, 'base64');
    return numbers.length > 0 && numbers.every((number, at) => Math.fround(number) === bytes.readFloatLE(4 * at));
  })(),
  unknownModel: await failure(() => client.chat.completions.create({ ...greedy, model: 'no-such-model', messages })),
  negative: await failure(() => client.chat.completions.create({ ...greedy, messages, max_tokens: -5 })),
};
console.log(JSON.stringify(result));
