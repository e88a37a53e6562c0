// Search by name, operation, module, line or shape, and by what the numbers are like.
let hits = [],
  hit = -1;
const PREDICATE = /^(norm|grad|value|min|max)\s*(>=|<=|>|<|=)\s*([-+.\de]+)$/;
const glob = s =>
  new RegExp(
    '^' +
      s
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replace(/\*/g, '.*')
        .replace(/\?/g, '.') +
      '$',
    'i',
  );
function matcher(query) {
  const q = query.trim(),
    low = q.toLowerCase(),
    p = PREDICATE.exec(low);
  if (p) {
    const [, what, sign, number] = p,
      v = +number;
    const get = n => {
      const k = what === 'value' || what === 'min' || what === 'max' ? n.value : n.bar,
        l = line(k);
      if (l === null) return NaN;
      return what === 'value'
        ? scalar(l)
          ? real(l)
          : NaN
        : what === 'min'
          ? scalar(l)
            ? real(l)
            : real(l[2])
          : what === 'max'
            ? scalar(l)
              ? real(l)
              : real(l[3])
            : normOf(k);
    };
    return n => {
      const x = get(n);
      return sign === '>'
        ? x > v
        : sign === '<'
          ? x < v
          : sign === '>='
            ? x >= v
            : sign === '<='
              ? x <= v
              : x === v;
    };
  }
  if (low === 'nan' || low === 'inf')
    return n => [n.value, n.bar].some(k => k !== undefined && lost(k));
  const [, field, rest] = /^(\w+):(.*)$/.exec(q) || [];
  const modules = i => trails[i].filter(b => B[b].kind !== 'row').map(b => B[b].name);
  const by = {
    op: (n, r) => r.test(n.op),
    name: (n, r) => r.test(n.name),
    module: (n, r, i) => modules(i).some(m => r.test(m)),
    shape: (n, r) => r.test(dims(n.value)) || r.test(shape(n.value).join('x')),
    line: (n, r) =>
      n.line !== undefined &&
      (r.test(D.lines[n.line][1]) || r.test(D.lines[n.line][0] + ':' + D.lines[n.line][1])),
  }[field];
  if (by && rest) {
    const r = glob(rest.trim());
    return (n, i) => by(n, r, i);
  }
  return (n, i) =>
    [n.name, n.op, ...modules(i), n.line === undefined ? '' : D.lines[n.line].join(':')].some(s =>
      s.toLowerCase().includes(low),
    );
}
// Which cards hold hits; those of a folded card are counted on it.
function find() {
  svg.querySelectorAll('.count').forEach(e => e.remove());
  for (const c of V.cards) c.el.classList.remove('hit');
  const q = $('#query').value;
  if (!q.trim()) {
    hits = [];
    $('#hits').textContent = '';
    return;
  }
  const match = matcher(q),
    found = new Map();
  let total = 0;
  N.forEach((n, i) => {
    if (!match(n, i)) return;
    total++;
    const keys =
      n.kind === 'op'
        ? [keyOf(i)]
        : V.cards.filter(c => c.node === i && c.kind === 'leaf' && !c.alias).map(c => c.key);
    if (!keys.length && uses[i].length) keys.push(keyOf(uses[i][0]));
    keys.forEach(k => found.set(k, (found.get(k) || 0) + 1));
  });
  hits = V.cards.filter(c => found.has(c.key)).sort((a, b) => a.y - b.y || a.x - b.x);
  for (const c of hits) {
    c.el.classList.add('hit');
    if (c.box === undefined) continue;
    const g = el(
      'g',
      {class: 'count', transform: `translate(${c.w / 2 - 4} ${-c.h / 2 + 2})`},
      c.el,
    );
    el('circle', {r: 10}, g);
    el('text', {y: 4, 'text-anchor': 'middle', 'font-size': 11}, g, found.get(c.key));
  }
  $('#hits').textContent = total
    ? plural(total, 'hit') + (hits.length < total ? ` on ${plural(hits.length, 'card')}` : '')
    : 'no hits';
}
function walk(by) {
  if (!hits.length) return;
  hit = (hit + by + hits.length) % hits.length;
  choose(hits[hit]);
}
