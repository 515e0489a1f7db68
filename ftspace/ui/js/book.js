// Translates by a catalogue, {English: translation}. `{}` stands for what varies; in a translation `{2}` is the second of
// them, and `{!}` or `{2!}` is taken over as it is, for what persons wrote. Pure: knows no page.
window.ftspaceBook = (entries) => {
  // A text of which more than this share would stay English stays so as a whole.
  const MIXED = 0.75;
  const LONGEST = 1500, MOST = 20000, DEEPEST = 8;
  // A pattern of fewer letters would fit almost anything: there all that varies must be known.
  const WEAK = 10, SOME = 0.3;
  const MARKS = { ",": "，", ";": "；", ":": "：", ".": "。", "(": "（", ")": "）", "?": "？" };
  const LETTER = /[A-Za-z]/, CHINESE = /[\u3000-\u9fff\uff00-\uffef]/;
  const AMOUNT = /^[^A-Za-z]*(?:\d[\d.,]*\s?(?:[kMGT]i?B|[kMB]|W)?|n = [\d,]+|NaN|nan|inf)[^A-Za-z]*$/;
  const GAP = /(?<=[\u3001-\u9fff\uff00-\uffef]) +(?=[\u3001-\u9fff\uff00-\uffef])/g;
  const EDGES = /^[,;:，；：]\s*|\s*[,;，；]$/g;
  // A text as it is, without the marks around it, and without brackets and quotes too.
  const FORMS = [
    /^()([^]*)()$/,
    /^([★◆↻↩←·]\s|[,;:\s]*)([^]*?)([\s.,;:?…]*)$/,
    /^([\s(“"‘,;:]*)([^]*?)([\s.,;:)?…”"’]*)$/,
  ];
  const exact = new Map(), patterns = [], sought = new Map(), known = new Map();

  // A part of a sentence that begins or ends with a comma is the same part without it.
  const inner = Object.entries(entries).map(([key, value]) => [key.replace(EDGES, ""), value.replace(EDGES, "")]);
  for (const [key, value] of [...inner, ...Object.entries(entries)]) {
    const parts = key.split("{}"), literal = parts.join("");
    if (parts.length === 1) exact.set(key, value);
    else patterns.push({ value, parts, strength: literal.replace(/[^A-Za-z]/g, "").length, length: literal.length });
  }
  patterns.sort((one, other) => other.strength - one.strength || other.length - one.length);

  // How much of a text is left in English: 0 where it is known all through.
  const letters = (text) => (AMOUNT.test(text) ? 0 : text.replace(/[^A-Za-z]/g, "").length);
  const better = (one, other) => (one && (!other || one.left < other.left) ? one : other);

  function kept(memory, key, make) {
    const there = memory.get(key);
    if (there !== undefined) return there;
    if (memory.size > MOST) memory.clear();
    const made = make();
    memory.set(key, made);
    return made;
  }

  // What stands in the places of a pattern, each as short as can be; null where it is another text.
  function caught(parts, text) {
    const tail = parts.at(-1), end = text.length - tail.length, found = [];
    let at = parts[0].length;
    if (at > end || !text.startsWith(parts[0]) || !text.endsWith(tail)) return null;
    for (const part of parts.slice(1, -1)) {
      const next = text.indexOf(part, at);
      if (next < 0 || next + part.length > end) return null;
      found.push(text.slice(at, next));
      at = next + part.length;
    }
    return [...found, text.slice(at, end)];
  }

  function recased(text) {
    const first = text[0];
    return (first === first.toUpperCase() ? first.toLowerCase() : first.toUpperCase()) + text.slice(1);
  }

  // The best translation of a text as a whole, null where the catalogue has none.
  function whole(text, deep) {
    return kept(sought, text, () => {
      const both = [text, recased(text)], there = both.map((one) => exact.get(one)).find((one) => one !== undefined);
      if (there !== undefined) return { text: there, left: 0 };
      let best = null;
      for (const pattern of deep > DEEPEST ? [] : patterns) {
        for (const one of both) {
          const found = caught(pattern.parts, one);
          best = better(found && filled(pattern, found, deep), best);
          if (best?.left === 0) return best;
        }
      }
      return best;
    });
  }

  // A pattern's translation; what varies is translated too.
  function filled({ value, strength }, found, deep) {
    let place = 0, left = 0;
    const text = value.replace(/\{(\d*)(!?)\}/g, (_, number, own) => {
      const one = found[number ? number - 1 : place++] ?? "";
      if (/[.;:]\s/.test(one) || one.split("(").length !== one.split(")").length) left += SOME; // rather cut elsewhere
      if (own) {
        left += SOME * Math.min(1, one.length / 100); // the shorter a name the better, without the full stop
        return one;
      }
      const made = said(one, deep + 1);
      left += made.left;
      return made.text;
    });
    const weak = strength < WEAK;
    return left >= 1 && weak ? null : { text, left: left && weak ? left + SOME : left };
  }

  function core(text, deep) {
    let best = null;
    for (const form of FORMS) {
      const [, before, middle, after] = form.exec(text);
      const made = middle && (form === FORMS[0] || before || after) ? whole(middle, deep) : null;
      best = better(made && { left: made.left, text: marks(before, /^\s+/) + made.text + marks(after, /\s+$/) }, best);
      if (best?.left === 0) break;
    }
    return best;
  }

  const marks = (text, blank) => (text.includes("…") ? text : text.replace(blank, "").replace(/[,;:.()?]\s*/g, (mark) => MARKS[mark.trim()]));

  const joined = (parts) => parts.reduce((before, part) => {
    if (!before || !part) return before + part;
    return before + (CHINESE.test(before.at(-1)) || CHINESE.test(part[0]) ? "" : " ") + part;
  }, "");
  // Where a text is divided, how its parts stand together in it, and how in the translation.
  const CUTS = [
    [/(?<=[.!?…:;])\s+/, " ", joined],
    [/;\s+/, "; ", (them) => them.join("；")],
    [/\s+·\s+/, " · ", (them) => them.join(" · ")],
    [/\s+→\s+/, " → ", (them) => them.join(" → ")],
    [/,\s+/, ", ", (them) => them.join("，")],
  ];

  // The longest runs of parts that have translations, one after the other; null where no part has one.
  function pieces(parts, deep, last, join) {
    const found = [];
    let any = false, left = 0;
    for (let from = 0; from < parts.length;) {
      let made = null, to = parts.length;
      for (; to > from; to -= 1) {
        const text = parts.slice(from, to).join(last);
        made = LETTER.test(text) && !AMOUNT.test(text) ? core(text, deep) : { text, left: 0, same: true };
        if (made && (made.left < 1 || to === from + 1)) break;
        made = null;
      }
      any ||= Boolean(made && !made.same);
      made ??= { text: parts[from], left: letters(parts[from]) };
      left += made.left;
      found.push(made.text);
      from = Math.max(to, from + 1);
    }
    return any ? { text: join(found), left } : null;
  }

  function said(text, deep = 0) {
    return kept(known, text, () => {
      const bare = text.trim();
      if (!LETTER.test(bare) || AMOUNT.test(bare)) return { text, left: 0 };
      let best = core(bare, deep);
      for (const [at, last, join] of CUTS) {
        if (best?.left === 0 || deep > DEEPEST) break;
        const parts = bare.split(at);
        best = better(parts.length > 1 ? pieces(parts, deep + 1, last, join) : null, best);
      }
      return best ?? { text, left: letters(text) };
    });
  }

  return (text) => {
    if (text.length > LONGEST || !LETTER.test(text)) return text;
    const flat = text.trim().replace(/\s+/g, " "), made = said(flat);
    if (made.text === flat || made.left > letters(flat) * MIXED) return text;
    return text.match(/^\s*/)[0] + made.text.replace(GAP, "") + text.match(/\s*$/)[0];
  };
};
