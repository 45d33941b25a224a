// LeVo Lyrics: below the text the sections as a timeline, the first problem, and buttons that write.
// What is wrong and how long a section is, Python says; see nodes/routes.py.
import { clock } from "./clock.js";
import { downstream, follow, isFed, register, setValue, sourceOf, textBox, widgetOf } from "./comfy.js";
import { insertion } from "./insert.js";
import { addPanel, asker, element } from "./panel.js";
import { loadWords, t } from "./words.js";

const HEIGHT = 156;
const ROOM = 60; // for the text
const LENGTHS = { short: "S", medium: "M", long: "L" };
const editors = new Set(); // those in a graph

register("Lyrics", {
  setup: loadWords,
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith("LeVo")) return;
    // Which checkpoint a song is for depends on other nodes.
    follow(node, "onConnectionsChange", () => editors.forEach((editor) => editor.check()));
    if (node.comfyClass === "LeVoLoadLeLM")
      node.widgets.forEach((w) => follow(w, "callback", () => editors.forEach((editor) => editor.check())));
    if (node.comfyClass === "LeVoLyrics") new LyricsEditor(node);
  },
});

class LyricsEditor {
  constructor(node) {
    this.node = node;
    this.text = widgetOf(node, "text");
    this.ask = asker("/levo/lyrics", (answer) => this.show(answer));
    const bar = (kind, role, label) => element("div", { class: kind, role, "aria-label": label });
    this.tools = bar("levo-tools", "toolbar", t("Insert a section"));
    this.timeline = bar("levo-timeline", "list", t("Sections"));
    this.length = element("span", { class: "levo-length" });
    this.problem = element("button", { class: "levo-problem", onclick: () => this.goTo(this.faultyLine) });
    this.tidy = element("button", {
      class: "levo-button levo-tidy", disabled: true, onclick: () => this.write(this.tidyText, true),
      title: t("Lay the lyrics out and repair what can be repaired; Ctrl+Z takes it back"),
    }, t("Tidy"));
    const status = { class: "levo-status levo-scrolls", role: "status" };
    const root = element("div", { class: "levo-lyrics" }, this.tools, this.timeline,
      element("div", status, this.length, this.tidy, this.problem));
    addPanel(node, "levo_sections", root, HEIGHT, { label: t("Sections"), room: ROOM });
    follow(this.text, "callback", () => this.check());
    follow(node, "onAdded", () => editors.add(this) && this.check());
    follow(node, "onRemoved", () => editors.delete(this));
  }

  check() {
    this.elsewhere = isFed(this.node, "text");
    this.ask({ text: this.elsewhere ? "" : this.text.value, checkpoint: checkpointFor(this.node) });
  }

  show(answer) {
    const { sections = [], seconds = 0, limit, problem, tidy, tags = [], error } = answer;
    if (!this.tools.childElementCount) this.tools.append(...tools(tags, (tag) => this.insert(tag)));
    this.sections = sections;
    this.timeline.replaceChildren(...sections.map((section) => this.block(section)));
    const over = seconds > limit;
    this.timeline.classList.toggle("levo-over", over);
    this.timeline.style.setProperty("--levo-limit", over ? `${(100 * limit) / seconds}%` : "100%");
    this.length.textContent = limit
      ? t("about {time} of at most {limit}", { time: clock(seconds), limit: clock(limit) }) : "";
    this.length.classList.toggle("levo-bad", over);
    this.length.title = t("A rough estimate: the model chooses its own tempo");
    const said = this.elsewhere ? t("The lyrics come from another node.") : error ?? problem?.text ?? "";
    this.problem.textContent = this.problem.title = said;
    this.problem.classList.toggle("levo-bad", !this.elsewhere && Boolean(said));
    this.faultyLine = problem?.line;
    this.tidyText = tidy;
    this.tidy.disabled = this.elsewhere || !tidy || tidy === this.text.value;
  }

  block({ tag, line, seconds }) {
    const about = t("[{tag}], about {seconds} s, line {line}", { tag, seconds: Math.round(seconds), line });
    return element("button", {
      class: `levo-block levo-${kindOf(tag)}`, style: `flex-grow: ${Math.max(seconds, 2)}`,
      role: "listitem", title: about, "aria-label": about, onclick: () => this.goTo(line),
    }, element("span", {}, t(tag)));
  }

  insert(tag) {
    const text = this.box?.value ?? this.text.value;
    const { at, typed } = insertion(text, this.box?.selectionStart ?? text.length, tag, this.sections);
    this.write(typed, false, at);
  }

  get box() {
    return textBox(this.node, this.text);
  }

  // Types for the user, so that the text box can undo it.
  write(text, all, at = 0) {
    const { box } = this;
    if (!box) {
      const old = this.text.value;
      setValue(this.node, this.text, all ? text : old.slice(0, at) + text + old.slice(at));
      return;
    }
    box.focus();
    box.setSelectionRange(all ? 0 : at, all ? box.value.length : at);
    if (!document.execCommand("insertText", false, text)) {
      box.setRangeText(text, box.selectionStart, box.selectionEnd, "end");
      box.dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  // Selects a line of the text.
  goTo(line) {
    const { box } = this;
    if (!line || !box) return;
    const lines = box.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1);
    box.focus();
    box.setSelectionRange(start, start + (lines[line - 1] ?? "").length);
    box.scrollTop = (box.scrollHeight * (line - 1)) / lines.length - box.clientHeight / 2;
  }
}

// Buttons for all tags; those that come in lengths share a frame.
function tools(tags, insert) {
  const button = (tag, label) => {
    const title = t("Insert [{tag}]", { tag });
    const look = `levo-button levo-tag levo-${kindOf(tag)}`;
    return element("button", { class: look, title, "aria-label": title, onclick: () => insert(tag) }, label);
  };
  const plain = tags.filter((tag) => !tag.includes("-"));
  const parts = [...new Set(tags.filter((tag) => tag.includes("-")).map(kindOf))];
  const lengths = (part) =>
    Object.entries(LENGTHS).map(([length, letter]) => button(`${part}-${length}`, t(letter)));
  const group = (part) =>
    element("span", { class: `levo-group levo-${part}` }, element("span", {}, t(part)), ...lengths(part));
  return [...plain.map((tag) => button(tag, t(tag))), ...parts.map(group)];
}

const kindOf = (tag) => tag.split("-")[0];

// The checkpoint that a node's song is composed with: of the one LeVo Load LeLM that feeds what follows it.
function checkpointFor(node) {
  const loaders = new Set();
  for (const at of downstream(node))
    at.inputs?.forEach((input, slot) => input.type === "LEVO_LELM" && loaders.add(sourceOf(at, slot)));
  loaders.delete(null);
  const [loader] = loaders;
  return loaders.size === 1 ? String(widgetOf(loader, "checkpoint")?.value ?? "") : "";
}
