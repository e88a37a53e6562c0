// Numbers, names and formulas as text.
const real = v =>
  typeof v === 'number'
    ? v
    : v && v.re !== undefined
      ? Math.hypot(real(v.re), real(v.im))
      : ({inf: Infinity, '-inf': -Infinity}[v] ?? NaN);

// Three digits: 0.800, −0.0342, 1.20e−9, 672.
function fmt(v) {
  if (v && v.re !== undefined)
    return fmt(v.re) + (real(v.im) < 0 ? '−' : '+') + fmt(Math.abs(real(v.im))) + 'i';
  v = real(v);
  const a = Math.abs(v);
  const s =
    v === 0
      ? '0'
      : Number.isNaN(v)
        ? 'nan'
        : a === Infinity
          ? v < 0
            ? '-∞'
            : '∞'
          : Number.isInteger(v) && a < 1e6
            ? '' + v
            : a >= 1e-4 && a < 100
              ? v.toPrecision(3).replace(/\.$/, '')
              : a >= 100 && a < 1e4
                ? '' + +v.toPrecision(4)
                : v.toExponential(2);
  return s.replace(/-/g, '−');
}
const scalar = v => v === null || typeof v !== 'object' || v.re !== undefined;
const line = k => (k === undefined || k === null ? null : P[k]);
const normOf = k => {
  const v = line(k);
  return v === null ? 0 : scalar(v) ? Math.abs(real(v)) : real(v[1]);
};
const lost = k => {
  const v = line(k);
  return (
    v !== null && (scalar(v) ? !Number.isFinite(real(v)) : v[5] > 0 || !Number.isFinite(real(v[1])))
  );
};
const shape = k => {
  const v = line(k);
  return v === null || scalar(v) ? [] : v[0] || [];
};
const dims = k => {
  const s = shape(k);
  return s.length > 1 ? s.join('×') : s.length ? '' + s[0] : '';
};

// A value in a word: a number, or shape and norm.
function brief(k) {
  const v = line(k);
  if (v === null) return '';
  return scalar(v) ? fmt(v) : `${v[0] ? dims(k) + ' ' : ''}‖${fmt(v[1])}‖`;
}
function shown(v, text) {
  const [value, title] = v && v.re !== undefined ? [v.re, `${v.re}, ${v.im}`] : [v, v];
  return `<data value="${H(value)}" title="${H(title)}">${text || fmt(v)}</data>`;
}

// A value in full, as far as it is there: a number, a small table, or its first entries.
function full(k) {
  const v = line(k);
  if (v === null) return '<i>nothing</i>';
  if (scalar(v)) return shown(v);
  if (!v[0]) return 'several results, ‖·‖ ' + shown(v[1]);
  const [s, norm, low, high, head, bad] = v;
  const size = s.reduce((a, b) => a * b, 1);
  const whole = head.length === size;
  const columns = s[s.length - 1];
  const small = whole && size && s.length <= 2 && size <= 400 && columns <= 12;
  const entries = `[${head.map(x => shown(x)).join(', ')}${whole ? '' : ', …'}]`;
  const range = size > 1 ? `, from ${shown(low)} to ${shown(high)}` : '';
  const lost = bad ? `, <b>${bad} not finite</b>` : '';
  return (
    `<span class="dim">${dims(k)}</span> ${small ? grid(head, columns, low, high) : entries} ` +
    `<span class="dim">‖·‖ ${shown(norm)}${range}${lost}</span>`
  );
}
// A table of numbers, the larger the deeper their colour.
function grid(entries, columns, low, high) {
  const top = Math.max(Math.abs(real(low)), Math.abs(real(high))) || 1;
  const cells = entries.map(x => {
    const depth = Math.min(1, (Math.abs(real(x)) / top) * 0.55) || 0;
    return `<td class="${real(x) < 0 ? 'neg' : 'pos'}" style="--v:${depth}">${shown(x)}</td>`;
  });
  const rows = [];
  for (let i = 0; i < cells.length; i += columns) rows.push(cells.slice(i, i + columns).join(''));
  return `<table class="grid"><tbody><tr>${rows.join('</tr><tr>')}</tr></tbody></table>`;
}

// A name with the bar over its last part: [before, barred, after].
function cut(name) {
  const at = name.indexOf('['),
    stem = at < 0 ? name : name.slice(0, at),
    dot = stem.lastIndexOf('.') + 1;
  return [stem.slice(0, dot), stem.slice(dot), at < 0 ? '' : name.slice(at)];
}
const over = name => {
  const [a, b, c] = cut(name);
  return `${H(a)}<span class="over">${H(b)}</span>${H(c)}`;
};

// A formula with {0}, {bar 0}, {}, {bar} in it, as [[text, barred], ...] for these names.
function pieces(template, names, own) {
  return template
    .split(/(\{(?:bar ?)?\d*\})/)
    .filter(s => s)
    .map(s => {
      const m = /^\{(bar)? ?(\d*)\}$/.exec(s);
      return m ? [m[2] ? names[+m[2]] : own, !!m[1]] : [s, false];
    });
}

// The same in MathML.
const DIGITS = '₀₁₂₃₄₅₆₇₈₉';
function symbol(name, barred) {
  const flat = name.replace(/[₀-₉]/g, d => DIGITS.indexOf(d));
  const [, stem, low] = /^(\p{L})_(\w+)$/u.exec(flat) || /^(.*?[^_\d])?_?(\d*)$/.exec(flat);
  if (!stem) return `<mi>${H(name)}</mi>`;
  const mi = s => (s ? `<mi>${H(s)}</mi>` : '');
  const [a, b, c] = cut(stem);
  const bar = `<mrow>${mi(a)}<mrow class="over">${mi(b)}</mrow>${mi(c)}</mrow>`;
  const inner = barred ? bar : mi(stem);
  return low ? `<msub>${inner}<mn>${low}</mn></msub>` : inner;
}
const fill = (template, f) =>
  template.replace(/\{(bar)? ?(\d*)\}/g, (_, b, i) => f(!!b, i === '' ? -1 : +i));
const TIMES = /<mo>\u2062<\/mo>/g;
const THIN = '$&<mspace width=".17em"/>';
const math = s => `<math displaystyle="true">${s.replace(TIMES, THIN)}</math>`;
function written(pair, names, own) {
  return math(fill(pair[1], (b, i) => symbol(i < 0 ? own : names[i], b)));
}

// With numbers for names; arrays keep theirs, with their shape below.
function valued(pair, inputs, own) {
  let slots = 0;
  const made = fill(pair[1], (b, i) => {
    slots++;
    const n = N[i < 0 ? own : inputs[i]];
    const k = b ? n.bar : n.value;
    const v = line(k);
    if (!scalar(v)) return `<munder>${symbol(n.name, b)}<mtext>${dims(k)}</mtext></munder>`;
    const text = fmt(v);
    return `<mn>${text[0] === '−' ? `(${text})` : text}</mn>`;
  });
  return slots ? math(made.replace(TIMES, '<mo>·</mo>')) : '';
}
