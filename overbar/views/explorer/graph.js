// The drawing: black edges forward, red ones back with their norms, and what each step changes.
let scale = 1,
  type = 1,
  marks = [],
  lit = [],
  painted = -1;
const view = $('#view'),
  svg = $('#graph'),
  PAD = 26;
const norms = () => {
  const logs = N.filter(n => n.bar !== undefined)
    .map(n => Math.log10(normOf(n.bar)))
    .filter(Number.isFinite);
  return [Math.min(...logs), Math.max(...logs)];
};
const [least, greatest] = norms();
const loud = k => {
  const v = Math.log10(normOf(k));
  return !Number.isFinite(v)
    ? v === -Infinity
      ? 0
      : 1
    : greatest > least
      ? 0.08 + (0.92 * (v - least)) / (greatest - least)
      : 1;
};

// A place for a label beside a route where no other label is: right of it, or left of it.
let labels;
function free(route, w) {
  const spots = [];
  for (const k of [1, 0, 2, 3]) {
    if (k + 1 >= route.length) continue;
    const [[x1, y1], [x2, y2]] = [route[k], route[k + 1]];
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2 + 3];
    if (k === 1 || Math.abs(y1 - y2) > 14) spots.push([x + 8, y], [x - w, y]);
  }
  const bins = y => [Math.floor(y / 14), Math.floor(y / 14) + 1];
  const clear = ([x, y]) =>
    bins(y).every(b => (labels.get(b) || []).every(([u, v]) => x > v || x + w < u));
  const [x, y] = spots.find(clear) || spots[0];
  for (const b of bins(y)) labels.set(b, [...(labels.get(b) || []), [x, x + w]]);
  return [x, y];
}

// Draw everything again; the point of the card `keep` stays where it is on the screen.
function draw(keep) {
  const spot = () => {
    const c = placeOf(keep),
      r = svg.getBoundingClientRect();
    return c && {x: r.left + (c.x + PAD) * scale, y: r.top + (c.y + PAD) * scale};
  };
  const was = keep && spot();
  look();
  arrange();
  svg.textContent = '';
  const W = places.width + 2 * PAD,
    Hh = places.height + 2 * PAD;
  svg.setAttribute('viewBox', `${-PAD} ${-PAD} ${W} ${Hh}`);
  svg.setAttribute(
    'aria-label',
    `computation graph: ${plural(V.cards.length, 'card')}, ${plural(V.edges.length, 'edge')}`,
  );
  const defs = el('defs', {}, svg);
  for (const id of ['f', 'b']) {
    const m = el(
      'marker',
      {
        id: 'head-' + id,
        viewBox: '0 0 8 8',
        refX: 7,
        refY: 4,
        markerWidth: 6.5,
        markerHeight: 6.5,
        orient: 'auto',
        markerUnits: 'userSpaceOnUse',
      },
      defs,
    );
    el('path', {d: 'M0 .8 8 4 0 7.2z', class: 'head-' + id}, m);
  }
  labels = new Map();
  marks = V.steps.map(() => [[], []]);
  const mark = (step, after, e, cls) => step !== undefined && marks[step][after].push([e, cls]);
  const gBoxes = el('g', {}, svg),
    gEdges = el('g', {}, svg),
    gBack = el('g', {}, svg),
    gCards = el('g', {}, svg),
    gNorms = el('g', {}, svg);
  groups.forEach((g, i) => {
    const [x, y, w, h] = places.boxes[i],
      e = el(
        'g',
        {
          class: 'box ' + g.kind,
          'data-key': g.key,
          role: 'button',
          'aria-expanded': true,
          tabindex: -1,
          'aria-label': 'fold ' + g.name,
        },
        gBoxes,
      );
    el('rect', {x, y, width: w, height: h, rx: 10}, e);
    el('path', {d: `M${x + 10} ${y + 9}h8l-4 6z`, class: 'tick'}, e);
    texts(g.head, 12, x + 23, y + 16, 'title', e);
    g.el = e;
    g.x = x + w / 2;
    g.y = y + 10;
  });
  V.edges.forEach((e, i) => {
    const route = places.routes[i],
      b = e.b;
    e.f = el(
      'path',
      {d: path(route, e.sent.length ? -3 : 0), class: 'f', 'marker-end': 'url(#head-f)'},
      gEdges,
    );
    mark(b.f, 0, e.f, 'done');
    if (!e.sent.length) return;
    e.r = el('path', {d: path(route, 4, true), class: 'b', 'marker-end': 'url(#head-b)'}, gBack);
    const text = e.sent.length > 1 ? plural(e.sent.length, 'message') : fmtBar(e.sent[0].value);
    const [x, y] = free(route, wide(text, 10.5) + 6);
    e.t = texts([[text, false]], 10.5, x, y, 'norm', gNorms);
    mark(b.b, 1, e.r, 'done');
    mark(b.b, 1, e.t, 'done');
  });
  V.cards.forEach(c => drawn(c, gCards, mark));
  const parts = new Map(),
    seen = c => parts.get(c.node) || parts.set(c.node, partsOf(c.node)).get(c.node);
  for (const c of V.cards) {
    if (!c.t || !c.bar.length) continue;
    const all = c.kind === 'module' || c.kind === 'run' ? [] : seen(c),
      ends = all.map(p => p.at);
    mark(ends.length ? Math.max(...ends) : c.b, ends.length ? 1 : 0, c.el, 'known');
    if (ends.length < 2) continue;
    const name = c.bar.slice(0, -1),
      some = [...name, [' …', false]];
    texts(
      some,
      11,
      c.t.getAttribute('x'),
      c.t.getAttribute('y'),
      'part',
      c.el,
      c.t.getAttribute('text-anchor'),
    );
    mark(Math.min(...ends), 1, c.el, 'some');
  }
  painted = -1;
  resize();
  if (was) {
    const r = spot() || was;
    view.scrollBy({left: r.x - was.x, top: r.y - was.y, behavior: 'instant'});
    // what cannot be scrolled, because all of it is seen, is moved, as far as there is room
    const now = spot() || was;
    const by = (d, seen, whole) => {
      const room = Math.max(0, (seen - whole) / 2);
      return Math.max(-room, Math.min(room, d)) + 'px';
    };
    const across = by(was.x - now.x, view.clientWidth, svg.getAttribute('width'));
    const down = by(was.y - now.y, view.clientHeight, svg.getAttribute('height'));
    svg.style.translate = `${across} ${down}`;
  }
  map();
}
const placeOf = key =>
  (V && V.by.get(key)) ||
  (groups || []).find(g => g.key === key) ||
  V.cards.find(c => c.ops.length && key[0] === 'b' && c.trail.includes(+key.slice(1)));

