// ComfyUI's frontend, in both of its modes: nodes drawn on a canvas (LiteGraph) and nodes made of elements (Vue,
// "Nodes 2.0"). The only file that knows which is which, or how a graph is walked; it knows no node of ours.
// What one version of the frontend has and another has not is asked for here, never by the version's number.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const NAMESPACE = "comfyuilevo"; // of our extensions: another pack's extension of the same name would drop ours

export function register(name, hooks) {
  app.registerExtension({ name: `${NAMESPACE}.${name}`, ...hooks });
}

// Has `then` called after a method or callback of an object, which stays what it was.
export function follow(object, name, then) {
  const before = object[name];
  object[name] = function (...given) {
    const result = before?.apply(this, given);
    then.apply(this, given);
    return result;
  };
}

// ---------------------------------------------------------------- the graph

// Ids are "7", with the subgraphs' nodes before it in a run ("5:3"), with the subgraph's own id before it
// where the frontend keeps outputs ("<subgraph>:7"). No node, no error: another workflow may be open by now.
export function nodeOf(id) {
  let graph = rootGraph(), node;
  for (const part of String(id).split(":")) {
    const subgraph = graph?.subgraphs?.get(part);
    node = subgraph ? undefined : graph?.getNodeById(part);
    graph = subgraph ?? node?.subgraph;
  }
  return node;
}

// The nodes of the open workflow, without those in subgraphs.
export function nodesOfGraph() {
  return rootGraph().nodes;
}

// Whether the open workflow has all nodes of a run. classes: by the ids of nodes, as `nodeOf` takes them.
export function holds(classes) {
  return Object.entries(classes).every(([id, name]) => nodeOf(id)?.comfyClass === name);
}

function rootGraph() {
  return app.rootGraph ?? app.graph;
}

// The id of a node in the open workflow, as `nodeOf` takes it.
export function idOf(node) {
  return node.graph === rootGraph() ? `${node.id}` : `${node.graph?.id}:${node.id}`;
}

// The open workflow: an object that stays the same while its tab is open; undefined while there is none.
export function openWorkflow() {
  return app.extensionManager.workflow?.activeWorkflow ?? undefined;
}

// The workflows that have a tab.
export function openWorkflows() {
  return app.extensionManager.workflow?.openWorkflows ?? [];
}

// Whether an input, or a widget as one, takes its value from another node.
export function isFed(node, name) {
  const slot = node.inputs?.findIndex((input) => input.name === name) ?? -1;
  return slot >= 0 && node.isInputConnected(slot);
}

// The node that an input's value comes from, behind any reroutes; null if there is none.
export function sourceOf(node, slot) {
  let from = node.getInputNode(slot);
  while (from?.type === "Reroute") from = from.getInputNode(0);
  return from ?? null;
}

// Which output an input is connected to, behind any reroutes, to be compared; undefined if to none.
export function outputOf(node, name) {
  const link = (from, slot) => (slot >= 0 ? from?.getInputLink(slot) : null) ?? null;
  let at = link(node, node.inputs?.findIndex((input) => input.name === name) ?? -1);
  for (let from; at; at = link(from, 0)) {
    from = node.graph.getNodeById(at.origin_id);
    if (from?.type !== "Reroute") return `${at.origin_id}:${at.origin_slot}`;
  }
  return undefined;
}

// The nodes of a type in the graph that a node is in.
export function beside(node, type) {
  return (node.graph?._nodes ?? []).filter((other) => other.type === type);
}

// The nodes that take something from a node, and all after them; the node itself is the first.
export function downstream(node) {
  const reached = new Set([node]);
  for (const at of reached)
    at.outputs?.forEach((_, slot) => at.getOutputNodes(slot)?.forEach((next) => reached.add(next)));
  return [...reached];
}

export function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

// Writes a widget's value as a user would: its followers hear of it, it is shown, and it can be undone.
export function setValue(node, widget, value) {
  setValues(node, [[widget, value]]);
}

// The same for several widgets of a node, which one undo takes back.
export function setValues(node, pairs) {
  for (const [widget, value] of pairs) {
    widget.value = value;
    widget.callback?.(value);
  }
  changed(node);
}

