// Calls of the API, with the key if there is one, and streams of server-sent events.

const keyName = "llamacluster-key";

export const apiKey = {
  get value() {
    return sessionStorage.getItem(keyName) ?? "";
  },
  set value(key) {
    if (key) sessionStorage.setItem(keyName, key);
    else sessionStorage.removeItem(keyName);
  },
};

/** An answer that is an error, with the server's own words. */
export class ApiError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** A key is missing or wrong. */
  get needsKey() {
    return this.status === 401 || this.status === 403;
  }
}

export async function call(path, { body, signal, accept = "application/json" } = {}) {
  const headers = { Accept: accept };
  if (apiKey.value) headers.Authorization = `Bearer ${apiKey.value}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = `${path} answered ${answer.status}`;
  try {
    message = JSON.parse(text).error?.message ?? message;
  } catch {
    // the answer of something between here and the coordinator: its status says enough
  }
  throw new ApiError(answer.status, message, Number(answer.headers.get("Retry-After")) || null);
}

/**
 * The events of a stream, in order: {type, data}, and {comment: true} for comments.
 * @param answer What `call` gave.
 */
export async function* eventsOf(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const event = { type: "message", data: "" };
        for (const line of part.split("\n")) {
          if (line.startsWith("data: ")) event.data += line.slice(6);
          else if (line.startsWith("event: ")) event.type = line.slice(7);
          else if (line.startsWith(":")) event.comment = true;
        }
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});   // the connection may have broken already
  }
}

const pause = (time, signal) => new Promise(done => {
  const timer = setTimeout(done, time);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    done();
  }, { once: true });
});

/**
 * Listens to the cluster for as long as the page can be seen: a page that is hidden costs the coordinator nothing. Breaks are mended.
 * @param heard Called with each snapshot.
 * @param lost Called with the reason when there is no connection.
 */
export function listen(heard, lost) {
  const hiddenFor = 30_000;
  let over = new AbortController();
  let hiding = 0;

  async function run(signal) {
    for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 5000)) {
      try {
        for await (const event of eventsOf(await call("/v1/cluster/events", { accept: "text/event-stream", signal }))) {
          wait = 500;
          if (event.type === "cluster") heard(JSON.parse(event.data));
        }
        if (!signal.aborted) lost(new Error("the coordinator closed the connection"));
      } catch (problem) {
        if (signal.aborted) return;
        lost(problem);
        if (problem.needsKey) return;
      }
      await pause(wait, signal);
    }
  }

  function begin() {
    over.abort();
    over = new AbortController();
    run(over.signal);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(() => over.abort(), hiddenFor);
    else if (over.signal.aborted) begin();
  });
  begin();
  return begin;
}
