// What the editors of several nodes share: a panel below a node's widgets, and questions to the server.
import { addElement, fetchApi, follow, makeRoom, zoom } from "./comfy.js";
import { t } from "./words.js";

export { follow };

const STYLE = new URL("./panel.css", import.meta.url).href;
const WIDTH = 400; // least, of a node with a panel
const MARGIN = 10; // of the editor, around what is in a widget
const PATIENCE = 300; // ms without typing before the server is asked

// An element with attributes, listeners ("onclick") and children; null children are left out.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// An element in the look of our panels.
export function styled(root) {
  if (!document.querySelector(`link[href="${STYLE}"]`))
    document.head.append(element("link", { rel: "stylesheet", href: STYLE }));
  root.classList.add("levo-panel");
  root.addEventListener("wheel", (event) => {
    const scrolls = event.target.closest(".levo-scrolls");
    if (!event.ctrlKey && scrolls && scrolls.scrollHeight > scrolls.clientHeight) event.stopPropagation();
    else forward(event);
  });
  return root;
}

// Puts an element of a fixed height below the widgets of a node, which get `room` more. It holds nothing
// that is saved or queued. `label`: what it is called on a page of inputs.
export function addPanel(node, name, root, height, { label, room = 0 } = {}) {
  styled(root).style.minHeight = `${height - 2 * MARGIN}px`; // where the browser lays out nodes
  const widget = addElement(node, name, root, { height: () => height, label });
  makeRoom(node, WIDTH, height + room);
  follow(node, "onConfigure", () => makeRoom(node)); // a graph from before there was a panel
  return widget;
}

function forward(event) {
  event.preventDefault();
  event.stopPropagation();
  zoom(event);
}

// A function that sends the last of several questions when they stop coming, and gives only its answer on.
export function asker(path, answered) {
  let timer, latest = 0, sent;
  return (question, patience = PATIENCE) => {
    const body = JSON.stringify(question);
    if (body === sent) return;
    sent = body;
    const mine = ++latest;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const answer = await ask(path, body);
      if (mine !== latest) return;
      if (answer.error) sent = undefined; // may be asked again
      answered(answer);
    }, patience);
  };
}

async function ask(path, body) {
  try {
    const headers = { "Content-Type": "application/json" };
    return await (await fetchApi(path, { method: "POST", headers, body })).json();
  } catch (error) {
    return { error: t("The server does not answer ({reason}).", { reason: error.message }) };
  }
}
