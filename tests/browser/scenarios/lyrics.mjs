// The editor of LeVo Lyrics.
import assert from "node:assert/strict";
import { captureState, connect, onlyNodes, queuedInputs, saveAndReload, textBox as text, undoInGraph,
} from "../frontend.mjs";

const FAULTY = "[Verse 1]\nGood morning\n[Pre-Chorus]\nla la x2";
const TIDY = "[verse]\nGood morning\n\n[verse]\nla la\nla la";

const problem = (page) => page.locator(".levo-lyrics .levo-problem");
const tidy = (page) => page.getByRole("button", { name: "Tidy" });
const blocks = (page) => page.locator(".levo-timeline .levo-block");

async function withLyrics(page, ...others) {
  await onlyNodes(page, "LeVoLyrics", ...others);
  await blocks(page).first().waitFor();
}

// Resolves when a locator shows a text.
async function shows(locator, shown) {
  await locator.filter({ hasText: shown }).first().waitFor();
}

export async function faulty_lyrics_are_named_by_line_and_tidy_heals_and_undo_brings_them_back(page) {
  await withLyrics(page);
  await text(page).fill(FAULTY);
  await shows(problem(page), "Lyrics line 3: [Pre-Chorus] is not a section the model knows");
  await tidy(page).click();
  await page.waitForFunction(() => !document.querySelector(".levo-lyrics .levo-problem").textContent);
  assert.equal(await text(page).inputValue(), TIDY);
  assert.deepEqual(await queuedInputs(page, "LeVoLyrics"), { text: TIDY });
  await page.keyboard.press("Control+z");
  assert.equal(await text(page).inputValue(), FAULTY);
  await shows(problem(page), "Lyrics line 3");
}

export async function a_button_inserts_a_section_at_the_cursor_and_undo_takes_it_out(page) {
  await withLyrics(page);
  await text(page).fill("[verse]\nGood morning\nGood night");
  await page.waitForFunction(() => document.querySelectorAll(".levo-block").length === 1);
  await text(page).evaluate((area) => area.setSelectionRange(20, 20));
  await page.getByRole("button", { name: "Insert [inst-medium]" }).click();
  assert.equal(await text(page).inputValue(), "[verse]\nGood morning\n\n[inst-medium]\n\n[verse]\nGood night");
  assert.equal(await text(page).evaluate((area) => document.activeElement === area), true);
  await page.keyboard.press("Control+z");
  assert.equal(await text(page).inputValue(), "[verse]\nGood morning\nGood night");
}

export async function an_inserted_section_cuts_no_line_and_leaves_no_words_without_one(page) {
  await withLyrics(page);
  const song = "[verse]\nGood morning\nGood night\n\n[chorus]\nla la";
  const cases = [ // the cursor, the section, what becomes of the song
    ["ning", "inst-medium", "[verse]\nGood morning\n\n[inst-medium]\n\n[verse]\nGood night\n\n[chorus]\nla la"],
    ["Good night", "silence", "[verse]\nGood morning\n\n[silence]\n\n[verse]\nGood night\n\n[chorus]\nla la"],
    ["ning", "bridge", "[verse]\nGood morning\n\n[bridge]\n\nGood night\n\n[chorus]\nla la"],
    ["Good morning", "intro-short", "[intro-short]\n\n[verse]\nGood morning\nGood night\n\n[chorus]\nla la"],
    ["la la", "inst-short", "[verse]\nGood morning\nGood night\n\n[inst-short]\n\n[chorus]\nla la"],
    ["night", "inst-short", "[verse]\nGood morning\nGood night\n\n[inst-short]\n\n\n[chorus]\nla la"],
    ["", "outro-short", `${song}\n\n[outro-short]\n`],
  ];
  for (const [cursor, tag, edited] of cases) {
    await text(page).fill(song);
    await page.waitForFunction(() => document.querySelectorAll(".levo-block").length === 2);
    const at = cursor ? song.indexOf(cursor) : song.length;
    await text(page).evaluate((area, at) => area.setSelectionRange(at, at), at);
    await page.getByRole("button", { name: `Insert [${tag}]` }).click();
    assert.equal(await text(page).inputValue(), edited, `${tag} at ${cursor}`);
    await page.keyboard.press("Control+z");
    assert.equal(await text(page).inputValue(), song, "one step undoes it");
  }
}

export async function a_label_that_is_cut_ends_in_dots(page) {
  await withLyrics(page);
  const { overflow, room, wants } = await page.evaluate(() => {
    const label = document.querySelector(".levo-block > span");
    label.parentElement.style.flex = "0 0 50px";
    return { overflow: getComputedStyle(label).textOverflow, room: label.clientWidth, wants: label.scrollWidth };
  });
  assert.equal(overflow, "ellipsis");
  assert.ok(wants > room && room > 30, `${wants} in ${room}`);
}

export async function nothing_is_lost_whatever_is_undone_after_tidy(page) {
  await withLyrics(page);
  const faulty = Array.from({ length: 12 }, (_, i) => `[Verse ${i}]\nla la`).join("\n");
  await text(page).fill(faulty);
  await page.waitForFunction(() => !document.querySelector(".levo-tidy").disabled);
  await tidy(page).click();
  const tidied = await text(page).inputValue();
  assert.notEqual(tidied, faulty);
  await page.keyboard.press("Control+z");
  assert.equal(await text(page).inputValue(), faulty);
  await page.keyboard.press("Control+Shift+z");
  assert.equal(await text(page).inputValue(), tidied);
}

