// LeVo Listen in the graph: a player in the node, fed by what the node put out.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { fileUrl, nodeOf } from "./comfy.js";
import { ListenView } from "./listen_view.js";
import { follow } from "./panel.js";
import { loadWords } from "./words.js";

const NODE = "LeVoListen";
const SIZE = [460, 330];
const RECENT = 16; // runs in which a page that was loaded again looks for its song

const views = new WeakMap(); // of nodes

function attach(node) {
  const view = new ListenView(fileUrl);
  views.set(node, view);
  // Core's own player sets `src` of the widget of this name in every node that puts out audio.
  const widget = node.addDOMWidget("audioUI", "levo_listen", view.element, {
    serialize: false,
    hideOnZoom: false,
    getMinHeight: () => SIZE[1] - 120,
  });
  widget.serialize = false;
  view.element.addEventListener("wheel", (event) => app.canvas.processMouseWheel(event));
  follow(node, "onExecuted", (output) => view.show(output?.takes));
  follow(node, "onRemoved", () => view.dispose());
  node.setSize([Math.max(node.size[0], SIZE[0]), Math.max(node.size[1], SIZE[1])]);
}

function showAll(outputs) {
  for (const [id, output] of Object.entries(outputs)) views.get(nodeOf(id))?.show(output?.takes);
}

// After the page was loaded again, ComfyUI still has the last runs and their files.
async function restore() {
  const nodes = app.graph.nodes.filter((node) => views.has(node));
  if (!nodes.length) return;
  const reply = await api.fetchApi(`/history?max_items=${RECENT}`);
  if (!reply.ok) return;
  const runs = Object.values(await reply.json()).reverse();
  const ours = runs.filter((run) => run.prompt[3].extra_pnginfo?.workflow?.id === app.graph.id);
  for (const node of nodes) {
    const run = ours.find((candidate) => candidate.outputs[node.id]?.takes);
    if (run && !views.get(node).shown) views.get(node).show(run.outputs[node.id].takes);
  }
}

app.registerExtension({
  name: "LeVo.Listen",
  setup: loadWords,
  nodeCreated: (node) => node.comfyClass === NODE && attach(node),
  onNodeOutputsUpdated: showAll,
  afterConfigureGraph: restore,
});
