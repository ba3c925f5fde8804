// The part of Markdown that models write most: paragraphs, lists, headings, code, emphasis. Made of elements, never of markup text.

import { h } from "./dom.js";

const inline = /(`+)(.+?)\1|\*\*(.+?)\*\*|(?<![\w*])\*(?!\s)([^*\n]+?)\*(?!\w)/gs;

function spans(text) {
  const out = [];
  let from = 0;
  for (const match of text.matchAll(inline)) {
    out.push(text.slice(from, match.index));
    out.push(match[2] !== undefined ? h("code", null, match[2]) : match[3] !== undefined ? h("strong", null, match[3]) : h("em", null, match[4]));
    from = match.index + match[0].length;
  }
  out.push(text.slice(from));
  return out.filter(part => part !== "");
}

function codeBlock(language, code) {
  const copy = h("button", { type: "button", class: "quiet copy", onclick: async () => {
    await navigator.clipboard.writeText(code);
    copy.textContent = "copied";
  } }, "copy");
  return h("figure", { class: "code" }, h("figcaption", null, language || "code", navigator.clipboard ? copy : ""), h("pre", { tabindex: 0 }, h("code", null, code)));
}

/** Blocks of a text, which may be cut anywhere: it may still be coming. */
export function blocks(text) {
  const out = [];
  const fence = /^ {0,3}(`{3,}|~{3,})([^\n`]*)\n([\s\S]*?)(?:^ {0,3}\1[^\S\n]*(?:\n|$)|(?![\s\S]))/gm;
  let from = 0;
  for (const match of text.matchAll(fence)) {
    out.push(...prose(text.slice(from, match.index)));
    out.push(codeBlock(match[2].trim(), match[3].replace(/\n$/, "")));
    from = match.index + match[0].length;
  }
  out.push(...prose(text.slice(from)));
  return out;
}

function prose(text) {
  return text.split(/\n{2,}/).filter(part => part.trim() !== "").flatMap(part => {
    const lines = part.replace(/^\n+|\n+$/g, "").split("\n");
    const heading = /^#{1,6}\s+(.*)$/.exec(lines[0]);
    if (heading) return [h("p", { class: "heading" }, spans(heading[1])), ...(lines.length > 1 ? prose(lines.slice(1).join("\n")) : [])];
    const bullets = lines.every(line => /^\s*[-*+]\s+/.test(line));
    const numbers = !bullets && lines.every(line => /^\s*\d+[.)]\s+/.test(line));
    if (bullets || numbers) return [h(bullets ? "ul" : "ol", null, lines.map(line => h("li", null, spans(line.replace(/^\s*(?:[-*+]|\d+[.)])\s+/, "")))))];
    return [h("p", null, lines.flatMap((line, index) => index === 0 ? spans(line) : [h("br"), ...spans(line)]))];
  });
}
