// What nodes of ours put out, and when it is shown: at the end of a run, when another tab of the editor is
// opened, after an undo, and after the page was loaded again. Knows no node.
import {
  fetchApi, follow, idOf, nodeOf, onEvent, onLoaded, onQueued, openWorkflow, openWorkflows, register,
} from "./comfy.js";

const STORE = "levo.runs"; // in the page's own storage, which a reload keeps: path of a workflow -> ids of runs
const RECENT = 4; // runs of a workflow that are looked for: the last may have failed

const receivers = new WeakMap(); // node -> functions of an output
const kept = new WeakMap(); // workflow -> Map of a node's id to what it put out
const runs = new WeakMap(); // workflow -> ids of its last runs
const unended = new WeakMap(); // workflow -> ids of runs from before a reload that had not ended by then
const shown = []; // functions
const earlier = new Map(Object.entries(JSON.parse(sessionStorage.getItem(STORE) ?? "{}"))); // before a reload
let starting = true; // until the page has shown its first graph

// Calls `then(output)` with all that a node puts out, as `ui` of its io.NodeOutput.
export function onResult(node, then) {
  if (!receivers.has(node)) {
    receivers.set(node, []);
    follow(node, "onExecuted", (output) => give(node, output));
  }
  receivers.get(node).push(then);
}

// Calls `then()` when a graph is shown, with what is known of what its nodes put out.
export function onShown(then) {
  shown.push(then);
}

function give(node, output) {
  if (!output || !receivers.has(node)) return;
  const workflow = openWorkflow();
  if (workflow) {
    if (!kept.has(workflow)) kept.set(workflow, new Map());
    kept.get(workflow).set(idOf(node), output);
  }
  receivers.get(node).forEach((then) => then(output));
}

// outputs: by the ids of nodes.
function giveAll(outputs) {
  for (const [id, output] of Object.entries(outputs ?? {})) {
    const node = nodeOf(id);
    if (node) give(node, output);
  }
}

// An undo, or another tab, has made all nodes anew. After a reload ComfyUI still has the last runs; but what is
// opened from a file or a template is new, though examples are all born with the same ids and names.
async function restore(again) {
  const workflow = openWorkflow();
  if (!workflow) return;
  await giveAgain(workflow, again);
  shown.forEach((then) => then());
}

async function giveAgain(workflow, again) {
  const ids = earlier.get(workflow.path) ?? [];
  earlier.delete(workflow.path);
  if (!again && !starting) {
    kept.delete(workflow);
    runs.delete(workflow);
    return;
  }
  starting = false;
  giveAll(Object.fromEntries(kept.get(workflow) ?? []));
  if (ids.length) {
    runs.set(workflow, [...ids, ...(runs.get(workflow) ?? [])]);
    unended.set(workflow, ids);
  }
  await catchUp();
}

// ComfyUI tells each page of a node's output once; what it told before the page was loaded again is in the history
// when the run has ended.
async function catchUp() {
  const workflow = openWorkflow(), ids = unended.get(workflow) ?? [];
  unended.delete(workflow);
  const missing = [];
  for (const id of ids) {
    const reply = await fetchApi(`/history/${id}`);
    const outputs = reply.ok && openWorkflow() === workflow ? (await reply.json())[id]?.outputs : undefined;
    if (outputs) giveAll(Object.fromEntries(Object.entries(outputs).filter(isNews)));
    else missing.push(id);
  }
  if (missing.length) unended.set(workflow, missing);
}

function isNews([id, output]) {
  const node = nodeOf(id);
  const known = node && kept.get(openWorkflow())?.get(idOf(node));
  return JSON.stringify(known) !== JSON.stringify(output);
}

function remember(workflow, id) {
  if (!workflow || !id) return;
  runs.set(workflow, [...(runs.get(workflow) ?? []), id].slice(-RECENT));
  store();
}

function store() {
  const open = openWorkflows().filter((workflow) => runs.has(workflow));
  const unseen = [...earlier]; // tabs that were not looked at since the last reload
  const known = [...unseen, ...open.map((workflow) => [workflow.path, runs.get(workflow)])];
  sessionStorage.setItem(STORE, JSON.stringify(Object.fromEntries(known)));
}

register("Results", {
  setup() {
    onQueued({ accepted: remember });
    onEvent("status", (queue) => queue && catchUp()); // null: the server is gone
    addEventListener("pagehide", store); // a workflow may have got another name, or have been closed
  },
  onNodeOutputsUpdated: giveAll,
});
onLoaded(restore);
