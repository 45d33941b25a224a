// Examples as pages of their inputs and outputs (App mode), on a phone and beside the graph.
import assert from "node:assert/strict";
import { runTo } from "../frontend.mjs";

export const SETTINGS = { "Comfy.OnboardingCoachmarks.Seen": ["appMode"] }; // a tour lies over the page
const PHONE = { width: 390, height: 844 };
const PAGES = ["LeVo Text to Song", "LeVo Stems", "LeVo Batch from JSONL", "LeVo Get the Models"];
const SONG = PAGES[0];
const TOUCH = 32; // px: the least height of what a thumb hits
const LETTERS = 16; // px: phones zoom into a field of smaller ones

async function openExample(page, url, name) {
  const path = `/api/workflow_templates/ComfyUI-LeVo/${encodeURIComponent(name)}.json`;
  const workflow = await (await fetch(url + path)).json();
  await page.evaluate(([workflow, name]) => app.loadGraphData(workflow, true, true, name), [workflow, name]);
  return workflow;
}

async function openOnPhone(page, url, name = SONG) {
  await page.setViewportSize(PHONE);
  const workflow = await openExample(page, url, name);
  await page.locator("#mobile-app-control-tab").click();
  // It slides in.
  await page.waitForFunction(() => document.querySelector("#mobile-app-control-panel").getBoundingClientRect().x === 0);
  return workflow;
}

// What the page calls a row, and what is in it.
function row(page, label) {
  return page.getByTestId("app-mode-widget-item").filter({ has: page.getByText(label, { exact: true }) });
}

function lyricsBox(page) {
  return row(page, "lyrics").locator("textarea");
}

// The inputs of a node as they would be queued now.
async function queued(page, type) {
  const { output } = await page.evaluate(() => app.graphToPrompt());
  return Object.values(output).find((node) => node.class_type === type).inputs;
}

export async function a_phone_shows_a_page_that_makes_a_song_of_new_words(page, url) {
  await openOnPhone(page, url);
  await lyricsBox(page).fill("[verse]\nA lantern on the water\nA letter from the sea");
  await row(page, "Tags").getByRole("searchbox").fill("violin");
  await row(page, "Tags").getByRole("button", { name: "violin", exact: true }).click();
  await row(page, "max_seconds").locator("input").fill("10");
  await row(page, "seed").locator("input").fill("8");
  const ended = runTo(page, "execution_success");
  await page.getByTestId("linear-run-button").getByRole("button", { name: "Run" }).last().click();
  await ended;
  await page.locator("#mobile-app-preview-tab").click();
  const player = page.locator("#mobile-app-preview-panel audio:visible");
  await player.waitFor();
  const heard = await player.evaluate(async ({ src }) => {
    const sound = await new AudioContext().decodeAudioData(await (await fetch(src)).arrayBuffer());
    return { seconds: sound.duration, peak: sound.getChannelData(0).reduce((most, at) => Math.max(most, Math.abs(at)), 0) };
  });
  assert.ok(heard.seconds > 5 && heard.seconds < 11 && heard.peak > 0.01, JSON.stringify(heard));
  assert.match((await queued(page, "LeVoLyrics")).text, /A lantern on the water/);
  assert.match((await queued(page, "LeVoDescription")).instruments, /violin/);
  assert.equal((await queued(page, "LeVoCompose")).seed, 8);
}

export async function the_editor_of_lyrics_writes_into_the_page(page, url) {
  await openOnPhone(page, url);
  const box = lyricsBox(page), sections = row(page, "Sections");
  await box.fill("[Verse 1]\nOne line here\n\nAnother line here");
  await box.evaluate((box) => box.setSelectionRange(23, 23));
  await sections.getByRole("button", { name: "Insert [chorus]" }).click();
  const inserted = "[Verse 1]\nOne line here\n\n[chorus]\n\n\nAnother line here";
  assert.equal(await box.inputValue(), inserted);
  await sections.getByRole("button", { name: "Tidy" }).click();
  assert.ok((await box.inputValue()).startsWith("[verse]\n"));
  await page.keyboard.press("Control+z");
  assert.equal(await box.inputValue(), inserted);
  await sections.getByRole("listitem").nth(1).waitFor(); // Python has read the text again
  await sections.getByRole("listitem").last().click();
  assert.equal(await box.evaluate((box) => box.value.slice(box.selectionStart, box.selectionEnd)), "[chorus]");
}

export async function panels_of_a_page_are_large_enough_to_read_and_touch(page, url) {
  await openOnPhone(page, url);
  await row(page, "Sections").getByText(/^about 0:/).waitFor();
  const wide = page.locator(".levo-panel:visible button:visible");
  for (const { name, box } of await wide.evaluateAll((buttons) => buttons.map((button) => {
    const { left, right, height } = button.getBoundingClientRect();
    return { name: button.textContent, box: { left, right, height } };
  }))) {
    assert.ok(box.left >= 0 && box.right <= PHONE.width, `${name} lies beside the screen`);
    assert.ok(box.height >= TOUCH || name === "", `${name} is ${box.height} px high`);
  }
  const letters = await lyricsBox(page).evaluate((box) => Number.parseFloat(getComputedStyle(box).fontSize));
  assert.ok(letters >= LETTERS, `lyrics are of ${letters} px`);
  await lyricsBox(page).fill("[zzz]\nWhat is this\n\n[verse]\nA line");
  const problem = row(page, "Sections").locator(".levo-problem.levo-bad");
  await problem.waitFor();
  const [inner, outer] = await Promise.all([problem.boundingBox(), row(page, "Sections").boundingBox()]);
  assert.ok(inner.y + inner.height <= outer.y + outer.height + 1, "the problem is cut");
}