// What a workflow keeps of a node beside its widgets: saved with it, never queued. Can be undone.
export function keep(node, name, value) {
  node.properties[name] = value;
  changed(node);
}

export function kept(node, name) {
  return node.properties?.[name];
}

function changed(node) {
  node.graph?.setDirtyCanvas(true, true);
  const tracker = openWorkflow()?.changeTracker;
  if (tracker?.captureCanvasState) tracker.captureCanvasState();
  else tracker?.checkState(); // as it was called until 1.40
}

// A text in which %date:yyyy% and %Node.widget% are what they stand for, as in core's own save nodes.
export function withReplacements(text) {
  return globalThis.comfyAPI?.utils?.applyTextReplacements?.(app, text) ?? text;
}

// ---------------------------------------------------------------- what is on the screen

function drawnByVue() {
  return Boolean(globalThis.LiteGraph?.vueNodesMode);
}

// The element in which Vue shows a node; undefined on the canvas, and where another graph is shown.
function shownByVue(node) {
  if (!drawnByVue() || node.graph !== app.canvas?.graph) return undefined;
  return document.querySelector(`.lg-node[data-node-id="${node.id}"]`)
    ?? document.querySelector(`[data-node-id="${node.id}"]`) ?? undefined;
}

// The element in which a widget is shown on a page of inputs (App mode); undefined where there is none.
function shownOnPage(node, name) {
  if (node.graph !== rootGraph()) return undefined;
  return document.querySelector(`[data-widget-key$=":${node.id}:${name}"]`) ?? undefined;
}

// Shows the open workflow as a page of its inputs and outputs (App mode), if it says which those are and the
// frontend has that mode (1.41 and newer); not if the user has chosen the graph.
export function showPage() {
  const workflow = openWorkflow();
  if (!workflow || !("activeMode" in workflow) || !rootGraph().extra?.linearData?.outputs?.length) return;
  workflow.activeMode ??= "app";
}

// The box that a user types a widget's text into, a <textarea>; undefined while none is shown.
export function textBox(node, widget) {
  const boxes = node.widgets.filter(({ element }) => element?.tagName === "TEXTAREA");
  const shown = shownOnPage(node, widget.name)?.querySelector("textarea")
    ?? shownByVue(node)?.querySelectorAll("textarea")[boxes.indexOf(widget)];
  const box = shown ?? widget.element;
  return box?.isConnected ? box : undefined;
}

const GAP = 4; // px that LiteGraph adds to the height of each widget
const places = new Map(); // on a page of inputs: id of a node and name of a widget -> where its element was

// Shows an element in a node, below its widgets. It holds nothing that is saved or queued.
// height: a function of how high it is; without one it takes what room there is, of which `least` is the least.
// label: what it is called on a page of inputs.
export function addElement(node, name, element, { height, least, label, ...more }) {
  element.dataset.levoWidget = name;
  const heights = height ? { getHeight: height, getMinHeight: height, getMaxHeight: height }
    : { getMinHeight: () => least };
  const options = { serialize: false, ...heights, ...more };
  const widget = node.addDOMWidget(name, "levo_panel", element, options);
  widget.serialize = false;
  widget.label = label;
  if (height) keepToItsHeight(widget);
  if (height?.() === 0) widget.computeSize = () => [0, -GAP]; // no gap either
  follow(node, "onRemoved", () => {
    if (shownOnPage(node, name)?.contains(element)) places.set(`${node.id}:${name}`, element.parentElement);
  });
  follow(node, "onAdded", () => putBack(node, name, element));
  follow(node, "onConfigure", () => putBack(node, name, element));
  return widget;
}

// Takes a widget out of a node; undefined and another node's are none of it.
export function removeElement(node, widget) {
  const at = node.widgets?.indexOf(widget) ?? -1;
  if (at < 0) return;
  widget.onRemove?.();
  node.widgets.splice(at, 1);
  node.graph?.setDirtyCanvas(true, true);
}

// Vue shares free room among the widgets that say how they are laid out; one of a fixed height wants none.
function keepToItsHeight(widget) {
  const layout = widget.computeLayoutSize;
  Object.defineProperty(widget, "computeLayoutSize", {
    configurable: true,
    get: () => (drawnByVue() ? undefined : layout),
  });
}

