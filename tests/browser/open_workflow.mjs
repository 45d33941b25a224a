// Opens a workflow in the real frontend: node open_workflow.mjs SERVER_URL WORKFLOW.json [SCREENSHOT.jpg [IDS [run]]]
// IDS: of nodes, with commas; the picture shows them alone, as in the template browser, where a whole graph is too
// small to tell from others. run: takes the picture after a run.
// Prints one line of JSON: the prompt the editor would queue, node problems, dialogs, the message of errors and
// console errors.
import { readFileSync } from "node:fs";
import { openEditor, runTo, shoot, withBrowser } from "./frontend.mjs";

const [url, path, screenshot, ids = "", run] = process.argv.slice(2);

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
  // Of some nodes a square, as the template browser's.
  if (screenshot) await shoot(page, screenshot, ids.split(","), ids !== "");
  console.log(JSON.stringify({ ...found, dialogs, overlays, errors: page.problems() }));
});
