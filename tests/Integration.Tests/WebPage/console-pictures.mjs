// Pictures of the console for the docs: a cluster under load. node console-pictures.mjs URL FOLDER; docs/images/make.sh calls it.

import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, folder] = process.argv.slice(2);
const watched = 45_000;   // ms, so that the charts have something to show
const questions = ["What is a KV cache?", "Why are activations sent over the network?", "How does LlamaCluster work?", "What is a pipeline stage?"];
let over = false;

/** A client that keeps asking, with pauses. */
async function load(number) {
  for (let round = 0; !over; round++) {
    const messages = [{ role: "user", content: questions[(number + round) % questions.length] }];
    const body = JSON.stringify({ messages, max_tokens: 60 + 90 * (round % 3), temperature: 1, ignore_eos: true });
    await (await fetch(new URL("/v1/chat/completions", url), { method: "POST", headers: { "Content-Type": "application/json" }, body })).text();
    await new Promise(done => setTimeout(done, 300 + 450 * ((number * 7 + round * 3) % 5)));
  }
}

const clients = Array.from({ length: 6 }, (_, number) => load(number));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const pages = await Promise.all(["light", "dark"].map(async colorScheme => {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme })).newPage();
  await page.goto(url);
  await page.waitForSelector("#picture .rank.serving");
  return page;
}));
await new Promise(done => setTimeout(done, watched));
for (const [index, page] of pages.entries()) {
  for (const question of questions.slice(0, 2)) {
    await page.fill("textarea[name=message]", question);
    await page.keyboard.press("Enter");
    await page.locator(".message.assistant").last().locator(".facts", { hasText: "prompt" }).waitFor();
  }
  await page.evaluate(() => document.activeElement.blur());
  await page.waitForTimeout(2500);
  await page.screenshot({ path: join(folder, `console-${index === 0 ? "light" : "dark"}.png`) });
}
over = true;
await Promise.all(clients);
await browser.close();
