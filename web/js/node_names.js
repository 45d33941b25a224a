// Our nodes in the language of the interface. ComfyUI itself translates them from locales/, but the frontend of
// 0.3.75 loads a language only after the packs' words, which it forgets by that; where it remembers them, this
// says the same.
import { register } from "./comfy.js";
import { loadWords, nodeWords } from "./words.js";

const isOurs = (id) => id?.startsWith("LeVo");

// A node's schema, before the frontend makes a node type of it.
function translate(schema) {
  const words = nodeWords(schema.name);
  if (!words) return;
  schema.display_name = words.display_name ?? schema.display_name;
  schema.description = words.description ?? schema.description;
  for (const group of ["required", "optional"])
    for (const [name, spec] of Object.entries(schema.input[group] ?? {}))
      if (words.inputs?.[name]?.tooltip && spec[1]) spec[1].tooltip = words.inputs[name].tooltip;
  schema.output_tooltips = schema.output_tooltips?.map((text, at) => words.outputs?.[at]?.tooltip ?? text);
}

// What stands beside a new node's sockets and widgets; their names, which are saved, stay.
function label(node) {
  const words = nodeWords(node.comfyClass);
  if (!words) return;
  for (const input of node.inputs ?? [])
    input.localized_name = words.inputs?.[input.name]?.name ?? input.localized_name;
  node.outputs?.forEach((output, at) => {
    output.localized_name = words.outputs?.[at]?.name ?? output.localized_name;
  });
  for (const widget of node.widgets ?? []) {
    const { name = widget.label, options = {} } = words.inputs?.[widget.name] ?? {};
    widget.label = name;
    for (const state of ["on", "off"]) // words of a switch, which the frontend never translates
      if (options[widget.options?.[state]]) widget.options[state] = options[widget.options[state]];
  }
}

register("NodeNames", {
  init: loadWords,
  beforeRegisterNodeDef: (_, schema) => isOurs(schema.name) && translate(schema),
  nodeCreated: (node) => isOurs(node.comfyClass) && label(node),
});
