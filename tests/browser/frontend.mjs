// The real frontend in Chromium, for scenarios and for open_workflow.mjs.
import { createRequire } from "node:module";
import { chromiumPath } from "./chromium.mjs";

const { chromium } = createRequire(process.env.LEVO_BROWSER_DIR + "/")("playwright-core");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
  "--disable-component-update", "--no-first-run"];
const SETTINGS = { "Comfy.TutorialCompleted": true, "Comfy.Minimap.Visible": false, "Comfy.Locale": "en",
  "Comfy.RightSidePanel.IsOpen": false }; // the server keeps what an earlier page opened
// How what comes from our scripts and files, or names our nodes, is told from what the frontend and others log.
const OURS = /ComfyUI-LeVo|\/levo\/|LeVo/;
// The frontend asks the registry for each node of a graph; a test's browser lets it ask nobody.
const REFUSED = /^Connecting to 'https:\/\/api\.comfy\.org\//;

// Runs `use(browser)` with a browser, and closes it; the server gets `settings` first.
export async function withBrowser(url, use, settings = {}) {
  for (const [name, value] of Object.entries({ ...SETTINGS, ...settings }))
    await fetch(`${url}/settings/${name}`, { method: "POST", body: JSON.stringify(value) });
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: FLAGS });
  try {
    return await use(browser);
  } finally {
    await browser.close();
  }
}

// A page with the editor in it; `page.problems()` are the console's errors that come from our scripts or files.
export async function openEditor(browser, url) {
  const page = await browser.newPage({ viewport: { width: 2080, height: 1640 } });
  const errors = [];
  page.on("pageerror", (error) => errors.push({ text: String(error), from: error.stack ?? "" }));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push({ text: message.text(), from: message.location().url });
  });
  page.problems = () => errors.filter(({ text, from }) => OURS.test(text + from) && !REFUSED.test(text))
    .map(({ text }) => text);
  await page.goto(url);
  await ready(page);
  return page;
}

// Resolves when the editor has started and shows its first workflow, which would replace what is opened before.
export async function ready(page) {
  await page.waitForFunction(() => window.app?.extensionManager?.workflow?.activeWorkflow?.activeState && app.graph,
    null, { timeout: 60000 });
}

// Whether nodes are made of elements (Vue, "Nodes 2.0") or drawn on the canvas.
export function vueNodes(page) {
  return page.evaluate(() => Boolean(LiteGraph.vueNodesMode));
}

// The box that the first text of several lines in the graph is typed into, in either mode.
export function textBox(page) {
  return page.locator(".comfy-multiline-input:visible, [data-node-id] textarea:visible").first();
}

// Presses Ctrl+Z where it means the graph, and waits for the nodes that it makes anew.
export async function undoInGraph(page) {
  await page.evaluate(() => {
    document.activeElement?.blur();
    window.nodesBefore = app.graph._nodes.slice();
  });
  await page.keyboard.press("Control+z");
  await page.waitForFunction(() => app.graph._nodes.every((node) => !nodesBefore.includes(node)));
}

// Empties the graph and adds nodes of the given types side by side, in full view. What the editor has noted beside
// the nodes stays, as it does when a user deletes them all: else the first undo would seem to change it.
export async function onlyNodes(page, ...types) {
  await page.evaluate((types) => {
    const { extra } = app.graph;
    app.graph.clear();
    app.graph.extra = extra;
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [0, 0];
    types.forEach((type, i) => {
      const node = LiteGraph.createNode(type);
      node.pos = [400 + 480 * (i % 3), 160 + 560 * Math.floor(i / 3)];
      app.graph.add(node);
    });
  }, types);
}

// Connects the first output of a type of one node to the input of that name of another.
export async function connect(page, from, output, to, input) {
  await page.evaluate(([from, output, to, input]) => {
    const of = (type) => app.graph._nodes.find((node) => node.type === type);
    const slot = of(from).outputs.findIndex(({ type }) => type === output);
    of(from).connect(slot, of(to), of(to).inputs.findIndex(({ name }) => name === input));
  }, [from, output, to, input]);
}

// Where the nodes of the open graph are, title bars included, as the graph counts: [{ type, box: [left, top, right,
// bottom] }].
export async function rectangles(page) {
  return page.evaluate(() => app.graph._nodes.map((node) => {
    const shown = LiteGraph.vueNodesMode && document.querySelector(`[data-node-id="${node.id}"]`);
    const { scale, offset } = app.canvas.ds;
    const canvas = app.canvas.canvas.getBoundingClientRect();
    const { left, top, right, bottom } = shown ? shown.getBoundingClientRect() : {};
    const [x, y] = node.pos, [width, height] = node.size;
    const box = shown
      ? [(left - canvas.x) / scale - offset[0], (top - canvas.y) / scale - offset[1],
        (right - canvas.x) / scale - offset[0], (bottom - canvas.y) / scale - offset[1]]
      : [x, y - LiteGraph.NODE_TITLE_HEIGHT, x + width, y + height];
    return { type: node.type, box };
  }));
}

