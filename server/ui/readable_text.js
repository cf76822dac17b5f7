// Texts that strangers chose, made safe to look at. They become text nodes only, never markup; here
// the characters are made visible that nobody sees but that change how a text reads.

const unseen =
  /(?<![\p{Extended_Pictographic}\p{EMod}\uFE0F])\u200D|[\p{Cc}\p{Zl}\p{Zp}\p{Co}\p{Cs}\p{Cn}\u115F\u1160\u3164\uFFA0\u2800]|(?!\u200D)\p{Cf}/gu;

/** Direction marks, zero-width characters and the like as `⟨U+202E⟩`. */
export function readable(text) {
  return text.replace(
    unseen,
    (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );
}

/** A percent-encoded segment for people. A slash inside of it stays `%2F`. */
export function readableSegment(segment) {
  if (/^[\w.~-]*$/.test(segment)) return segment;
  let text = segment;
  try {
    text = decodeURIComponent(segment).replaceAll("/", "%2F");
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
