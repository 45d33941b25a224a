// LeVo Song with a VAE: what is rendered so far can be heard in the node while the rest is made.
import { fileUrl, growForAWhile, nodeOf, onEvent, register } from "./comfy.js";
import { addPanel, element } from "./panel.js";
import { t } from "./words.js";

const HEIGHT = 74;
const players = new WeakMap(); // node -> its audio element, and the run that it plays

register("EarlySound", {
  setup() {
    onEvent("levo.early", (detail) => {
      const node = nodeOf(detail.node);
      if (node?.type === "LeVoSong") // another workflow may be open by now
        hear(node, detail.prompt_id, fileUrl(detail.file));
    });
  },
});

// Plays the longer sound from where the shorter one of the same run was.
function hear(node, run, source) {
  if (!players.has(node)) players.set(node, { audio: addPlayer(node) });
  const player = players.get(node), { audio } = player;
  const known = player.run === run;
  const goesOn = known && (!audio.paused || audio.ended);
  const at = known ? audio.currentTime : 0;
  player.run = run;
  audio.src = source;
  audio.currentTime = at;
  if (goesOn) audio.play().catch(() => {}); // the browser may want a click first
}

function addPlayer(node) {
  const audio = element("audio", { controls: true, "aria-label": t("What is rendered so far") });
  growForAWhile(node, () => addPanel(node, "levo_early", element("div", { class: "levo-early" }, audio), HEIGHT));
  return audio;
}
