// Makes texts from untrusted clients safe to read. They become text nodes, never markup; these functions
// make visible the invisible characters that change how a text reads.

/** Matches invisible characters. A joiner between two emoji is visible; a space is not, except a single
 * one between other characters. The bracket is included because it begins the replacement. */
const unseen =
  /(?<![\p{Extended_Pictographic}\p{EMod}])\u200D|\u200D(?!\p{Extended_Pictographic})|(?!\u200D)[\p{Cf}\p{DI}]|[\p{Cc}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u2800⟨]|(?! )\p{Zs}|^ | $|(?<= ) /gu;

/** Shows direction marks, zero-width characters and the like as `⟨U+202E⟩`. */
export function readable(text) {
  return text.replace(
    unseen,
    (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );
}

/** Right-to-left letters, with the digits of these scripts and combining marks. */
const rightToLeft =
  /([\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFE\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}][\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFE\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}\p{M}]*)/u;

/** Splits `text` into pieces; every second one is right-to-left. Each of those must be isolated, or the
 * order on the screen would not be that of the text. */
export function piecesByDirection(text) {
  return text.split(rightToLeft);
}

/** The same for plain text: isolates the pieces by control characters instead of elements. */
export function keptInOrder(text) {
  const pieces = piecesByDirection(text);
  if (pieces.length === 1) return text;
  return `\u2066${pieces.map((piece, i) => (i % 2 ? `\u2067${piece}\u2069` : piece)).join("")}\u2069`;
}

/** Decodes a percent-encoded segment for display. A slash inside it stays `%2F`, and a percent sign stays
 * `%25` where it would read as the start of an escape. */
export function readableSegment(segment) {
  if (/^[\w.~-]*$/.test(segment)) return segment;
  let text = segment;
  try {
    text = decodeURIComponent(segment).replace(/%(?=[\dA-Fa-f]{2})/g, "%25").replaceAll("/", "%2F");
  } catch {
    // Not UTF-8: shown as it is.
  }
  return readable(text);
}

/** Decodes a whole path for display. */
export function readablePath(path) {
  return path.split("/").map(readableSegment).join("/");
}

/** `1 lock`, `2 locks`. */
export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
