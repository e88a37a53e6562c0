// The graph after a pass: cards for its nodes, a card for each use of what goes in.
const D = JSON.parse($('#record').textContent);
const LARGE = 400; // so many nodes are shown as text at first
const view = $('#view');
let shown = -1,
  listed = false,
  scale = 1,
  drawn = null; // [element, node] of everything that stands for a node

// A pass that changed nothing shows what was there before it.
const nodesOf = p => (D.passes[p].nodes ? D.passes[p].nodes : nodesOf(p - 1));

function kindOf(n) {
  if (n.kind !== 'op') return n.kind === 'input' ? 'leaf input' : 'leaf';
  const made = n.kernel === undefined ? null : D.steps[n.kernel];
  return made ? (made.native ? 'op kernel' : 'op kernel foreign') : 'op';
}
const line = (n, i) =>
  `%${i} = ${n.op}${n.kind === 'input' ? ' ' + n.label : ''}${n.inputs.map(x => ` %${x}`).join('')}${n.note ? ' ' + n.note : ''}  ${n.spec}`;

function listing(nodes) {
  const list = document.createElement('ol');
  nodes.forEach((n, i) => {
    const item = list.appendChild(document.createElement('li'));
    item.innerHTML = `<button class="row" aria-pressed="false" data-node="${i}"><code>${H(line(n, i))}</code>${chips(n.steps)}</button>`;
    drawn.push([item.firstChild, i]);
  });
  view.append(list);
}

function picture(nodes) {
  const cards = [],
    edges = [],
    seen = new Set();
  const card = (i, alias) => {
    const n = nodes[i],
      leaf = n.kind !== 'op';
    const head = fitted([[n.label || n.op, false]], 12.5, MOST - 40);
    const sub = fitted([[alias ? '' : (leaf || !n.note ? '' : n.note + '  ') + n.spec, false]], 10.5, MOST);
    const w = Math.ceil(22 + Math.max(width(head, 12.5) * 1.06, width(sub, 10.5), 20));
    return cards.push({i, alias, head, sub, w, h: alias ? 24 : 38, leaf}) - 1;
  };
  const at = nodes.map((n, i) => (n.kind === 'op' || !D.used.has(i) ? card(i) : -1));
  nodes.forEach((n, i) => {
    for (const x of new Set(n.inputs)) {
      let from = at[x];
      if (from < 0) {
        from = card(x, seen.has(x));
        seen.add(x);
      }
      edges.push([from, at[i]]);
    }
  });
  const places = overbarLayout(
    cards.map(c => [c.w, c.h]),
    edges,
    {across: 22, down: 34},
  );
  const pad = 18,
    W = places.width + 2 * pad,
    Ht = places.height + 2 * pad;
  const svg = el(
    'svg',
    {viewBox: `${-pad} ${-pad} ${W} ${Ht}`, width: W, height: Ht, role: 'group'},
    view,
  );
  svg.setAttribute('aria-label', `${plural(nodes.length, 'node')}`);
  const marker = el(
    'marker',
    {id: 'head', viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 6.5, markerHeight: 6.5, orient: 'auto', markerUnits: 'userSpaceOnUse'},
    el('defs', {}, svg),
  );
  el('path', {d: 'M0 .8 8 4 0 7.2z', class: 'head'}, marker);
  edges.forEach(([a, b], k) => {
    const e = el('path', {d: path(places.routes[k], 0), class: 'wire', 'marker-end': 'url(#head)'}, svg);
    drawn.push([e, cards[b].i, cards[a].i]);
  });
  cards.forEach((c, k) => {
    const n = nodes[c.i],
      x = places.x[k],
      y = places.y[k];
    const e = el(
      'g',
      {
        class: `card ${kindOf(n)}${c.alias ? ' alias' : ''}`,
        transform: `translate(${x} ${y})`,
        role: 'button',
        tabindex: k ? -1 : 0,
        'data-node': c.i,
        'aria-label': line(n, c.i),
      },
      svg,
    );
    el('rect', {x: -c.w / 2, y: -c.h / 2, width: c.w, height: c.h, rx: c.leaf ? c.h / 2 : 6, class: 'face'}, e);
    const t = texts(c.head, 12.5, 0, c.alias ? 4.5 : -2, 'what', e, 'middle');
    if (!c.leaf) t.setAttribute('font-weight', 600);
    if (!c.alias) texts(c.sub, 10.5, 0, 12, 'sub', e, 'middle');
    el('title', {}, e, line(n, c.i));
    drawn.push([e, c.i]);
  });
}

function draw() {
  const nodes = nodesOf(shown);
  view.textContent = '';
  drawn = [];
  D.used = new Set(nodes.flatMap(n => n.inputs));
  (listed ? listing : picture)(nodes);
  zoom(scale);
  view.scrollTo({left: Math.max(0, (view.scrollWidth - view.clientWidth) / 2), top: 0});
}
