// The cards as they are drawn: their text, their size, and where the layout puts them.
// Inside a module its own name goes without saying.
function local(name, trail) {
  for (const b of [...trail].reverse())
    if (B[b].path && name.startsWith(B[b].path + '.')) return name.slice(B[b].path.length + 1);
  return name;
}
// The names of a rule's operands, its own node, and the rule.
function ruleOf(c) {
  const at = c.kind === 'row' ? B[c.box] : N[c.node];
  return {rule: D.rules[at.rule], inputs: at.inputs, own: c.node};
}
function formula(c) {
  const {rule, inputs, own} = ruleOf(c);
  const names = inputs.map(x => local(N[x].name, c.trail));
  return [[local(N[own].name, c.trail) + ' = ', false], ...pieces(rule.forward[0], names, '')];
}
const titleOf = b => {
  const name = (/^\d+$/.test(B[b].name) && B[b].path) || B[b].name;
  return B[b].module && B[b].module !== name ? `${name}: ${B[b].module}` : name;
};
const gradOf = c =>
  Math.hypot(...B[c.box].leaves.map(x => (N[x].bar === undefined ? 0 : normOf(N[x].bar))));

// An adjoint on a card: the name is cut if it is long, never the number.
const fmtBar = k => (scalar(line(k)) ? fmt(line(k)) : `‖${fmt(normOf(k))}‖`);
function adjoint(n, trail) {
  if (n.bar === undefined) return [];
  const [a, b, c] = cut(local(n.name, trail));
  const name = [
    [a, false],
    [b, true],
    [c, false],
  ].filter(p => p[0]);
  const text = ' ' + fmtBar(n.bar);
  return [...fitted(name, 11, 150 - wide(text, 11)), [text, false]];
}

// What a card says: head, then a value in black and an adjoint in red.
function tell(c) {
  const n = N[c.node];
  if (n) {
    c.head = c.kind === 'leaf' ? [[local(n.name, c.trail), false]] : formula(c);
    c.value = c.alias ? [] : [[brief(n.value), false]];
    c.bar = c.alias ? [] : adjoint(n, c.trail);
  } else {
    const k = B[c.box].leaves.filter(x => N[x].bar !== undefined).length;
    const inside = k ? `, ${plural(k, 'variable')}` : '';
    c.head = [[titleOf(c.box), false]];
    c.value = [[plural(c.ops.length, 'operation') + inside, false]];
    c.bar = k
      ? [
          ['‖', false],
          ['g', true],
          [`‖ ${fmt(gradOf(c))}`, false],
        ]
      : [];
  }
  c.name = c.head.map(p => p[0]).join('');
}
function sized(c) {
  tell(c);
  const leaf = c.kind === 'leaf';
  c.head = fitted(c.head, 13, leaf ? 130 : MOST);
  const head = width(c.head, 13) + (c.box === undefined ? 0 : 14);
  const bar = width(c.bar, 11);
  if (leaf) {
    const value = c.alias ? 0 : width(c.value, 12.5) + 8;
    c.w = Math.ceil(24 + Math.max(head + value, bar, 14));
    c.h = c.bar.length ? 40 : 26;
  } else {
    const second = width(c.value, 11) + (bar && bar + 16);
    c.w = Math.ceil(24 + Math.max(head, second, 56));
    c.h = c.node === undefined ? 50 : 46;
  }
  return [c.w, c.h];
}
let groups, places;
function arrange() {
  const at = new Map();
  groups = [];
  const group = trail => {
    let g = -1;
    for (const b of trail) {
      if (!at.has(b)) {
        const c = {
          key: 'b' + b,
          kind: B[b].kind,
          box: b,
          node: B[b].node,
          trail: B[b].trail.slice(0, -1),
          ops: B[b].ops,
          parent: g,
        };
        tell(c);
        c.head = fitted(c.head, 12, MOST);
        c.title = [width(c.head, 12) + 30, 20];
        at.set(b, groups.length);
        groups.push(c);
      }
      g = at.get(b);
    }
    return g;
  };
  V.cards.forEach(c => {
    c.group = group(c.trail);
  });
  // the layout wants outer boxes first, which the order of their making gives
  places = overbarLayout(
    V.cards.map(sized),
    V.edges.map(e => [e.a.at, e.b.at]),
    {
      inside: V.cards.map(c => c.group),
      groups,
      across: 26,
      down: 46,
      pad: 14,
      spread: 16,
    },
  );
  V.cards.forEach((c, i) => {
    c.x = places.x[i];
    c.y = places.y[i];
  });
}
