// Texts that strangers chose, made safe to look at. They become text nodes only, never markup; here
// the characters are made visible that nobody sees but that change how a text reads.

/** What joins two pictures into one is seen; every space but a single one between others is not. The
 * bracket is among them because it begins what they are shown as. */
const unseen =
  /(?<![\p{Extended_Pictographic}\p{EMod}])\u200D|\u200D(?!\p{Extended_Pictographic})|(?!\u200D)[\p{Cf}\p{DI}]|[\p{Cc}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u2800⟨]|(?! )\p{Zs}|^ | $|(?<= ) /gu;

/** Direction marks, zero-width characters and the like as `⟨U+202E⟩`. */
export function readable(text) {
  return text.replace(
    unseen,
    (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );
}

/** Letters that are written from right to left, the digits among them, and what stands on them. */
const rightToLeft =
  /([\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFE\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}][\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFE\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}\p{M}]*)/u;

/** `text` in pieces; every second one is written from right to left. Each of those has to be kept
 * apart, or the order on the screen is not that of the text. */
export function piecesByDirection(text) {
  return text.split(rightToLeft);
}

/** The same for where there are no elements, by characters that keep the pieces apart. */
export function keptInOrder(text) {
  const pieces = piecesByDirection(text);
  if (pieces.length === 1) return text;
  return `\u2066${pieces.map((piece, i) => (i % 2 ? `\u2067${piece}\u2069` : piece)).join("")}\u2069`;
}

/** A percent-encoded segment for people. A slash inside of it stays `%2F`, and a percent sign `%25`
 * where it would read as the beginning of such. */
export function readableSegment(segment) {
  if (/^[\w.~-]*$/.test(segment)) return segment;
  let text = segment;
  try {
    text = decodeURIComponent(segment).replace(/%(?=[\dA-Fa-f]{2})/g, "%25").replaceAll("/", "%2F");
  } catch {
    // Not UTF-8 after all: it is shown as it came.
  }
  return readable(text);
}

/** The same of a whole path. */
export function readablePath(path) {
  return path.split("/").map(readableSegment).join("/");
}

/** `1 lock`, `2 locks`. */
export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
