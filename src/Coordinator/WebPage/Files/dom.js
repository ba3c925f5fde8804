// Elements are made here and nowhere else. Text is always set as text, so nothing that a worker, a model or a server says can become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element. */
export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const byId = id => document.getElementById(id);

/** Sets an element's text, if it is another one. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, if it has another value. */
export function put(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Shows or hides an element. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

const canvas = document.createElement("canvas").getContext("2d");

/** The text, cut so that it is at most so many pixels wide. */
export function fit(text, width, font) {
  canvas.font = font;
  if (canvas.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && canvas.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end)}…`;
}

export function widthOf(text, font) {
  canvas.font = font;
  return canvas.measureText(text).width;
}

/** A table whose rows are changed in place, so that a reader's place in it stays. */
export class Table {
  #body = h("tbody");
  #count;

  constructor(caption, columns) {
    this.#count = columns.length;
    const head = h("tr", null, columns.map(column => h("th", { scope: "col", class: column.class }, column.title)));
    this.element = h("table", null, h("caption", { class: "sr-only" }, caption), h("thead", null, head), this.#body);
  }

  /** @param rows Each {class, cells: [text or {text, class, title}]}. */
  show(rows, empty) {
    const wanted = rows.length > 0 ? rows : [{ cells: [{ text: empty, class: "muted", span: this.#count }] }];
    while (this.#body.rows.length > wanted.length) this.#body.deleteRow(-1);
    wanted.forEach((row, index) => {
      const element = this.#body.rows[index] ?? this.#body.insertRow();
      put(element, "class", row.class ?? "");
      while (element.cells.length > row.cells.length) element.deleteCell(-1);
      row.cells.forEach((cell, column) => {
        const it = typeof cell === "string" ? { text: cell } : cell;
        const place = element.cells[column] ?? element.insertCell();
        say(place, it.text);
        put(place, "class", it.class ?? "");
        put(place, "colspan", it.span ?? 1);
        if (it.title) put(place, "title", it.title);
        else place.removeAttribute("title");
      });
    });
  }
}
