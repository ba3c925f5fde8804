// Asks one question with each of several clients, as they come but for the temperature. Usage: node chat-clients.mjs BASE_URL MODEL
// Prints one JSON object: each client's answer, whole and as a stream.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI } from '@langchain/openai';
import { OpenAI as LlamaIndexOpenAI } from '@llamaindex/openai';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';

const [url, model] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const question = 'What is pipeline parallelism?';
const messages = [{ role: 'user', content: question }];

const joined = async (stream, piece) => {
  let text = '';
  for await (const part of stream) text += piece(part) ?? '';
  return text;
};

const openai = new OpenAI({ baseURL, apiKey: 'none' });
const aiModel = createOpenAICompatible({ name: 'llamacluster', baseURL })(model);
const langchain = new ChatOpenAI({ model, temperature: 0, apiKey: 'none', configuration: { baseURL } });
const llamaindex = new LlamaIndexOpenAI({ model, temperature: 0, apiKey: 'none', baseURL });

console.log(JSON.stringify({
  openai: {
    whole: (await openai.chat.completions.create({ model, messages, temperature: 0 })).choices[0].message.content,
    streamed: await joined(await openai.chat.completions.create({ model, messages, temperature: 0, stream: true }), part => part.choices[0]?.delta.content),
  },
  ai: {
    whole: (await generateText({ model: aiModel, prompt: question, temperature: 0 })).text,
    streamed: await joined(streamText({ model: aiModel, prompt: question, temperature: 0 }).textStream, part => part),
  },
  langchain: {
    whole: (await langchain.invoke(question)).content,
    streamed: await joined(await langchain.stream(question), part => part.content),
  },
  llamaindex: {
    whole: (await llamaindex.chat({ messages })).message.content,
    streamed: await joined(await llamaindex.chat({ messages, stream: true }), part => part.delta),
  },
}));