export async function after_an_undo_of_the_graph_the_panel_still_follows_the_text(page) {
  await withLyrics(page);
  await text(page).fill("[verse]\nGood morning");
  await captureState(page);
  await page.evaluate(() => { app.graph._nodes[0].pos = [500, 200]; });
  await captureState(page);
  await undoInGraph(page);
  await text(page).fill("[zzz]\nla");
  await shows(problem(page), "Lyrics line 1: [zzz]");
  await problem(page).click();
  assert.equal(await page.evaluate(() => getSelection().toString()), "[zzz]");
  await page.getByRole("button", { name: "Insert [chorus]" }).click();
  assert.match((await queuedInputs(page, "LeVoLyrics")).text, /\[chorus\]/);
  assert.equal(await page.locator(".levo-lyrics").count(), 1);
}

export async function the_text_has_most_of_the_node_and_takes_what_room_it_gets(page) {
  await withLyrics(page);
  const heights = () => page.evaluate(() => {
    const panel = document.querySelector(".levo-lyrics");
    return { panel: panel.offsetHeight, used: panel.lastChild.offsetTop + 20 - panel.offsetTop };
  });
  const box = async () => (await text(page).boundingBox()).height;
  const [before, panel] = [await box(), await heights()];
  assert.ok(before > 110, `the text is ${before} px high`);
  assert.ok(panel.panel < 140, `the panel is ${panel.panel} px high`);
  await page.evaluate(() => {
    const [node] = app.graph._nodes;
    node.setSize([node.size[0], node.size[1] + 200]);
    app.canvas.setDirty(true, true);
  });
  await page.waitForTimeout(500);
  assert.ok(Math.abs(await box() - before - 200) < 12, `${before} px became ${await box()}`);
  assert.equal((await heights()).panel, panel.panel);
}

export async function a_long_sentence_is_read_to_its_end(page) {
  await withLyrics(page);
  await text(page).fill("[zzz]\nla");
  await shows(problem(page), "Lyrics line 1: [zzz]");
  const { scrolls, hidden } = await page.evaluate(() => {
    const status = document.querySelector(".levo-status");
    const panel = status.parentElement.getBoundingClientRect();
    status.scrollTop = status.scrollHeight;
    const { bottom } = document.querySelector(".levo-lyrics .levo-problem").getBoundingClientRect();
    return { scrolls: getComputedStyle(status).overflowY, hidden: bottom - panel.bottom };
  });
  assert.equal(scrolls, "auto");
  assert.ok(hidden < 2, `${hidden} px are out of sight`);
}

export async function the_timeline_shows_the_sections_and_a_click_selects_their_line(page) {
  await withLyrics(page);
  assert.deepEqual(await blocks(page).allInnerTexts(), ["intro-short", "verse", "chorus", "outro-short"]);
  await blocks(page).nth(2).click();
  assert.equal(await page.evaluate(() => getSelection().toString()), "[chorus]");
}

export async function the_length_is_held_against_the_limit_of_the_checkpoint_in_the_graph(page) {
  await withLyrics(page, "LeVoConditioning", "LeVoCompose", "LeVoLoadLeLM");
  const length = page.locator(".levo-length");
  await shows(length, "of at most 4:30");
  await page.evaluate(() => {
    const loader = app.graph._nodes.find((node) => node.type === "LeVoLoadLeLM");
    loader.widgets[0].value = loader.widgets[0].options.values.find((choice) => choice.startsWith("demo"));
  });
  await connect(page, "LeVoLyrics", "STRING", "LeVoConditioning", "lyrics");
  await connect(page, "LeVoConditioning", "LEVO_CONDITIONING", "LeVoCompose", "conditioning");
  await connect(page, "LeVoLoadLeLM", "LEVO_LELM", "LeVoCompose", "lelm");
  await shows(length, "of at most 1:00");
  await text(page).fill(`[verse]\n${"and all the boats go out again\n".repeat(20)}`);
  await page.locator(".levo-over .levo-block").waitFor();
}

export async function answers_that_come_late_change_nothing(page) {
  await withLyrics(page);
  let asked = 0;
  await page.route("**/levo/lyrics", async (route) => {
    const answer = await route.fetch();
    if (asked++ === 0) await new Promise((done) => setTimeout(done, 1500));
    await route.fulfill({ response: answer });
  });
  await text(page).fill("[zzz]");
  await page.waitForRequest("**/levo/lyrics");
  await text(page).fill("[verse]\nGood night");
  await shows(page.locator(".levo-length"), "about 0:02");
  await page.waitForTimeout(1600);
  assert.equal(await problem(page).textContent(), "");
  assert.equal(asked, 2);
}

export async function typing_asks_once(page) {
  await withLyrics(page);
  let asked = 0;
  page.on("request", (request) => { asked += request.url().endsWith("/levo/lyrics"); });
  await text(page).evaluate((area) => {
    for (const letter of ["", ..."[verse] Good night"]) {
      area.value = letter && area.value + letter;
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  await shows(page.locator(".levo-length"), "about 0:02");
  assert.equal(asked, 1);
}

export async function a_reload_finds_the_text_as_it_was(page) {
  await withLyrics(page);
  await text(page).fill(FAULTY);
  await saveAndReload(page);
  assert.equal(await text(page).inputValue(), FAULTY);
  await shows(problem(page), "Lyrics line 3");
}