function drawn(c, parent, mark) {
  const {w, h} = c,
    x = -w / 2,
    y = -h / 2,
    n = N[c.node],
    closed = c.box !== undefined;
  const kind = c.kind === 'leaf' ? n.kind + (c.alias ? ' alias' : '') : c.kind;
  const e = (c.el = el(
    'g',
    {
      class: 'card ' + kind,
      transform: `translate(${c.x} ${c.y})`,
      role: 'button',
      tabindex: -1,
      'data-key': c.key,
      'aria-expanded': closed ? false : undefined,
    },
    parent,
  ));
  e.setAttribute(
    'aria-label',
    c.name + (c.value.length ? ', ' + c.value[0][0] : '') + (closed ? ', folded' : ''),
  );
  const rx = c.kind === 'leaf' ? h / 2 : 7;
  if (c.kind === 'module' || c.kind === 'run')
    el('rect', {x: x + 4, y: y + 4, width: w, height: h, rx, class: 'under'}, e);
  el('rect', {x, y, width: w, height: h, rx, class: 'face'}, e);
  const strip = n && n.bar !== undefined && c.kind !== 'leaf' ? loud(n.bar) : 0;
  if (strip)
    el(
      'rect',
      {x: x + 8, y: y + h - 3, width: Math.max(2, (w - 16) * strip), height: 3, class: 'strip'},
      e,
    );
  if (c.kind === 'leaf') {
    const low = c.bar.length ? y + 17 : 4.5;
    texts(
      [...c.head, ...(c.alias ? [] : [['  ', false], ...c.value])],
      12.5,
      0,
      low,
      'what',
      e,
      'middle',
    );
    if (c.bar.length) c.t = texts(c.bar, 11, 0, y + h - 9, 'bar', e, 'middle');
  } else {
    texts(c.head, 13, x + (closed ? 25 : 11), y + 18, 'what', e);
    if (closed) el('path', {d: `M${x + 11} ${y + 9.5}v8l7-4z`, class: 'tick'}, e);
    texts(c.value, 11, x + 11, y + h - 11, 'value', e);
    if (c.bar.length) c.t = texts(c.bar, 11, -x - 11, y + h - 11, 'bar', e, 'end');
  }
  mark(c.f, 0, e, 'done');
  mark(c.b, 0, e, 'bdone');
}