// Whether two boxes share more than an edge.
function share(a, b) {
  return [0, 1].every((axis) => Math.min(a[axis + 2], b[axis + 2]) - Math.max(a[axis], b[axis]) > 1);
}

// The pairs of nodes that lie over each other, in words.
export async function overlaps(page) {
  const nodes = await rectangles(page);
  return nodes.flatMap((a, i) => nodes.slice(i + 1).filter((b) => share(a.box, b.box)).map((b) =>
    `${a.type} covers ${b.type} by ${Math.round(Math.min(a.box[3], b.box[3]) - Math.max(a.box[1], b.box[1]))}`));
}

// The types of the nodes that lie under an element of the page.
export async function under(page, selector) {
  const box = await page.locator(selector).evaluate((element) => {
    const { scale, offset } = app.canvas.ds;
    const canvas = app.canvas.canvas.getBoundingClientRect();
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return [(left - canvas.x) / scale - offset[0], (top - canvas.y) / scale - offset[1],
      (right - canvas.x) / scale - offset[0], (bottom - canvas.y) / scale - offset[1]];
  });
  return (await rectangles(page)).filter((node) => share(node.box, box)).map(({ type }) => type);
}

// The inputs that the editor would queue for the only node of a type.
export async function queuedInputs(page, type) {
  return page.evaluate(async (type) => {
    const { output } = await app.graphToPrompt();
    return Object.values(output).find((node) => node.class_type === type).inputs;
  }, type);
}

// Has the editor see what a script has changed, as if a user had. While it loads a graph it would not look.
export async function captureState(page) {
  await page.waitForFunction(() => {
    const { changeTracker } = app.extensionManager.workflow.activeWorkflow;
    return !changeTracker._restoringState && !changeTracker.constructor.isLoadingGraph;
  });
  await page.evaluate(() => {
    const { changeTracker } = app.extensionManager.workflow.activeWorkflow;
    if (changeTracker.captureCanvasState) changeTracker.captureCanvasState();
    else changeTracker.checkState();
  });
}

// Saves the graph as the browser keeps it between visits, and loads the page anew.
export async function saveAndReload(page) {
  await captureState(page);
  await page.waitForTimeout(1500); // the draft is written a moment later
  await page.reload();
  await ready(page);
}

// Lays the nodes out side by side, and shows them.
export async function layOut(page) {
  await page.evaluate(() => {
    app.canvas.ds.scale = 0.6;
    app.canvas.ds.offset = [100, 100];
    app.graph._nodes.forEach((node, i) => { node.pos = [520 * (i % 5), 700 * Math.floor(i / 5)]; });
    app.canvas.setDirty(true, true);
  });
}

// Resolves when a run ends so; rejects when it ends otherwise. To be called before it is queued.
export async function runTo(page, outcome, timeout = 300000) {
  const ended = await page.evaluate(([outcome, timeout]) => new Promise((done) => {
    const ends = ["execution_success", "execution_error", "execution_interrupted"];
    for (const end of ends)
      app.api.addEventListener(end, ({ detail }) => done([end, detail]), { once: true });
    setTimeout(() => done(["timeout", outcome]), timeout);
  }), [outcome, timeout]);
  if (ended[0] !== outcome) throw new Error(JSON.stringify(ended));
}

// Opens the sidebar's tab with the node library.
export async function openLibrary(page) {
  await page.locator(".node-library-tab-button, [data-testid=node-library-tab-button]").click(); // before 1.58, since
}

// The leaf of a node in the node library, found by its name; the sidebar's tab is open.
export async function inLibrary(page, name) {
  await page.locator("[class*=comfy-vue-side-bar] input[type=text]").first().fill(name);
  return page.getByRole("treeitem").filter({ hasText: name }).last();
}

// Takes a picture of the graph alone, or of some of its nodes by their ids, clear of the editor's menus.
export async function shoot(page, path, ids = [], square = false) {
  const clip = await page.evaluate(([ids, square]) => {
    const some = app.graph._nodes.filter(({ id }) => ids.includes(String(id)));
    const boxes = (some.length ? some : [...app.graph._groups, ...app.graph._nodes])
      .map((item) => item.boundingRect ?? item._bounding);
    let [left, top] = [0, 1].map((axis) => Math.min(...boxes.map((box) => box[axis])));
    let [right, bottom] = [0, 1].map((axis) => Math.max(...boxes.map((box) => box[axis] + box[axis + 2])));
    if (square) {
      const half = Math.max(right - left, bottom - top) / 2;
      const [x, y] = [(left + right) / 2, (top + bottom) / 2];
      [left, right, top, bottom] = [x - half, x + half, y - half, y + half];
    }
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [120 - left, 140 - top];
    app.canvas.setDirty(true, true);
    const canvas = app.canvas.canvas.getBoundingClientRect();
    return { x: canvas.x + 110, y: canvas.y + 130, width: right - left + 20, height: bottom - top + 20 };
  }, [ids, square]);
  await page.waitForTimeout(1000);
  await page.screenshot({ path, type: "jpeg", quality: 85, clip });
}
