// Where a section goes that a button inserts into lyrics, so that no line is cut and no word is left without a section
// that sings it. Knows texts only.
const SUNG = ["verse", "chorus", "bridge"];

// What is typed, and where, for [tag] at an offset; sections: [{ tag, line }] of the lyrics, in order, lines from 1.
export function insertion(text, cursor, tag, sections) {
  let at = text[cursor - 1] === "\n" ? cursor : endOfLine(text, cursor), again = "";
  if (!SUNG.includes(tag)) ({ at, again } = parting(text, at, sections));
  const before = text.slice(0, at).replace(/ +$/, ""), after = text.slice(at);
  const gap = !before || before.endsWith("\n\n") ? "" : before.endsWith("\n") ? "\n" : "\n\n";
  const heading = again && `\n[${again}]${after.startsWith("\n") ? "" : "\n"}`;
  const space = !again && after.startsWith("[") ? "\n" : "";
  return { at, typed: `${gap}[${tag}]\n${heading}${space}` };
}

function endOfLine(text, offset) {
  const end = text.indexOf("\n", offset);
  return end < 0 ? text.length : end;
}

// Music parts a section: what is left of its words gets its heading again. With no words before it, it goes first.
function parting(text, at, sections) {
  const starts = lineStarts(text);
  const known = sections.map((section) => ({ ...section, start: starts[section.line - 1] ?? text.length }));
  const section = known.filter(({ start }) => start < at).at(-1);
  const end = known.find(({ start }) => start >= at)?.start ?? text.length;
  if (!SUNG.includes(section?.tag) || !text.slice(at, end).trim()) return { at, again: "" };
  const sung = text.slice(section.start, at).replace(/^[^\n]*?[\]:：]/, "");
  return /\p{L}/u.test(sung) ? { at, again: section.tag } : { at: section.start, again: "" };
}

function lineStarts(text) {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
