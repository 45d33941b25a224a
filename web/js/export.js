// What core gives to its own save nodes by their names, for ours: names with %date:...% and %Node.widget% in them,
// and the player of LeVo Export Song.
import { register, widgetOf, withReplacements } from "./comfy.js";

const NODE = "LeVoExport";
const NAMED = [NODE, "LeVoSaveTokens"];

register("Export", {
  beforeRegisterNodeDef(_, schema) {
    if (schema.name === NODE) schema.input.required.audioUI = ["AUDIO_UI", {}];
  },
  nodeCreated(node) {
    if (!NAMED.includes(node.comfyClass)) return;
    const prefix = widgetOf(node, "filename_prefix");
    prefix.serializeValue = () => withReplacements(prefix.value);
  },
});
