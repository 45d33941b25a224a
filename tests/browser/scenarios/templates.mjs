// Every example of the pack, opened from the template browser and queued with the Run button.
import assert from "node:assert/strict";
import { runTo } from "../frontend.mjs";

// They run once the licence in it is accepted, or a song of one's own was saved and chosen in it.
const ASKS_FIRST = ["LeVo Get the Models", "LeVo Re-render Saved Tokens"];

export async function every_example_opens_from_the_template_browser_and_runs(page, url) {
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
  if (ASKS_FIRST.includes(name)) return;
  const ended = runTo(page, "execution_success");
  await page.getByTestId("queue-button").click();
  await ended;
}
