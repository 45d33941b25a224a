// What nodes say stays on them: the last lines of a run, which the frontend may take away when the run ends, and
// what a node refused, which the frontend shows two clicks deep. The texts are Python's.
import {
  addElement, follow, growForAWhile, makeRoom, nodeOf, onEvent, onQueued, register, removeElement, toast, widgetOf,
} from "./comfy.js";
import { element, styled } from "./panel.js";
import { onResult } from "./results.js";

const NAME = "levo_said";
const CORES = "$$node-text-preview"; // the frontend's own widget, for as long as a node runs
const [LINE, LETTER, AROUND, MOST] = [15, 5.6, 26, 6]; // px of a line, of a letter, around the text; lines
const lines = new WeakMap(); // node -> its element, and how high it is
const said = new WeakMap(); // node -> the text
const refusing = new Set(); // nodes that show what they refused
const listeners = []; // functions
const MARKS = { "&lt;": "<", "&gt;": ">", "&#91;": "[", "&#95;": "_", "&amp;": "&" }; // of reporting.as_shown

// Calls `then(node, text, bad)` with what a node says, whoever shows it; "" when it says that no longer.
export function onSaid(then) {
  listeners.push(then);
}

function tell(node, text, bad = false) {
  listeners.forEach((then) => then(node, text, bad));
}

// Shows a text on a node until the node says another.
export function say(node, text, bad = false) {
  tell(node, text, bad);
  if (text && said.get(node) === text) return;
  growForAWhile(node);
  removeElement(node, widgetOf(node, CORES));
  hush(node);
  if (!text) return;
  said.set(node, text);
  const look = `levo-said levo-scrolls${bad ? " levo-bad" : ""}`;
  const line = element("div", { class: look, role: bad ? "alert" : "status" }, text);
  lines.set(node, addElement(node, NAME, styled(line), { height: () => heightOf(node, text) }));
  growForAWhile(node, () => makeRoom(node));
  if (bad) refusing.add(node);
}

// Takes a text away that a node says no longer, and what it says in the frontend's own widget.
export function silence(node, text) {
  tell(node, "");
  removeElement(node, widgetOf(node, CORES));
  if (said.get(node) === text) hush(node);
}

function hush(node) {
  said.delete(node);
  removeElement(node, lines.get(node));
  lines.delete(node);
  refusing.delete(node);
}

// How high a text is in a node, in px; what is more scrolls.
function heightOf(node, text) {
  const letters = Math.max((node.size[0] - 2 * AROUND) / LETTER, 10);
  const rows = text.split("\n").map((row) => Math.ceil(Math.max(row.length, 1) / letters));
  return AROUND + LINE * Math.min(rows.reduce((sum, more) => sum + more, 0), MOST);
}

function refuse(id, name, sentences) {
  const node = nodeOf(id);
  const text = [...new Set(sentences)].join("\n");
  if (!text) return;
  toast("error", node?.title ?? name, text, 20000);
  if (node) say(node, text, true);
}

// errors: of /prompt, by the ids of nodes.
function refuseAll(errors) {
  for (const [id, { class_type: name, errors: found = [] }] of Object.entries(errors ?? {}))
    if (name?.startsWith("LeVo")) refuse(id, name, found.map(sentenceOf).filter(Boolean));
}

// What a node of ours answered when its inputs were checked; the frontend has words of its own for the rest.
function sentenceOf({ type, details = "", extra_info: more }) {
  if (type !== "custom_validation_failed") return "";
  const begin = `${more?.input_name} - `;
  return details.startsWith(begin) ? details.slice(begin.length) : "";
}

register("Said", {
  setup() {
    onQueued({ asked: () => [...refusing].forEach(hush), refused: refuseAll });
    onEvent("progress_text", ({ nodeId, text }) => {
      const node = nodeOf(nodeId);
      if (!node?.comfyClass?.startsWith("LeVo")) return;
      growForAWhile(node);
      hush(node); // the frontend shows what it says now
      tell(node, text.replace(/&#?\w+;/g, (mark) => MARKS[mark] ?? mark));
    });
    onEvent("execution_error", ({ node_id: id, node_type: name, exception_message: text }) => {
      if (name?.startsWith("LeVo")) refuse(id, name, [String(text).trim()]);
    });
  },
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("LeVo")) return;
    onResult(node, ({ levo_said: said }) => said && say(node, said.join("\n")));
    follow(node, "onRemoved", () => refusing.delete(node));
  },
});
