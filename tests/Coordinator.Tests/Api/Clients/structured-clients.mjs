// Lets each of several clients ask for an answer of a schema, as they come. Usage: node structured-clients.mjs BASE_URL MODEL
// Prints one JSON object: what each made of the answer.
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI } from '@langchain/openai';
import { generateObject, streamObject } from 'ai';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false;   // they would stand in the output
const [url, model] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const prompt = 'Name a town.';
const messages = [{ role: 'user', content: prompt }];
const schema = z.object({ name: z.string().describe('Its name'), people: z.number().int(), rivers: z.array(z.string()) });

const openai = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
const aiModel = supportsStructuredOutputs => createOpenAICompatible({ name: 'llamacluster', baseURL, supportsStructuredOutputs })(model);

const streamed = async () => {
  const answer = streamObject({ model: aiModel(true), schema, prompt });
  let last;
  for await (const part of answer.partialObjectStream) last = part;
  return last;
};

console.log(JSON.stringify({
  'openai chat': (await openai.chat.completions.parse({ model, messages, response_format: zodResponseFormat(schema, 'town') })).choices[0].message.parsed,
  'openai chat, streamed': (await openai.chat.completions.stream({ model, messages, response_format: zodResponseFormat(schema, 'town') }).finalChatCompletion()).choices[0].message.parsed,
  'openai responses': (await openai.responses.parse({ model, input: prompt, text: { format: zodTextFormat(schema, 'town') } })).output_parsed,
  'ai': (await generateObject({ model: aiModel(true), schema, prompt })).object,
  'ai, streamed': await streamed(),
  'ai, any object': (await generateObject({ model: aiModel(false), schema, prompt })).object,
  'langchain': await new ChatOpenAI({ model, apiKey: 'none', configuration: { baseURL } }).withStructuredOutput(schema, { name: 'town', method: 'jsonSchema' }).invoke(prompt),
}));
process.exit(0);
