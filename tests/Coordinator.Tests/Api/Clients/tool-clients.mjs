// Lets each of several clients run a conversation with a function, as they come. Usage: node tool-clients.mjs BASE_URL MODEL
// Prints one JSON object: what each got, and how often it was asked for the weather.
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, stepCountIs, streamText, tool as aiTool } from 'ai';
import { createAgent, tool as langTool } from 'langchain';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { z } from 'zod';

const [url, model] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const question = 'Weather in Zürich?';
const schema = { type: 'object', properties: { place: { type: 'string', description: 'A town' } }, required: ['place'] };
const place = z.object({ place: z.string().describe('A town') });
const description = 'The weather at a place';
const nested = [{ type: 'function', function: { name: 'weather', description, parameters: schema } }];

let asked = [];
const weather = ({ place }) => { asked.push(place); return 'rain'; };
const counted = async work => { asked = []; const text = await work(); return { text, asked }; };

const openai = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: 'none', maxRetries: 0 });
const ollama = new Ollama({ host: url });
const aiModel = createOpenAICompatible({ name: 'llamacluster', baseURL })(model);

const openaiRuns = stream => openai.chat.completions.runTools({
  model, stream, messages: [{ role: 'user', content: question }],
  tools: [{ type: 'function', function: { name: 'weather', description, parameters: schema, parse: JSON.parse, function: weather } }],
}).finalContent();

const responses = async () => {
  const tools = [{ type: 'function', name: 'weather', description, parameters: schema, strict: false }];
  const first = await openai.responses.create({ model, input: question, tools });
  const call = first.output.find(item => item.type === 'function_call');
  const output = weather(JSON.parse(call.arguments));
  const stream = openai.responses.stream({ model, tools, previous_response_id: first.id, input: [{ type: 'function_call_output', call_id: call.call_id, output }] });
  const second = await stream.finalResponse();
  const items = await openai.responses.inputItems.list(second.id);
  await openai.responses.delete(first.id);
  return `${second.output_text} (${items.data.length} item)`;
};

const anthropicRuns = async stream => {
  const tools = [{ name: 'weather', description, input_schema: schema }];
  const messages = [{ role: 'user', content: question }];
  const ask = async () => stream
    ? await anthropic.messages.stream({ model, max_tokens: 500, tools, messages }).finalMessage()
    : await anthropic.messages.create({ model, max_tokens: 500, tools, messages });
  const first = await ask();
  const use = first.content.find(block => block.type === 'tool_use');
  messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: weather(use.input) }] });
  const second = await ask();
  const count = await anthropic.messages.countTokens({ model, tools, messages });
  if (count.input_tokens !== second.usage.input_tokens + second.usage.cache_read_input_tokens) throw new Error('counted otherwise');
  return second.content[0].text;
};

const ollamaRuns = async () => {
  const messages = [{ role: 'user', content: question }];
  const first = await ollama.chat({ model, messages, tools: nested });
  const call = first.message.tool_calls[0].function;
  messages.push(first.message, { role: 'tool', tool_name: call.name, content: weather(call.arguments) });
  let text = '';
  for await (const part of await ollama.chat({ model, messages, tools: nested, stream: true })) text += part.message.content;
  const [listed, shown, loaded] = [await ollama.list(), await ollama.show({ model }), await ollama.ps()];
  if (listed.models[0].name !== model || !shown.capabilities.includes('tools') || loaded.models.length !== 1) throw new Error('listed otherwise');
  return text;
};

const ai = { model: aiModel, prompt: question, stopWhen: stepCountIs(3), tools: { weather: aiTool({ description, inputSchema: place, execute: async input => weather(input) }) } };
const agent = createAgent({
  model: new ChatOpenAI({ model, apiKey: 'none', configuration: { baseURL } }),
  tools: [langTool(async input => weather(input), { name: 'weather', description, schema: place })],
});

console.log(JSON.stringify({
  'openai chat': await counted(() => openaiRuns(false)),
  'openai chat, streamed': await counted(() => openaiRuns(true)),
  'openai responses': await counted(responses),
  'ai': await counted(async () => (await generateText(ai)).text),
  'ai, streamed': await counted(async () => { let text = ''; for await (const part of streamText(ai).textStream) text += part; return text; }),
  'langchain agent': await counted(async () => (await agent.invoke({ messages: [{ role: 'user', content: question }] })).messages.at(-1).content),
  'anthropic': await counted(() => anthropicRuns(false)),
  'anthropic, streamed': await counted(() => anthropicRuns(true)),
  'ollama': await counted(ollamaRuns),
}));
process.exit(0);
