// Every example of the pack, opened from the template browser and queued with the Run button.
import assert from "node:assert/strict";
import { captureState, overlaps, runTo, under, vueNodes } from "../frontend.mjs";

export const SETTINGS = { "Comfy.Minimap.Visible": true }; // as people have it
const SCREEN = { width: 1440, height: 900 }; // a common one, on which people see it first
const READABLE = 0.572; // below 8 px letters of 14 the canvas draws no text

// They run once the licence in it is accepted, or a song of one's own was saved and chosen in it.
const ASKS_FIRST = ["LeVo Get the Models", "LeVo Re-render Saved Tokens"];

export async function every_example_opens_from_the_template_browser_and_runs(page, url) {
  await page.setViewportSize(SCREEN);
  const listed = await (await fetch(`${url}/workflow_templates`)).json();
  for (const name of listed["ComfyUI-LeVo"]) await openAndRun(page, name);
}

async function openAndRun(page, name) {
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.BrowseTemplates"));
  await page.getByText("ComfyUI-LeVo", { exact: true }).first().click();
  await page.getByTestId(`template-workflow-${name}`).click();
  await page.waitForFunction((name) => app.extensionManager.workflow.activeWorkflow?.filename === name, name);
  await page.waitForTimeout(500);
  const red = await page.evaluate(() => app.graph._nodes.filter((node) => node.has_errors).map((n) => n.type));
  assert.deepEqual(red, [], name);
  assert.deepEqual(await overlaps(page), [], `${name} as it opens`);
  assert.deepEqual(await under(page, ".minimap-main-container"), [], `${name} lies under the map`);
  const scale = await page.evaluate(() => app.canvas.ds.scale);
  assert.ok(scale > READABLE, `${name} opens at ${scale}, too small for text`);
  await captureState(page); // as a click anywhere does
  const changed = await page.evaluate(() => app.extensionManager.workflow.activeWorkflow.isModified);
  if (!await vueNodes(page)) // 1.49 fits every node to its text there
    assert.equal(changed, false, `${name} counts as changed before anybody changed it`);
  if (ASKS_FIRST.includes(name)) return;
  const ended = runTo(page, "execution_success");
  await page.getByTestId("queue-button").click();
  await ended;
  await page.waitForTimeout(1000);
  assert.ok(await page.locator(".levo-said").count(), `${name} says nothing after its run`);
  assert.deepEqual(await overlaps(page), [], `${name} after its run`);
}
