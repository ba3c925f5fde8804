// One answer of the model, as it comes.

import { call, eventsOf } from "./api.js";

/** What an answer has so far, and how fast it came. */
export class Answer {
  text = "";
  reasoning = "";
  calls = [];
  finish = null;
  usage = null;
  chunks = 0;
  asked = performance.now();
  first = null;
  latest = null;
  longestPause = 0;
  notes = [];

  /** Tokens generated: as the server counts them, or while it has not said, the pieces that came. */
  get tokens() {
    return this.usage?.completion_tokens ?? this.chunks;
  }

  /** Tokens per second after the first one; null while there are too few. */
  get rate() {
    return this.first !== null && this.latest > this.first && this.tokens > 1 ? 1000 * (this.tokens - 1) / (this.latest - this.first) : null;
  }

  /** As a message of the conversation. */
  get message() {
    const calls = this.calls.map(({ id, name, arguments: given }) => ({ id, type: "function", function: { name, arguments: given } }));
    return { role: "assistant", content: this.text || (calls.length > 0 ? null : ""), ...(calls.length > 0 ? { tool_calls: calls } : {}) };
  }

  take(chunk) {
    if (chunk.usage) this.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? {};
    const thought = delta.reasoning_content ?? delta.reasoning ?? "";
    if (delta.content || thought || delta.tool_calls) this.#arrived();
    this.text += delta.content ?? "";
    this.reasoning += thought;
    for (const part of delta.tool_calls ?? []) {
      const known = this.calls[part.index] ??= { id: "", name: "", arguments: "" };
      known.id ||= part.id ?? "";
      known.name ||= part.function?.name ?? "";
      known.arguments += part.function?.arguments ?? "";
    }
    this.finish = choice.finish_reason ?? this.finish;
  }

  #arrived() {
    const now = performance.now();
    if (this.latest !== null) this.longestPause = Math.max(this.longestPause, now - this.latest);
    [this.first, this.latest] = [this.first ?? now, now];
    this.chunks++;
  }
}

/**
 * Asks for the next message.
 * @param changed Called whenever more of the answer is there.
 * @throws ApiError, with the server's words.
 */
export async function complete(answer, body, signal, changed) {
  const response = await call("/v1/chat/completions", { signal, accept: "text/event-stream", body: { ...body, stream: true, stream_options: { include_usage: true } } });
  for (const [name, meaning] of [["X-LlamaCluster-Ignored", "ignored"], ["X-LlamaCluster-Adjusted", "adjusted"]]) {
    const fields = response.headers.get(name);
    if (fields) answer.notes.push(`${meaning}: ${fields}`);
  }
  for await (const event of eventsOf(response)) {
    if (event.data === "[DONE]") return;
    if (!event.data) continue;
    const chunk = JSON.parse(event.data);
    if (chunk.error) throw new Error(chunk.error.message);
    answer.take(chunk);
    changed();
  }
  throw new Error("the connection ended before the answer did");
}