export async function an_undo_leaves_the_panels_of_a_page_alive(page, url) {
  await openOnPhone(page, url);
  const tags = row(page, "Tags");
  await tags.getByRole("searchbox").fill("violin");
  await tags.getByRole("button", { name: "violin", exact: true }).click();
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.Undo"));
  await page.waitForFunction(() => !app.graph.getNodeById(5).widgets.some(({ value }) => /violin/.test(value)));
  await tags.getByRole("searchbox").fill("guitar");
  await tags.getByRole("button", { name: "guitar", exact: true }).click();
  assert.equal((await queued(page, "LeVoDescription")).instruments, "piano, drums, guitar");
}

export async function every_page_shows_all_its_inputs_and_names_its_outputs(page, url) {
  for (const name of PAGES) {
    const { extra } = await openOnPhone(page, url, name);
    const items = page.getByTestId("app-mode-widget-item");
    await items.nth(extra.linearData.inputs.length - 1).waitFor();
    assert.equal(await items.count(), extra.linearData.inputs.length, name);
    const empty = await items.evaluateAll((rows) => rows.filter((row) => // beside the button of its menu
      row.querySelectorAll("button, input, textarea, [role]").length < 2).map((row) => row.textContent));
    assert.deepEqual(empty, [], `${name} has rows with nothing in them`);
    const told = page.getByTestId("app-mode-widget-description");
    const cut = await told.evaluateAll((texts) => texts.flatMap((text) => [text, ...text.querySelectorAll("*")]
      .filter((part) => part.scrollWidth > part.clientWidth && part.clientWidth).map((part) => part.textContent)));
    assert.deepEqual(cut, [], name);
    const shown = await page.evaluate((ids) => ids.map((id) => app.graph.getNodeById(id)?.constructor.nodeData),
      extra.linearData.outputs);
    assert.ok(shown.every((node) => node?.output_node), `${name} shows outputs of nodes that put out nothing`);
  }
}

export async function a_page_says_what_its_nodes_say(page, url) {
  await page.setViewportSize({ width: 1440, height: 900 });
  await openExample(page, url, SONG);
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.ToggleLinear"));
  const told = row(page, "Progress").getByRole("status");
  await told.getByText("Press Run; what happens is said here.").waitFor();
  await row(page, "max_seconds").locator("input").fill("12");
  await row(page, "seed").locator("input").fill(String(Date.now() % 1e6)); // nothing of an earlier run is taken
  const ended = runTo(page, "execution_success");
  const run = page.getByTestId("linear-run-button").getByRole("button", { name: "Run" }).last();
  await run.click();
  await told.getByText(/^LeVo Compose: .*at most/).waitFor();
  await ended;
  await told.getByText(/^LeVo Compose: .*0:1/).waitFor();
  await told.getByText(/^LeVo Export Song: Saved audio\/LeVo_\d+_\.flac\.$/).waitFor();
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.ToggleLinear"));
  await page.waitForTimeout(500);
  assert.equal(await page.locator(".levo-progress:visible").count(), 0, "the graph shows it on its nodes");
  const heard = page.getByRole("status").filter({ hasText: "Saved audio/LeVo_" }); // hidden ones are none
  assert.equal(await heard.count(), 1, "a screen reader is told it once");
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.ToggleLinear"));
  await lyricsBox(page).fill("[zzz]\nWhat is <b>this</b>");
  await run.click();
  await told.getByText(/^LeVo Lyrics: .*zzz/).waitFor();
  assert.equal(await told.getByText(/^LeVo Export Song/).count(), 0, "the last run is over");
}

export async function a_wide_screen_shows_the_graph_and_the_page_on_demand(page, url) {
  await page.setViewportSize({ width: 1440, height: 900 });
  await openExample(page, url, SONG);
  await page.waitForTimeout(1000);
  assert.equal(await page.getByTestId("app-mode-widget-item").count(), 0);
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.ToggleLinear"));
  await lyricsBox(page).fill("[verse]\nFrom the page");
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.ToggleLinear"));
  await page.locator(".levo-lyrics:visible .levo-block").first().waitFor();
  assert.match((await queued(page, "LeVoLyrics")).text, /From the page/);
}

export async function a_phone_that_went_to_the_graph_stays_there(page, url) {
  await openOnPhone(page, url);
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.ToggleLinear"));
  await page.evaluate(() => app.extensionManager.command.execute("Comfy.Undo"));
  await page.waitForTimeout(1000);
  assert.equal(await page.getByTestId("linear-mobile").count(), 0);
}
