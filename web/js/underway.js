// What is under way is said on its nodes, too, in a page that did not queue it: after a reload, and in a second page.
// ComfyUI sends such pages each text once, as it is said, and no word of a run's end but that the queue has changed.
// Other pages are told texts only, as by ComfyUI itself, never what a run of theirs put out.
import { fetchApi, holds, nodeOf, onEvent, onQueued, register } from "./comfy.js";
import { onShown } from "./results.js";
import { say, silence } from "./said.js";

const own = new Set(); // runs queued here since the page was loaded
const told = new WeakMap(); // node -> what it said here
let followed = null; // another run, with the classes of its nodes

async function look() {
  const reply = await fetchApi("/levo/said", { method: "POST", body: "{}" });
  return reply.ok ? reply.json() : undefined;
}

// After an undo, or in another tab, nodes are made anew: also those of one's own run say it again.
async function lookAtNew() {
  const found = await look();
  if (found?.running && holds(found.nodes)) follow(found);
}

async function lookAgain() {
  const found = await look();
  if (!found || own.has(found.run)) return;
  if (found.running) {
    if (holds(found.nodes)) follow(found);
  } else if (followed?.run === found.run && holds(followed.nodes)) end(found);
}

function follow({ run, nodes, said }) {
  if (!own.has(run)) followed = { run, nodes };
  sayAll(said);
}

function sayAll(said) {
  for (const [id, text] of Object.entries(said)) {
    const node = nodeOf(id);
    if (!node) continue;
    say(node, text);
    told.set(node, text);
  }
}

// What failed or was stopped says no longer where it is.
function end({ said, error }) {
  for (const node of Object.keys(followed.nodes).filter((id) => !said[id]).map(nodeOf))
    silence(node, told.get(node));
  followed = null;
  sayAll(said);
  const failed = error && nodeOf(error.node);
  if (failed) say(failed, error.text, true);
}

register("Underway", {
  setup() {
    onQueued({ accepted: (_, run) => own.add(run) });
    onEvent("status", (queue) => queue && lookAgain()); // null: the server is gone
    onShown(lookAtNew);
  },
});