// An undo makes the graph's nodes anew under the same ids. Vue then keeps what it shows of a node, and with it
// the element of the one that is gone, or its empty place.
function putBack(node, name, element) {
  const replace = () => {
    const page = shownOnPage(node, name);
    if (page ? page.contains(element) : element.isConnected) return;
    const old = (page ?? shownByVue(node))?.querySelector(`[data-levo-widget="${name}"]`);
    if (old) old.replaceWith(element);
    else if (page) places.get(`${node.id}:${name}`)?.replaceChildren(element);
  };
  replace();
  requestAnimationFrame(() => requestAnimationFrame(replace)); // when Vue has shown what it makes anew
}

// Makes a node large enough for its widgets, and no smaller than it is.
export function makeRoom(node, width = 0, more = 0) {
  const least = node.computeSize();
  const size = [Math.max(node.size[0], width), Math.max(node.size[1] + more, least[1])];
  if (size[0] !== node.size[0] || size[1] !== node.size[1]) node.setSize(size);
}

const grown = new WeakMap(); // node -> { base: its size without what it shows for a while, most: the largest with it }

// Lets a node grow for what it shows for a while. It is saved as large as it was before, unless a user has made it
// larger since: else the editor would take every run for a change, and an undo would only take that back.
// To be called before anything else makes it grow, too.
export function growForAWhile(node, grow = () => {}) {
  const least = node.computeSize();
  if (!grown.has(node)) {
    grown.set(node, { base: [...node.size], most: [...least] });
    follow(node, "onSerialize", (data) => {
      const { base, most } = grown.get(node);
      data.size = [0, 1].map((axis) => saved(data.size[axis], base[axis], most[axis]));
    });
  }
  const { base, most } = grown.get(node);
  for (const axis of [0, 1]) {
    most[axis] = Math.max(most[axis], least[axis]);
    if (node.size[axis] > most[axis]) base[axis] = node.size[axis];
  }
  grow();
  for (const axis of [0, 1]) most[axis] = Math.max(most[axis], node.size[axis]);
}

function saved(side, base, most) {
  return side <= most ? Math.min(side, base) : side;
}

// Has the canvas zoom by a wheel over an element of ours.
export function zoom(event) {
  app.canvas.processMouseWheel(event);
}

// Shows a sentence over the editor.
export function toast(severity, summary, detail, life = 12000) {
  app.extensionManager.toast.add({ severity, summary, detail, life });
}

// ---------------------------------------------------------------- the server

// file: { filename, subfolder, type }, as nodes name what they wrote.
export function fileUrl({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

export function fetchApi(path, options) {
  return api.fetchApi(path, options);
}

// Calls `then(detail)` at each event of the server.
export function onEvent(name, then) {
  api.addEventListener(name, ({ detail }) => then(detail));
}

// Calls `then(again)` when the editor shows another graph, or the same made anew: `again` after an undo and where
// a tab is opened that was open before, not where a file or a template is.
export function onLoaded(then) {
  const load = app.loadGraphData;
  app.loadGraphData = function (...given) {
    const loaded = load.apply(this, given);
    const [, , , workflow] = given;
    Promise.resolve(loaded).then(() => then(typeof workflow === "object" && workflow !== null), () => {});
    return loaded; // itself: what fails in there is not ours, and its traces should not name us
  };
}

// Calls `asked()` before a prompt is sent, `accepted(workflow, id of the run)` when the server has taken it, which
// may be after it ran, and `refused(errors)` with what the server complained of, by the ids of nodes; it may take
// a prompt of which it refuses some nodes.
export function onQueued({ asked = () => {}, accepted = () => {}, refused = () => {} }) {
  const queue = api.queuePrompt;
  api.queuePrompt = function (...given) {
    const workflow = openWorkflow();
    asked();
    const sent = queue.apply(this, given);
    Promise.resolve(sent).then((answer) => {
      accepted(workflow, answer?.prompt_id);
      refused(answer?.node_errors);
    }, (error) => refused(error?.response?.node_errors));
    return sent;
  };
}

export function setting(id) {
  return app.extensionManager.setting.get(id);
}
