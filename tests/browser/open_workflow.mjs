// Opens a workflow in the real frontend: node open_workflow.mjs SERVER_URL WORKFLOW.json [SCREENSHOT.jpg [IDS [run]]]
// IDS: of nodes, with commas; the picture shows them alone, as in the template browser, where a whole graph is too
// small to tell from others. run: takes the picture after a run.
// Prints one line of JSON: the prompt the editor would queue, node problems, dialogs, the message of errors and
// console errors.
import { readFileSync } from "node:fs";
import { openEditor, runTo, withBrowser } from "./frontend.mjs";

const [url, path, screenshot, ids = "", run] = process.argv.slice(2);

// Takes a picture of the graph alone, or of some of its nodes, clear of the editor's menus.
async function shoot(page, path, ids) {
  const clip = await page.evaluate((ids) => {
    const some = app.graph._nodes.filter(({ id }) => ids.includes(String(id)));
    const boxes = (some.length ? some : [...app.graph._groups, ...app.graph._nodes]).map((item) => item.boundingRect ?? item._bounding);
    let [left, top] = [0, 1].map((axis) => Math.min(...boxes.map((box) => box[axis])));
    let [right, bottom] = [0, 1].map((axis) => Math.max(...boxes.map((box) => box[axis] + box[axis + 2])));
    if (some.length) { // a square, as the template browser's
      const half = Math.max(right - left, bottom - top) / 2;
      const [x, y] = [(left + right) / 2, (top + bottom) / 2];
      [left, right, top, bottom] = [x - half, x + half, y - half, y + half];
    }
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [120 - left, 140 - top];
    app.canvas.setDirty(true, true);
    const canvas = app.canvas.canvas.getBoundingClientRect();
    return { x: canvas.x + 110, y: canvas.y + 130, width: right - left + 20, height: bottom - top + 20 };
  }, ids);
  await page.waitForTimeout(1000);
  await page.screenshot({ path, type: "jpeg", quality: 85, clip });
}

await withBrowser(url, async (browser) => {
  const page = await openEditor(browser, url);
  const workflow = JSON.parse(readFileSync(path, "utf8"));
  const found = await page.evaluate(async (workflow) => {
    await app.loadGraphData(workflow, true, true, "test");
    await new Promise((done) => setTimeout(done, 1500));
    const { output } = await app.graphToPrompt();
    const nodes = app.graph._nodes.map((node) => ({
      id: node.id, type: node.type, missing: node.has_errors === true, size: [...node.size],
      least: [...node.computeSize()], position: [...node.pos],
    }));
    return { prompt: output, nodes };
  }, workflow);
  const dialogs = await page.locator(".p-dialog:visible").allInnerTexts();
  const overlays = await page.getByTestId("error-overlay").allInnerTexts();
  if (run) {
    const ended = runTo(page, "execution_success");
    await page.getByTestId("queue-button").click();
    await ended;
  }
  if (screenshot) await shoot(page, screenshot, ids.split(","));
  console.log(JSON.stringify({ ...found, dialogs, overlays, errors: page.problems() }));
});
