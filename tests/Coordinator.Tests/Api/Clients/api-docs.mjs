// Opens the page that shows the API in Debian's Chromium. Prints one JSON object: errors, what was asked of other hosts, and what the page shows.
// node api-docs.mjs URL

import { chromium } from "playwright-core";

const [url] = process.argv.slice(2);
const result = { errors: [], foreign: [] };
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(45_000);
  page.on("console", message => message.type() === "error" && result.errors.push(message.text()));
  page.on("pageerror", error => result.errors.push(error.message));
  page.on("request", request => {
    const { origin, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && origin !== new URL(url).origin) result.foreign.push(request.url());
  });
  await page.goto(url);
  await page.getByText("/v1/chat/completions").first().waitFor();
  result.title = await page.title();
  result.text = await page.locator("body").innerText();
  console.log(JSON.stringify(result));
} finally {
  await browser.close();
}
