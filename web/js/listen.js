// LeVo Listen in the graph: a player in the node, fed by what the node put out.
import { addElement, fileUrl, follow, makeRoom, register, zoom } from "./comfy.js";
import { ListenView } from "./listen_view.js";
import { onResult } from "./results.js";
import { loadWords } from "./words.js";

const NODE = "LeVoListen";
const SIZE = [460, 330];
const LEAST = 210; // of the player

function attach(node) {
  const view = new ListenView(fileUrl);
  // Core's own player sets `src` of the widget of this name in every node that puts out audio.
  addElement(node, "audioUI", view.element, { least: LEAST, hideOnZoom: false });
  view.element.addEventListener("wheel", zoom);
  onResult(node, (output) => view.show(output.takes));
  follow(node, "onRemoved", () => view.dispose());
  makeRoom(node, SIZE[0], Math.max(SIZE[1] - node.size[1], 0));
}

register("Listen", {
  setup: loadWords,
  nodeCreated: (node) => node.comfyClass === NODE && attach(node),
});
