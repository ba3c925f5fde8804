// A chat with the model that is served: streams, stops, shows thinking and calls of functions, and says how fast it was.

import { ApiError } from "./api.js";
import { Answer, complete } from "./completion.js";
import { h, put, say, show } from "./dom.js";
import * as format from "./format.js";
import { blocks } from "./markdown.js";

const pauseAfter = 1500;   // ms without a token that are told of
const exampleTools = '[{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city",\n  "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]';

const field = (name, title, attributes) => h("label", null, h("span", null, title), h("input", { name, ...attributes }));

export class Chat {
  #messages = [];
  #log = h("div", { class: "log", role: "log", tabindex: 0, "aria-label": "Conversation", "aria-live": "off" });
  #input = h("textarea", { rows: 2, placeholder: "Message", "aria-label": "Message", name: "message" });
  #send = h("button", { type: "submit", class: "primary" }, "Send");
  #stop = h("button", { type: "button", class: "primary stop", hidden: true, onclick: () => this.#running?.abort() }, "Stop");
  #settings;
  #spoken = h("div", { class: "sr-only", role: "status" });
  #hint = h("p", { class: "sub hint" }, "Enter sends · Shift+Enter breaks · Esc stops · / comes here");
  #running = null;
  #replica = null;
  #askForKey;

