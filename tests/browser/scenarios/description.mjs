// The tag picker of LeVo Description.
import assert from "node:assert/strict";
import { onlyNodes, queuedInputs, saveAndReload, undoInGraph } from "../frontend.mjs";

const search = (page) => page.getByLabel("Search tags");
const suggestion = (page, tag) => page.locator(".levo-suggestions").getByText(tag, { exact: true });
const chips = async (page) =>
  (await page.locator(".levo-chip").allInnerTexts()).map((chip) => chip.replace(/\s*×$/, ""));
const DEFAULTS = ["female", "pop", "wistful", "piano", "drums"];

async function withDescription(page) {
  await onlyNodes(page, "LeVoDescription");
  await suggestion(page, "mandopop").waitFor();
}

export async function tags_are_found_by_search_and_land_in_their_fields(page) {
  await withDescription(page);
  assert.deepEqual(await chips(page), DEFAULTS);
  await search(page).fill("bossa");
  await suggestion(page, "bossa nova").click();
  await search(page).fill("nostal");
  await suggestion(page, "nostalgic").click();
  await search(page).fill("children's music");
  await search(page).press("Enter");
  await search(page).fill("rain on a tin roof");
  await search(page).press("Enter");
  await search(page).fill("male");
  await suggestion(page, "male").click();
  assert.deepEqual(await queuedInputs(page, "LeVoDescription"), {
    gender: "male", genre: "pop, bossa nova, children's music", emotion: "wistful, nostalgic",
    instruments: "piano, drums", tags: "rain on a tin roof",
  });
  assert.equal(await page.locator(".levo-problem").textContent(), "");
}

export async function a_chip_is_taken_away_by_a_click_and_undo_brings_it_back(page) {
  await withDescription(page);
  await page.getByRole("button", { name: "Remove piano" }).click();
  await page.getByRole("button", { name: "Remove female" }).click();
  const inputs = await queuedInputs(page, "LeVoDescription");
  assert.deepEqual([inputs.gender, inputs.instruments], ["any", "drums"]);
  await page.locator("canvas#graph-canvas").click({ position: { x: 300, y: 900 } });
  await page.keyboard.press("Control+z");
  await page.getByRole("button", { name: "Remove female" }).waitFor();
}

export async function after_an_undo_of_the_graph_the_tags_still_reach_the_prompt(page) {
  await withDescription(page);
  for (const tag of ["violin", "cello"]) {
    await search(page).fill(tag);
    await suggestion(page, tag).click();
  }
  for (const left of [["violin"], []]) {
    await undoInGraph(page);
    await page.waitForFunction((n) => document.querySelectorAll(".levo-chip").length === n, 5 + left.length);
    assert.deepEqual(await chips(page), [...DEFAULTS, ...left]);
  }
  await search(page).fill("guitar");
  await suggestion(page, "guitar").click();
  assert.equal((await queuedInputs(page, "LeVoDescription")).instruments, "piano, drums, guitar");
  assert.ok((await chips(page)).includes("guitar"));
  assert.equal(await search(page).count(), 1);
}

export async function a_filter_shows_one_field_and_takes_free_tags_for_it(page) {
  await withDescription(page);
  await page.getByRole("button", { name: "instruments", exact: true }).click();
  assert.equal(await page.locator(".levo-suggestions .levo-genre").count(), 0);
  await search(page).fill("nyckelharpa");
  await suggestion(page, "+ nyckelharpa").click();
  assert.equal((await queuedInputs(page, "LeVoDescription")).instruments, "piano, drums, nyckelharpa");
}

export async function the_fields_themselves_lead_the_chips_and_a_sentence_is_named(page) {
  await withDescription(page);
  await page.evaluate(() => {
    const widget = app.graph._nodes[0].widgets.find(({ name }) => name === "instruments");
    widget.setValue("strings (violin, cello), a song about the sea at night",
      { e: {}, node: app.graph._nodes[0], canvas: app.canvas });
  });
  await page.locator(".levo-problem").filter({ hasText: "Description field 'instruments'" }).waitFor();
  const strings = (await chips(page)).slice(3);
  assert.deepEqual(strings, ["strings (violin, cello)", "a song about the sea at night"]);
}

export async function chips_stay_in_sight_beside_a_problem_and_can_be_taken_away(page) {
  await withDescription(page);
  const sentence = "a song about the sea at night that nobody has ever heard with a long and winding melody";
  await search(page).fill(sentence);
  await search(page).press("Enter");
  await page.locator(".levo-problem").filter({ hasText: "Description field" }).waitFor();
  const seen = await page.evaluate(() => {
    const panel = document.querySelector(".levo-chips").parentElement.getBoundingClientRect();
    const boxes = [".levo-chips", ".levo-problem", ".levo-suggestions"].map((one) => document.querySelector(one));
    return boxes.map((box) => [box.offsetHeight, box.getBoundingClientRect().bottom <= panel.bottom + 1]);
  });
  assert.ok(seen.every(([height, inside]) => height > 12 && inside), JSON.stringify(seen));
  await page.getByRole("button", { name: "Remove piano" }).click();
  await page.getByRole("button", { name: `Remove ${sentence}` }).click();
  await page.waitForFunction(() => !document.querySelector(".levo-problem").textContent);
  assert.equal((await queuedInputs(page, "LeVoDescription")).instruments, "drums");
}

export async function a_published_description_becomes_chips_without_its_stop(page) {
  await withDescription(page);
  await page.evaluate(() => {
    const node = app.graph._nodes[0];
    const widget = node.widgets.find(({ name }) => name === "instruments");
    widget.setValue("acoustic guitar, strings (violin, cello), drum kit.", { e: {}, node, canvas: app.canvas });
  });
  await page.getByRole("button", { name: "Remove drum kit", exact: true }).waitFor();
  assert.deepEqual((await chips(page)).slice(3), ["acoustic guitar", "strings (violin, cello)", "drum kit"]);
  await page.getByRole("button", { name: "Remove acoustic guitar" }).click();
  const { instruments } = await queuedInputs(page, "LeVoDescription");
  assert.equal(instruments, "strings (violin, cello), drum kit");
  assert.equal(await page.locator(".levo-problem").textContent(), "");
}

export async function a_reload_finds_the_tags_as_they_were(page) {
  await withDescription(page);
  await search(page).fill("oud");
  await suggestion(page, "oud").click();
  await saveAndReload(page);
  await page.getByRole("button", { name: "Remove oud" }).waitFor();
  assert.deepEqual(await chips(page), [...DEFAULTS, "oud"]);
}
