// The record that the page shows, and what of it is visible: which boxes are open, the cards that
// result, the edges between them, and the steps of the walk.
'use strict';
const D = JSON.parse(document.getElementById('record').textContent);
const N = D.nodes,
  B = D.boxes,
  M = D.messages,
  P = D.pool;
const uses = N.map(() => []),
  from = N.map(() => []),
  to = N.map(() => []);
N.forEach((n, i) => (n.inputs || []).forEach(x => uses[x].push(i)));
M.forEach((m, k) => {
  from[m[0]].push(k);
  to[m[1]].push(k);
});
const sums = new Map(D.sums.map(([b, t, v, s]) => [b + '>' + t, [v, s]]));
const trailOf = b => (b === undefined || b < 0 ? [] : [...trailOf(B[b].parent), b]);
const trails = N.map(n => trailOf(n.box));
B.forEach((b, i) => {
  b.trail = trailOf(i);
  b.ops = [];
  b.leaves = [];
  b.own = new Set();
});
N.forEach((n, i) => n.kind === 'op' && trails[i].forEach(b => B[b].ops.push(i)));
N.forEach((n, i) => {
  if (n.kind === 'op' || !uses[i].length) return;
  const all = trails[uses[i][0]].filter(
    b => B[b].kind !== 'row' && uses[i].every(u => trails[u].includes(b)),
  );
  all.forEach(b => B[b].leaves.push(i));
  // a parameter belongs to each call of its module: closed, it hides what it shares with others
  for (const u of uses[i]) {
    const its = trails[u].map(b => !!B[b].path && n.name.startsWith(B[b].path + '.'));
    trails[u].slice(0, its.lastIndexOf(true) + 1).forEach(b => B[b].own.add(i));
  }
});
const open = new Set();
B.forEach((b, i) => {
  if (D.open.includes(i) && b.trail.every(p => p === i || open.has(p))) open.add(i);
});

// What a card stands for: an operation, a leaf beside one of its consumers, or a closed box.
const boxOf = i => trails[i].find(b => !open.has(b));
const keyOf = i => (boxOf(i) === undefined ? 'n' + i : 'b' + boxOf(i));

let V; // the cards, edges and steps that are there now
function look() {
  const cards = [],
    by = new Map(),
    edges = [],
    joined = new Map();
  const add = c => {
    c.at = cards.length;
    cards.push(c);
    by.set(c.key, c);
    return c;
  };
  const join = (a, b) => {
    const key = a.key + '|' + b.key;
    if (a !== b && !joined.has(key)) {
      joined.set(key, 1);
      edges.push({a, b, key});
    }
  };
  N.forEach((n, i) => {
    if (n.kind !== 'op') return;
    const key = keyOf(i),
      b = boxOf(i);
    if (!by.has(key)) {
      add(
        b === undefined
          ? {key, kind: 'op', node: i, trail: trails[i], ops: [i]}
          : {
              key,
              kind: B[b].kind,
              box: b,
              node: B[b].node,
              trail: B[b].trail.slice(0, -1),
              ops: B[b].ops,
            },
      );
    }
  });
  const seen = new Set();
  N.forEach((n, i) =>
    (n.inputs || []).forEach(x => {
      const c = by.get(keyOf(i));
      if (N[x].kind === 'op') {
        join(by.get(keyOf(x)), c);
        return;
      }
      const box = B[c.box];
      if (box && (box.own.has(x) || box.leaves.includes(x))) return; // inside the closed box
      const key = 'l' + x + '>' + c.key;
      if (!by.has(key)) {
        add({key, kind: 'leaf', node: x, alias: seen.has(x), trail: c.trail, ops: []});
        seen.add(x);
      }
      join(by.get(key), c);
    }),
  );
  D.outputs.forEach(y => {
    if (N[y].kind !== 'op' && !seen.has(y))
      add({key: 'l' + y, kind: 'leaf', node: y, trail: [], ops: []});
  });
  for (const c of cards) {
    c.sent = sentBy(c);
    c.edges = [];
  }
  for (const e of edges) {
    e.b.edges.push(e);
    const inside = new Set(e.a.kind === 'leaf' ? [e.a.node] : e.a.ops);
    e.sent = e.b.sent.filter(m => inside.has(m.to));
  }
  const order = cards.filter(c => c.ops.length).sort((a, b) => last(a) - last(b));
  const steps = [
    {k: 'given'},
    ...order.map(c => ({k: 'f', c})),
    {k: 'seed'},
    ...order
      .filter(c => c.ops.some(i => from[i].length))
      .reverse()
      .map(c => ({k: 'b', c})),
    {k: 'end'},
  ];
  steps.forEach((s, i) => {
    if (s.c) s.c[s.k] = i;
  });
  const turn = steps.findIndex(s => s.k === 'seed');
  V = {cards, by, edges, steps, turn};
}
const last = c => c.ops[c.ops.length - 1];

// The messages that leave a card, one for each receiver; several of a box are summed already.
function sentBy(c) {
  const found = new Map(),
    inside = new Set(c.box === undefined ? c.ops : [...c.ops, ...B[c.box].leaves]);
  for (const i of [...c.ops].reverse())
    for (const k of from[i]) {
      const [, t, value, share] = M[k];
      if (inside.has(t)) continue;
      const m = found.get(t);
      if (m) {
        m.count++;
        [m.value, m.share] = sums.get(c.box + '>' + t) || [value, null];
      } else found.set(t, {to: t, value, share, count: 1, c});
    }
  return [...found.values()];
}

// The parts of an adjoint, in the order in which they arrive: a seed, messages of visible cards.
function partsOf(t) {
  const cards = new Map();
  for (const k of to[t]) {
    const c = V.by.get(keyOf(M[k][0]));
    if (c) cards.set(c, 1);
  }
  const parts = [...cards.keys()]
    .map(c => ({c, m: c.sent.find(m => m.to === t), at: c.b}))
    .filter(p => p.m)
    .sort((a, b) => a.at - b.at);
  return D.outputs.includes(t) ? [{at: V.turn, seed: 1}, ...parts] : parts;
}
