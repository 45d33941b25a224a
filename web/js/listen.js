// LeVo Listen in the graph: a player in the node, fed by what the node put out, whose levels the workflow keeps.
import {
  addElement, beside, fileUrl, follow, isFed, keep, kept, makeRoom, outputOf, register, setValues, toast, widgetOf,
  zoom,
} from "./comfy.js";
import { decibels } from "./levels.js";
import { ListenView } from "./listen_view.js";
import { onResult } from "./results.js";
import { loadWords, t } from "./words.js";

const NODE = "LeVoListen";
const SIZE = [460, 330];
const LEAST = 210; // of the player
const LEVELS = "levo_levels"; // property of the node

function attach(node) {
  const view = new ListenView({
    url: fileUrl,
    kept: () => kept(node, LEVELS),
    keep: (levels) => keep(node, LEVELS, levels),
    toMix: (levels) => toMix(node, levels),
  });
  // Core's own player sets `src` of the widget of this name in every node that puts out audio.
  addElement(node, "audioUI", view.element, { least: LEAST, hideOnZoom: false });
  view.element.addEventListener("wheel", zoom);
  onResult(node, (output) => view.show(output.takes));
  follow(node, "onRemoved", () => view.dispose());
  makeRoom(node, SIZE[0], Math.max(SIZE[1] - node.size[1], 0));
}

// Writes what is heard into each LeVo Mix that gets one of the same tracks; into none if one could not play it.
function toMix(node, levels) {
  const heard = levels.names.filter((name) => levels.factor(name));
  const mixes = beside(node, "LeVoMix")
    .map((mix) => ({ mix, shared: levels.names.filter((name) => sameTrack(node, mix, name)) }))
    .filter(({ shared }) => shared.length);
  const missing = heard.find((name) => mixes.some(({ shared }) => !shared.includes(name)));
  if (!mixes.length)
    warn(t("No LeVo Mix gets these tracks; add one and connect it to the same outputs."));
  else if (missing)
    warn(t("LeVo Mix does not get the track {track}, which is heard here; mute it, or connect it.",
      { track: t(missing) }));
  else if (mixes.some(({ mix, shared }) => shared.some((name) => isFed(mix, gainOf(name)))))
    warn(t("The levels of LeVo Mix come from another node."));
  else for (const { mix, shared } of mixes) setLevels(mix, shared, levels);
}

function setLevels(mix, names, levels) {
  setValues(mix, names.map((name) => [widgetOf(mix, gainOf(name)), levels.heard(name)]));
  toast("success", mix.title, names.map((name) => `${t(name)} ${decibels(levels.heard(name))}`).join(", "), 4000);
}

function sameTrack(node, mix, name) {
  const output = outputOf(mix, name);
  return output !== undefined && output === outputOf(node, name);
}

function gainOf(name) {
  return `${name}_db`;
}

function warn(sentence) {
  toast("warn", "LeVo Listen", sentence);
}

register("Listen", {
  setup: loadWords,
  nodeCreated: (node) => node.comfyClass === NODE && attach(node),
});
