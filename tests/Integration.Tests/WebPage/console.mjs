// Drives the console in Debian's Chromium, with a cluster of which one worker is killed. Prints one JSON object.
// node console.mjs URL PID [FOLDER]: PID is the worker's; pictures of the page go into FOLDER.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, pid, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const deadline = 20_000;
const result = { errors: [], foreign: [], findings: [], widths: {} };

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });

async function open(width, height, colorScheme) {
  const page = await (await browser.newContext({ viewport: { width, height }, colorScheme })).newPage();
  page.setDefaultTimeout(deadline);
  page.on("console", message => message.type() === "error" && result.errors.push(message.text()));
  page.on("pageerror", error => result.errors.push(error.message));
  page.on("request", request => new URL(request.url()).origin !== new URL(url).origin && result.foreign.push(request.url()));
  await page.goto(url);
  await page.waitForSelector('#status[data-state="ready"]');
  return page;
}

async function look(page, name) {
  await page.evaluate(`${axe};0`);
  const { violations } = await page.evaluate(() => axe.run());
  result.findings.push(...violations.filter(found => ["serious", "critical"].includes(found.impact)).map(found => `${name}: ${found.id}: ${found.nodes[0].target} ${found.nodes[0].failureSummary}`));
}

async function ask(page, text, most) {
  await page.keyboard.press("/");
  await page.keyboard.type(text);
  await page.locator("input[name=max_tokens]").evaluate((input, value) => { input.value = value; }, String(most));
  await page.keyboard.press("Enter");
  return page.locator(".message.assistant").last();
}

const answered = (answer, part) => answer.locator(".facts", { hasText: part }).waitFor();

/** A chat whose answers are made up here: thinking, a call of a function, and what comes of its result. */
async function callFunction(page) {
  const stream = (...deltas) => deltas.map(delta => `data: ${JSON.stringify({ choices: [{ index: 0, ...delta }] })}\n\n`).join("")
    + `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 30, completion_tokens: 12, prompt_tokens_details: { cached_tokens: 16 } } })}\n\ndata: [DONE]\n\n`;
  const bodies = [];
  await page.route("**/v1/chat/completions", route => {
    bodies.push(route.request().postDataJSON());
    return route.fulfill({ contentType: "text/event-stream", body: bodies.length === 1
      ? stream(
        { delta: { role: "assistant", reasoning_content: "I need the <b>weather</b>." } },
        { delta: { tool_calls: [{ index: 0, id: "call_1", function: { name: "get_weather", arguments: '{"city":' } }] } },
        { delta: { tool_calls: [{ index: 0, function: { arguments: '"Bern"}' } }] }, finish_reason: "tool_calls" })
      : stream({ delta: { content: "It **snows**:\n\n```sh\necho <i>snow</i>\n```" }, finish_reason: "stop" }) });
  });
  await page.click("#chat summary");
  await page.fill("textarea[name=tools]", '[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}]');
  await page.fill("textarea[name=message]", "How is the weather?");
  await page.click("#chat button.primary:visible");
  await page.fill(".results textarea", "snow");
  await page.click(".results button");
  await page.locator(".message.assistant strong", { hasText: "snows" }).waitFor();
  return {
    thought: await page.locator(".thinking .text").first().textContent(), call: await page.locator(".call").first().textContent(),
    code: await page.locator(".message pre code").last().textContent(), facts: await page.locator(".facts").last().textContent(),
    roles: bodies[1].messages.map(message => message.role), tools: bodies[0].tools.length, given: bodies[1].messages.at(-1),
  };
}

try {
  const page = await open(1440, 1000, "light");
  await page.waitForSelector("#picture .rank.serving");
  result.title = await page.title();
  result.stages = await page.locator("#picture text", { hasText: /^Stage \d$/ }).count();
  result.picture = await page.locator("#picture svg").getAttribute("aria-label");
  result.model = await page.locator("#model").textContent();

  await page.locator("input[name=temperature]").evaluate(input => { input.value = "0"; });
  const first = await ask(page, "What is a KV cache?", 60);
  await answered(first, /prompt \d/);
  result.answer = await first.locator(".text").last().textContent();
  result.facts = await first.locator(".facts").textContent();

  // The small model would end these answers soon.
  await page.route("**/v1/chat/completions", route => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), ignore_eos: true }) }));
  const stopped = await ask(page, "Tell a long story.", 400);
  await page.waitForFunction(() => [...document.querySelectorAll(".message.assistant .text")].at(-1).textContent.length > 20);
  await page.keyboard.press("Escape");
  await answered(stopped, "stopped");

  const long = await ask(page, "Tell another long story.", 400);
  await page.waitForFunction(() => [...document.querySelectorAll(".message.assistant .text")].at(-1).textContent.length > 20);
  const before = (await long.locator(".text").last().textContent()).length;
  const killed = Date.now();
  process.kill(Number(pid), "SIGKILL");
  await page.waitForSelector("#picture .rank.lost");
  result.lostAfter = Date.now() - killed;
  result.spoken = await page.locator("#spoken").textContent();
  await page.waitForFunction(() => document.querySelectorAll("#views-table tbody tr").length > 1 && document.querySelector("#status").dataset.state === "ready");
  result.recoveredAfter = Date.now() - killed;
  result.view = await page.locator("#views-table tbody tr").nth(1).textContent();
  await answered(long, /prompt \d/);
  result.wentOn = (await long.locator(".text").last().textContent()).length - before;

  await page.fill("input[name=workers]", "6");
  await page.locator("#what-if .answer td", { hasText: "A token of one stream" }).waitFor();
  result.whatIf = await page.locator("#what-if .answer .sub").textContent();
  await look(page, "light");
  if (folder) await page.screenshot({ path: join(folder, "console-light.png") });

  // The page's own picture, of two ranks that share the experts of a stage.
  result.experts = await page.evaluate(async () => {
    const { PipelinePicture } = await import("/console/pipeline.js");
    const cluster = await (await fetch("/v1/cluster")).json();
    const [replica] = cluster.replicas;
    const [stage] = replica.stages;
    const host = document.body.appendChild(document.createElement("div"));
    host.style.width = "600px";
    const seen = ["whole", "columns", "all"].map(experts => {
      const ranks = experts === "all" ? stage.ranks : [stage.ranks[0], { ...stage.ranks[0], rank: 1 }];
      new PipelinePicture(host).show(cluster, { ...replica, stages: [{ ...stage, experts, ranks }], links: [] });
      const texts = [...host.querySelectorAll("text")].map(text => text.textContent).filter(text => text.includes("experts"));
      return `${texts.join()}|${host.firstElementChild.getAttribute("aria-label").includes("experts")}`;
    });
    host.remove();
    return seen;
  });

  const dark = await open(1440, 1000, "dark");
  await dark.waitForSelector("#picture .rank.serving");
  result.ground = await dark.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await look(dark, "dark");
  await dark.click("#theme-button");
  result.switched = await dark.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await dark.close();

  const phone = await open(390, 844, "light");
  await phone.waitForSelector("#picture .rank.serving");
  await look(phone, "phone");
  result.call = await callFunction(phone);
  for (const width of [390, 320]) {
    await phone.setViewportSize({ width, height: 844 });
    result.widths[width] = await phone.evaluate(() => document.documentElement.scrollWidth);
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(result));
