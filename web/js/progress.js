// On a page of inputs (App mode) no nodes are seen: what they say while they run, and last of all, stands in a row of
// the page. In the graph, where each node shows what it says itself, the row has no height.
import { addElement, follow, idOf, onLoaded, onQueued, openWorkflow, register } from "./comfy.js";
import { element, styled } from "./panel.js";
import { onSaid } from "./said.js";
import { loadWords, t } from "./words.js";

const NAME = "levo_progress";
const HOSTS = ["LeVoExport", "LeVoSaveSong", "LeVoDownloadModels"]; // nodes whose files pages show

const said = new WeakMap(); // workflow -> Map of a node's id to what it said in the last run: { title, text, bad }
const rows = new Set(); // elements of nodes that are there

function textsOf(workflow) {
  if (!said.has(workflow)) said.set(workflow, new Map());
  return said.get(workflow);
}

function note(node, text, bad) {
  const workflow = openWorkflow();
  if (!workflow) return;
  const texts = textsOf(workflow), id = idOf(node);
  texts.delete(id); // who speaks is last
  if (text) texts.set(id, { title: node.title, text, bad });
  rows.forEach(show);
}

function show(row) {
  const texts = [...(said.get(openWorkflow())?.values() ?? [])];
  row.replaceChildren(...texts.map(({ title, text, bad }) =>
    element("p", { class: bad ? "levo-bad" : "", role: bad ? "alert" : null }, `${title}: ${text}`)));
  if (!texts.length) row.append(element("p", {}, t("Press Run; what happens is said here.")));
}

function attach(node) {
  const row = element("div", { class: "levo-progress levo-scrolls", role: "status" });
  rows.add(row);
  show(row);
  addElement(node, NAME, styled(row), { height: () => 0, label: t("Progress") });
  follow(node, "onRemoved", () => rows.delete(row));
}

register("Progress", {
  async setup() {
    await loadWords();
    onSaid(note);
    onQueued({
      asked() {
        said.delete(openWorkflow());
        rows.forEach(show);
      },
    });
  },
  nodeCreated: (node) => HOSTS.includes(node.comfyClass) && attach(node),
});
onLoaded(() => rows.forEach(show));
