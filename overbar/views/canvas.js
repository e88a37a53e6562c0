// Text that fits, and lines along a route: what every page draws with.
const $ = s => document.querySelector(s);
const H = s => String(s).replace(/[&<>"]/g, c => '&#' + c.charCodeAt(0) + ';');
const plural = (n, s) => `${n} ${s}${n === 1 ? '' : 's'}`;
const NS = 'http://www.w3.org/2000/svg';
const el = (tag, attrs, parent, text) => {
  const e = document.createElementNS(NS, tag);
  for (const k in attrs) if (attrs[k] !== undefined) e.setAttribute(k, attrs[k]);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.append(e);
  return e;
};
const FONT = 'system-ui, "DejaVu Sans", sans-serif';
const pen = document.createElement('canvas').getContext('2d');
const measured = new Map();
function wide(text, size) {
  const key = size + text;
  if (!measured.has(key)) {
    pen.font = `${size}px ${FONT}`;
    measured.set(key, pen.measureText(text).width);
  }
  return measured.get(key);
}
const MOST = 250; // the widest text of a card

// Pieces of text that fit: cut at the end with an ellipsis.
function fitted(parts, size, most) {
  let left = most;
  const out = [];
  for (const [s, b] of parts) {
    const w = wide(s, size);
    if (w <= left) {
      out.push([s, b]);
      left -= w;
      continue;
    }
    let n = s.length;
    while (n && wide(s.slice(0, n) + '…', size) > left) n--;
    out.push([s.slice(0, n) + '…', b]);
    break;
  }
  return out;
}
const width = (parts, size) => parts.reduce((w, [s]) => w + wide(s, size), 0);

const path = (route, dx, back) => {
  const p = route.map(([x, y]) => [x + dx, y]);
  if (back) p.reverse();
  let s = `M${p[0]}`;
  for (let k = 1; k < p.length; k++) {
    const [[x1, y1], [x2, y2]] = [p[k - 1], p[k]],
      y = (y1 + y2) / 2;
    if (Math.abs(x1 - x2) > 0.5) s += `C${x1} ${y} ${x2} ${y} ${x2} ${y2}`;
    else if (Math.abs(y1 - y2) > 0.5) s += `V${y2}`;
  }
  return s;
};
function texts(parts, size, x, y, cls, parent, anchor) {
  const t = el('text', {x, y, class: cls, 'text-anchor': anchor, 'font-size': size}, parent);
  for (const [s, b] of parts) el('tspan', {class: b ? 'over' : undefined}, t, s);
  return t;
}
