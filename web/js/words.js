// The pack's words in the language of the interface: English stands in the code, all others in
// locales/<language>, those of the scripts below "levo" in main.json.
import { fetchApi, setting } from "./comfy.js";

let asked = null; // the one request, which all callers share
let translations = {};

// Reads the words once; afterwards t() and nodeWords() know them.
export function loadWords() {
  asked ??= read();
  return asked;
}

// The text in the language of the interface, with {name} replaced by values.name.
export function t(text, values = {}) {
  return (translations.levo?.[text] ?? text).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// What nodeDefs.json says of a node: display_name, description, inputs and outputs; undefined in English.
export function nodeWords(id) {
  return translations.nodeDefs?.[id];
}

async function read() {
  const locale = setting("Comfy.Locale");
  if (locale === "en") return;
  const reply = await fetchApi("/i18n");
  if (reply.ok) translations = (await reply.json())[locale] ?? {};
}
