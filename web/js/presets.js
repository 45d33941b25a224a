// Sampling presets: choosing one writes its numbers into the node's own fields, where they can be seen and
// changed. The numbers are the truth: as soon as one is another, the preset is `custom`.
import { follow, isFed, register, setValue, widgetOf } from "./comfy.js";

const CUSTOM = "custom";
const START = "released"; // what a new node's numbers are
const known = new Map(); // id of a node -> preset -> numbers by input, as Python has them

register("Presets", {
  beforeRegisterNodeDef(_, schema) {
    const numbers = schema.input?.optional?.preset?.[1]?.numbers;
    if (schema.name?.startsWith("LeVo") && numbers) known.set(schema.name, numbers);
  },
  nodeCreated(node) {
    if (known.has(node.comfyClass)) new Presets(node, known.get(node.comfyClass));
  },
});

class Presets {
  #filling = false;

  constructor(node, numbers) {
    this.node = node;
    this.numbers = numbers;
    this.preset = widgetOf(node, "preset");
    if (!this.preset) return;
    if (this.fits(START)) this.preset.value = START;
    follow(this.preset, "callback", () => this.fill());
    for (const name of Object.keys(numbers[START])) {
      const widget = widgetOf(node, name);
      if (widget) follow(widget, "callback", () => this.check());
    }
    // A graph from before there were presets, and numbers that another node gives.
    for (const event of ["onConfigure", "onConnectionsChange"]) follow(node, event, () => this.check());
    // Whatever else wrote a number: what is queued is true.
    this.preset.serializeValue = () => {
      this.check();
      return this.preset.value;
    };
  }

  fits(preset) {
    const numbers = this.numbers[preset];
    return numbers !== undefined && Object.entries(numbers).every(
      ([name, number]) => widgetOf(this.node, name)?.value === number && !isFed(this.node, name));
  }

  check() {
    if (this.#filling || isFed(this.node, "preset") || this.preset.value === CUSTOM) return;
    if (!this.fits(this.preset.value)) this.write({ preset: CUSTOM });
  }

  // Values into fields, as if they were typed: where the browser lays out nodes, the callback shows them.
  write(values) {
    this.#filling = true;
    for (const [name, value] of Object.entries(values)) {
      const widget = widgetOf(this.node, name);
      if (!widget || widget.value === value) continue;
      widget.value = value;
      widget.callback?.(value);
    }
    this.#filling = false;
  }

  fill() {
    if (this.#filling) return;
    this.write(this.numbers[this.preset.value] ?? {});
    this.check(); // a number that another node gives is not filled in
    this.#filling = true;
    setValue(this.node, this.preset, this.preset.value); // one undo takes all of it back
    this.#filling = false;
  }
}