  constructor(host, askForKey) {
    this.#askForKey = askForKey;
    this.#settings = h("form", { class: "fields", onsubmit: event => event.preventDefault() },
      field("temperature", "Temperature", { type: "number", min: 0, max: 2, step: "any", value: "0.7" }),
      field("top_p", "Top p", { type: "number", min: 0, max: 1, step: "any", placeholder: "1" }),
      field("max_tokens", "Most tokens", { type: "number", min: 1, step: 1, placeholder: "what fits" }),
      field("seed", "Seed", { type: "number", step: 1, placeholder: "random" }),
      h("label", { class: "whole" }, h("span", null, "System message"), h("textarea", { name: "system", rows: 2 })),
      h("label", { class: "whole" }, h("span", null, "Functions, as JSON"), h("textarea", { name: "tools", rows: 3, class: "mono", spellcheck: "false", placeholder: exampleTools })));
    const form = h("form", { class: "compose", onsubmit: event => {
      event.preventDefault();
      this.#submit();
    } }, this.#input, h("div", { class: "row" }, this.#hint, this.#stop, this.#send));
    this.#input.addEventListener("keydown", event => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#submit();
      }
    });
    host.addEventListener("keydown", event => {
      if (event.key === "Escape") this.#running?.abort();
    });
    host.append(
      h("div", { class: "head" }, h("h2", { id: "chat-title" }, "Chat"), h("button", { type: "button", class: "quiet", onclick: () => this.#reset() }, "New")),
      h("details", { class: "settings" }, h("summary", null, "Parameters"), this.#settings), this.#log, form, this.#spoken);
    this.#empty();
  }

  focus() {
    this.#input.focus();
  }

  show(cluster, replica) {
    this.#replica = replica;
  }

  #empty() {
    const suggestions = ["What is a KV cache?", "How does LlamaCluster work?", "Write a haiku about pipelines."];
    this.#log.replaceChildren(h("div", { class: "empty" }, h("p", null, "Ask the model that runs on this cluster."), suggestions.map(text => h("button", { type: "button", class: "quiet suggestion", onclick: () => {
      this.#input.value = text;
      this.#submit();
    } }, text))));
  }

  #reset() {
    this.#running?.abort();
    this.#messages = [];
    this.#empty();
    this.focus();
  }

  #submit() {
    const text = this.#input.value.trim();
    if (text === "" || this.#running) return;
    this.#input.value = "";
    this.#say({ role: "user", content: text });
    this.#answer();
  }

  #say(message) {
    this.#log.querySelector(".empty")?.remove();
    this.#messages.push(message);
    const body = h("div", { class: "text" });
    body.append(...(message.role === "tool" ? [h("pre", { tabindex: 0 }, h("code", null, message.content))] : [h("p", null, message.content)]));
    this.#log.append(h("article", { class: `message ${message.role}` }, h("h3", null, message.role === "tool" ? "Result" : "You"), body));
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** The request's body. Throws if the functions are no JSON. */
  #body() {
    const { temperature, top_p: topP, max_tokens: most, seed, system, tools } = this.#settings.elements;
    const number = input => input.value === "" ? undefined : Number(input.value);
    const messages = system.value.trim() === "" ? this.#messages : [{ role: "system", content: system.value.trim() }, ...this.#messages];
    let functions;
    if (tools.value.trim() !== "") {
      try {
        functions = JSON.parse(tools.value);
      } catch (problem) {
        throw new Error(`The functions are no JSON: ${problem.message}`);
      }
    }
    return { messages, temperature: number(temperature), top_p: number(topP), max_tokens: number(most), seed: number(seed), tools: functions };
  }

  async #answer() {
    const running = this.#running = new AbortController();
    const messages = this.#messages;   // another list once a new conversation begins
    const [answer, view] = [new Answer(), new AnswerView()];
    this.#log.append(view.element);
    this.#busy(true);
    const draw = () => {
      const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60;
      view.show(answer, this.#waiting(answer));
      if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
    };
    let drawn = 0;
    const soon = () => drawn ||= requestAnimationFrame(() => {
      drawn = 0;
      draw();
    });
    const clock = setInterval(draw, 250);
    let problem = null;
    try {
      await complete(answer, this.#body(), running.signal, soon);
    } catch (failure) {
      problem = running.signal.aborted ? null : failure;
      if (problem instanceof ApiError && problem.needsKey) this.#askForKey(problem.message);
    }
    clearInterval(clock);
    cancelAnimationFrame(drawn);
    if (this.#running === running) {
      this.#running = null;
      this.#busy(false);
    }
    if (answer.text || answer.calls.length > 0) messages.push(answer.message);
    else if (problem && messages.at(-1)?.role === "user" && this.#input.value === "") this.#input.value = messages.pop().content;   // to be sent again
    draw();
    view.end(answer, running.signal.aborted ? "stopped" : null, problem);
    if (answer.finish === "tool_calls") this.#askForResults(answer);
    this.#log.scrollTop = this.#log.scrollHeight;
    say(this.#spoken, problem ? `The answer failed: ${problem.message}` : `Answer: ${answer.text}`);
  }

  /** Why no token comes, if none does. */
  #waiting(answer) {
    if (!this.#running) return "";
    const since = performance.now() - (answer.latest ?? answer.asked);
    if (since < pauseAfter) return "";
    const why = this.#replica && !this.#replica.ready ? "the cluster recovers; the answer goes on" : answer.first === null ? "reading the prompt, or waiting for its turn" : "waiting for the next token";
    return `${why} · ${format.seconds(since / 1000)}`;
  }

  /** Fields for what the functions gave. */
  #askForResults(answer) {
    const inputs = answer.calls.map(call => h("textarea", { rows: 2, class: "mono", "aria-label": `Result of ${call.name}`, placeholder: `What ${call.name} gave` }));
    const form = h("form", { class: "results", onsubmit: event => {
      event.preventDefault();
      if (this.#running) return;
      form.remove();
      answer.calls.forEach((call, index) => this.#say({ role: "tool", tool_call_id: call.id, content: inputs[index].value }));
      this.#answer();
    } }, inputs, h("button", { class: "primary" }, answer.calls.length > 1 ? "Send the results" : "Send the result"));
    this.#log.append(form);
    inputs[0]?.focus();
  }

  #busy(is) {
    show(this.#stop, is);
    show(this.#send, !is);
    put(this.#log, "aria-busy", is);
  }
}

/** An answer on the page. */
class AnswerView {
  #thought = h("div", { class: "text" });
  #thinking = h("details", { class: "thinking", hidden: true }, h("summary", null, "Thinking"), this.#thought);
  #text = h("div", { class: "text" });
  #calls = h("div");
  #facts = h("p", { class: "facts" });
  #drawn = "";

  constructor() {
    this.element = h("article", { class: "message assistant" }, h("h3", null, "Model"), this.#thinking, this.#text, this.#calls, this.#facts);
  }

  show(answer, waiting) {
    show(this.#thinking, answer.reasoning !== "");
    if (answer.reasoning) say(this.#thought, answer.reasoning.trim());
    this.#thinking.firstElementChild.classList.toggle("now", answer.reasoning !== "" && answer.text === "" && answer.finish === null);
    if (this.#drawn !== answer.text) this.#text.replaceChildren(...blocks(answer.text));
    this.#drawn = answer.text;
    this.#calls.replaceChildren(...answer.calls.map(call =>
      h("figure", { class: "code call" }, h("figcaption", null, `calls ${call.name}`), h("pre", { tabindex: 0 }, h("code", null, pretty(call.arguments))))));
    put(this.#facts, "class", waiting ? "facts waiting" : "facts");
    say(this.#facts, waiting || this.#figures(answer).join(" · ") || "…");
  }

  end(answer, stopped, problem) {
    const finish = stopped ?? (answer.finish === "length" ? "cut: the most tokens are reached" : null);
    say(this.#facts, [...this.#figures(answer), finish, ...answer.notes].filter(part => part).join(" · "));
    if (problem) this.element.append(h("p", { class: "bad" }, problem.message));
  }

  #figures(answer) {
    if (answer.first === null) return [];
    const cached = answer.usage?.prompt_tokens_details?.cached_tokens;
    return [
      answer.rate === null ? null : `${format.figures(answer.rate)} tok/s`, format.plural(answer.tokens, "token"), `first after ${format.seconds((answer.first - answer.asked) / 1000)}`,
      answer.usage ? `prompt ${format.count(answer.usage.prompt_tokens)}${cached ? `, ${format.count(cached)} cached` : ""}` : null,
      answer.longestPause > pauseAfter ? `longest pause ${format.seconds(answer.longestPause / 1000)}` : null,
    ].filter(part => part);
  }
}

function pretty(json) {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;   // it is still coming, or is none
  }
}
