// LeVo Description: a search over the tags that the models know best, and chips of those that are chosen.
// The texts of the node's own fields are the truth: chips are read from them and written back to them.
import { follow, isFed, register, setValue, widgetOf } from "./comfy.js";
import { addPanel, asker, element } from "./panel.js";
import { loadWords, t } from "./words.js";

const HEIGHT = 196;
const SHOWN = 48; // suggestions at once
const FIELDS = ["gender", "genre", "emotion", "instruments", "tags"];
const STOPS = " \t\r.!?。．｡！？।؟"; // and space
const NOBODY = "any"; // the gender that is no tag
const known = fetch(new URL("./tags.json", import.meta.url)).then((answer) => answer.json());

register("Description", {
  setup: loadWords,
  nodeCreated(node) {
    if (node.comfyClass === "LeVoDescription") new TagPicker(node);
  },
});

class TagPicker {
  constructor(node) {
    this.node = node;
    this.known = {};
    this.only = ""; // the field that is searched; "" for all
    this.ask = asker("/levo/description", ({ problem, error }) => {
      this.problem.textContent = this.problem.title = error ?? problem ?? "";
    });
    this.search = element("input", {
      class: "levo-search", type: "search", placeholder: t("Search or add tags"),
      "aria-label": t("Search tags"), oninput: () => this.suggest(), onkeydown: (event) => this.key(event),
    });
    this.filters = ["genre", "emotion", "instruments"].map((field) => element("button", {
      class: `levo-button levo-filter levo-${field}`, title: t("Only {field}", { field: t(field) }),
      "aria-pressed": "false", "data-field": field, onclick: () => this.filter(field),
    }, t(field)));
    const scrolls = (kind, label) => element("div", { class: `${kind} levo-scrolls`, "aria-label": label });
    this.suggestions = scrolls("levo-suggestions", t("Suggestions"));
    this.chips = scrolls("levo-chips", t("Chosen tags"));
    this.problem = element("div", { class: "levo-problem levo-bad levo-scrolls", role: "status" });
    const top = element("div", { class: "levo-top" }, this.search, ...this.filters);
    const root = element("div", {}, top, this.suggestions, this.chips, this.problem);
    addPanel(node, "levo_tags", root, HEIGHT, { label: t("Tags") });
    for (const field of FIELDS) follow(this.widget(field), "callback", () => this.refresh());
    for (const event of ["onConfigure", "onAdded", "onConnectionsChange"])
      follow(node, event, () => this.refresh());
    known.then((lists) => { this.known = lists; this.suggest(); });
  }

  widget(field) {
    return widgetOf(this.node, field);
  }

  // The tags of a field; none if another node writes it.
  tagsOf(field) {
    if (isFed(this.node, field)) return [];
    const text = String(this.widget(field).value ?? "");
    return field === "gender" ? [text].filter((tag) => tag !== NOBODY) : split(text);
  }

  refresh() {
    const all = FIELDS.flatMap((field) => this.tagsOf(field).map((tag) => ({ field, tag })));
    this.chips.replaceChildren(...all.map(({ field, tag }) => element("button", {
      class: `levo-chip levo-${field}`, title: `${t(field)}: ${tag}`,
      "aria-label": t("Remove {tag}", { tag }), onclick: () => this.toggle(field, tag),
    }, tag, element("span", { "aria-hidden": "true" }, "×"))));
    this.ask(Object.fromEntries(FIELDS.map((field) => [field, this.tagsOf(field).join(", ")])));
    this.suggest();
  }

  suggest() {
    const wanted = this.search.value.trim().toLowerCase();
    const fields = Object.keys(this.known).filter((field) => (this.only || field) === field);
    const found = fields.map((field) => matches(this.known[field], wanted).map((tag) => ({ field, tag })));
    const share = Math.ceil(SHOWN / Math.max(found.filter((tags) => tags.length).length, 1));
    const shown = found.flatMap((tags) => tags.slice(0, share));
    if (wanted && !shown.some(({ tag }) => tag === wanted))
      shown.unshift({ field: this.only || "tags", tag: wanted, free: true });
    this.suggestions.replaceChildren(...shown.map(({ field, tag, free }) => element("button", {
      class: `levo-button levo-tag levo-${field}`, "aria-pressed": String(this.has(field, tag)),
      title: `${t(field)}: ${tag}`, onclick: () => this.toggle(field, tag),
    }, free ? `+ ${tag}` : tag)));
  }

  filter(field) {
    this.only = this.only === field ? "" : field;
    for (const button of this.filters)
      button.setAttribute("aria-pressed", String(button.dataset.field === this.only));
    this.suggest();
  }

  key(event) {
    event.stopPropagation(); // from the editor's shortcuts
    if (event.key !== "Enter" || !this.search.value.trim()) return;
    for (const tag of split(this.search.value.toLowerCase())) {
      const field = Object.keys(this.known).find((name) => this.known[name].includes(tag));
      if (!this.has(this.only || field || "tags", tag)) this.toggle(this.only || field || "tags", tag);
    }
    this.search.value = "";
    this.suggest();
  }

  has(field, tag) {
    return this.tagsOf(field).some((chosen) => chosen.toLowerCase() === tag);
  }

  toggle(field, tag) {
    const chosen = this.tagsOf(field);
    const rest = chosen.filter((other) => other.toLowerCase() !== tag.toLowerCase());
    const added = rest.length === chosen.length;
    if (field === "gender") this.write(field, added ? tag : NOBODY);
    else this.write(field, (added ? [...chosen, tag] : rest).join(", "));
  }

  write(field, value) {
    setValue(this.node, this.widget(field), value);
  }
}

// The tags with the words in them, those that begin with them first.
function matches(tags, wanted) {
  const begins = tags.filter((tag) => tag.startsWith(wanted));
  return [...begins, ...tags.filter((tag) => tag.includes(wanted) && !tag.startsWith(wanted))];
}

// The tags of a list, parted as levo/text/style.py does it: not inside round brackets, without the stop that
// ends a list.
function split(text) {
  const tags = [""];
  let depth = 0;
  for (const character of text) {
    depth += "(（".includes(character) - ")）".includes(character);
    if (depth <= 0 && ",，、;；\n".includes(character)) tags.push("");
    else tags[tags.length - 1] += character;
  }
  return tags.map(withoutStop).filter(Boolean);
}

function withoutStop(tag) {
  let end = tag.length;
  while (end && STOPS.includes(tag[end - 1])) end--;
  return tag.slice(0, end).trim();
}