// Bring the drawing from one step to another; `hidden`: the messages of the last are not shown yet.
function paint(step, hidden) {
  const to = 2 * step + (hidden ? 0 : 1);
  const apply = (k, on) => marks[k >> 1][k & 1].forEach(([e, cls]) => e.classList.toggle(cls, on));
  for (let k = painted + 1; k <= to; k++) apply(k, true);
  for (let k = painted; k > to; k--) apply(k, false);
  painted = to;
  for (const e of lit) e.classList.remove('on');
  const s = V.steps[step];
  lit = s.c
    ? [s.c.el]
    : s.k === 'seed'
      ? D.outputs
          .map(y => V.by.get(keyOf(y)))
          .filter(c => c)
          .map(c => c.el)
      : [];
  for (const e of s.c ? s.c.edges : []) {
    if (s.k === 'f') lit.push(e.f);
    if (s.k === 'b' && e.r && !hidden) lit.push(e.r, e.t);
  }
  for (const e of lit) e.classList.add('on');
}

// Scroll so that these cards are seen, all of them if there is room.
const still = matchMedia('(prefers-reduced-motion: reduce)');
let moved = 0;
function follow(cards) {
  cards = cards.filter(c => c && c.w);
  if (!cards.length) return;
  const span = list =>
    [
      Math.min(...list.map(c => c.x - c.w / 2)),
      Math.min(...list.map(c => c.y - c.h / 2)),
      Math.max(...list.map(c => c.x + c.w / 2)),
      Math.max(...list.map(c => c.y + c.h / 2)),
    ].map(v => (v + PAD) * scale);
  let s = span(cards);
  const room = [view.clientWidth - 40, view.clientHeight - 40];
  if (s[2] - s[0] > room[0] || s[3] - s[1] > room[1]) s = span(cards.slice(0, 1));
  const goal = (at, size, a, b) =>
    a < at + 20 || b > at + size - 20 ? (b - a > size - 40 ? a - 20 : (a + b - size) / 2) : at;
  const left = goal(view.scrollLeft, view.clientWidth, s[0], s[2]),
    top = goal(view.scrollTop, view.clientHeight, s[1], s[3]);
  if (left === view.scrollLeft && top === view.scrollTop) return;
  const now = performance.now(),
    quick = now - moved < 250;
  moved = now;
  view.scrollTo({left, top, behavior: still.matches || quick ? 'instant' : 'smooth'});
}

function resize() {
  const [, , w, h] = svg.getAttribute('viewBox').split(' ').map(Number);
  svg.style.translate = '';
  svg.setAttribute('width', w * scale);
  svg.setAttribute('height', h * scale);
  svg.classList.toggle('far', scale < 0.55);
}
function zoom(to, centre) {
  to = Math.min(3, Math.max(0.12, to));
  const [x, y] = centre || [view.clientWidth / 2, view.clientHeight / 2],
    by = to / scale;
  const [left, top] = [(view.scrollLeft + x) * by - x, (view.scrollTop + y) * by - y];
  scale = to;
  resize();
  view.scrollTo({left, top, behavior: 'instant'});
  map();
}
function fit(all) {
  const [, , w, h] = svg.getAttribute('viewBox').split(' ').map(Number);
  const s = Math.min(view.clientWidth / w, view.clientHeight / h);
  zoom(all ? Math.min(s, 1.4) : Math.min(1.3, Math.max(0.85, s)) * type);
}

// The minimap: every card as a speck, and a frame for what is seen.
const mini = $('#map');
function map() {
  const [, , w, h] = svg.getAttribute('viewBox').split(' ').map(Number);
  const big = w * scale > view.clientWidth * 1.2 || h * scale > view.clientHeight * 1.2;
  mini.toggleAttribute('hidden', !big);
  if (!big) return;
  const k = Math.min(120 / w, 160 / h);
  mini.setAttribute('viewBox', svg.getAttribute('viewBox'));
  mini.setAttribute('width', Math.max(40, w * k));
  mini.setAttribute('height', h * k);
  mini.textContent = '';
  el(
    'path',
    {d: V.cards.map(c => `M${c.x - c.w / 2} ${c.y - c.h / 2}h${c.w}v${c.h}h${-c.w}z`).join('')},
    mini,
  );
  mini.frame = el('rect', {class: 'frame'}, mini);
  mini.speck = el('rect', {class: 'speck'}, mini);
  scrolled();
}
function scrolled() {
  if (!mini.frame || mini.hidden) return;
  const f = {
    x: view.scrollLeft / scale - PAD,
    y: view.scrollTop / scale - PAD,
    width: view.clientWidth / scale,
    height: view.clientHeight / scale,
  };
  for (const k in f) mini.frame.setAttribute(k, f[k]);
}
