// Where the cards of a drawing stand. The twin of layout.py, statement by statement: the same
// input gives the same coordinates. See there for how it works; layers.js places what is in one box.
//
//     overbarLayout(sizes, edges, options) ->
//         {x, y, rows, boxes, routes, width, height, crossings}
//
//   sizes    [[width, height], ...] of each card
//   edges    [[source, target], ...], numbers of cards; or [source, target, what it carries]: those
//            that carry the same from one card share the port of a box
//   options  inside: the group of each card, -1 for none;
//            groups: [{parent: an earlier group or -1, title: [width, height]}, ...];
//            across, down: the least distance of cards in a row, and of rows; pad: inside the
//            border of a box; lane: the room of a long edge; spread: of the ends of edges at a card;
//            turned: from left to right
//   x, y     of the centre of each card; rows: the row of each in its group
//   boxes    [left, top, width, height] of each group, null for one without cards
//   routes   for each edge its points, from the source's border to the target's: between points
//            2k and 2k + 1 it is straight, between 2k + 1 and 2k + 2 it bends:
//            C x1 ym x2 ym x2 y2 with ym = (y1 + y2) / 2 (turned: C xm y1 xm y2 x2 y2)
'use strict';
const {rank, Net} = overbarLayers;
function overbarLayout(sizes, edges, options) {
  const o = Object.assign({inside: null, groups: [], across: 20, down: 34, pad: 12, lane: 14,
    spread: 14, turned: false}, options);
  if (o.turned) sizes = sizes.map(([w, h]) => [h, w]);
  const n = sizes.length, groups = o.groups;
  const home = o.inside ? o.inside.map(g => g + 1) : new Array(n).fill(0);
  const above = [-1, ...groups.map(g => g.parent + 1)];
  const levels = above.map(() => new Level());
  const trails = [];
  above.forEach((parent, g) => trails.push(parent >= 0 ? [...trails[parent], g] : [g]));
  for (let i = 0; i < n; i++) levels[home[i]].item('card', i, sizes[i], 0);
  const parts = edges.map(() => [[], []]), jobs = above.map(() => []);
  const ends = edges.map(([a, b, carried = -1]) => [a, b, a + ':' + carried]);
  ends.forEach(([a, b], e) => {
    const p = trails[home[a]], q = trails[home[b]];
    let k = 0;
    while (k < p.length && k < q.length && p[k] === q[k]) k++;
    for (let j = k; j < p.length; j++) jobs[p[j]].push([e, 1]);
    jobs[p[k - 1]].push([e, 0]);
    for (let j = k; j < q.length; j++) jobs[q[j]].push([e, -1]);
  });
  let crossings = 0;
  for (let g = above.length - 1; g >= 0; g--) {
    const level = levels[g];
    for (const [e, way] of jobs[g])
      parts[e][way < 0 ? 1 : 0].push([g, join(levels, trails, home, g, e, ends[e], way)]);
    if (!level.sizes.length) continue;
    level.place(o);
    crossings += level.crossings;
    if (g) asCard(levels, g, above[g], groups[g - 1].title, o);
  }
  return gathered(levels, n, edges, home, parts, crossings, o.turned);

  function Level() {
    this.sizes = []; this.number = new Map(); this.keys = []; this.ends = [];
    this.links = []; this.known = new Map(); this.ports = new Map();
    this.x = []; this.y = []; this.routes = []; this.width = this.height = 0;
    this.left = this.top = 0; this.box = null; this.crossings = 0;
    this.item = (kind, i, size, end) => {
      const key = kind + i;
      if (!this.number.has(key)) {
        this.number.set(key, this.sizes.length);
        this.keys.push([kind, i]);
        this.sizes.push(size);
        this.ends.push(end);
      }
      return this.number.get(key);
    };
    this.link = (key, link) => {
      if (!this.known.has(key)) {
        this.known.set(key, this.links.length);
        this.links.push(link);
      }
      return this.known.get(key);
    };
    this.place = o => {
      const [rows, flipped] = rank(this.sizes.length, this.links, this.ends);
      const net = new Net(this.sizes, this.links, rows, flipped, o.lane);
      net.order();
      net.place(o);
      this.crossings = net.crossings;
      this.rows = rows;
      [this.x, this.y, this.routes] = net.finished(this.ends, o);
      this.width = net.width;
      this.height = net.height;
    };
  }

  function join(levels, trails, home, g, e, [a, b, port], way) {
    const level = levels[g], depth = trails[g].length;
    let u, v, du = 0, dv = 0;
    if (way < 0) u = level.item('in', port, [0, 0], -1);
    else if (home[a] === g) u = level.number.get('card' + a);
    else {
      const inner = trails[home[a]][depth];
      u = level.number.get('box' + inner);
      du = levels[inner].ports.get('1,' + port);
    }
    if (way > 0) v = level.item('out', port, [0, 0], 1);
    else if (home[b] === g)
      return level.link('edge' + e, [u, level.number.get('card' + b), du, 0]);
    else {
      const inner = trails[home[b]][depth];
      v = level.number.get('box' + inner);
      dv = levels[inner].ports.get('-1,' + port);
    }
    return level.link(u + ',' + v + ',' + port, [u, v, du, dv]);
  }

  function asCard(levels, g, parent, [wide, head], {pad, turned}) {
    const level = levels[g];
    let width, height;
    if (turned) {
      level.left = pad + head; level.top = pad;
      width = level.width + 2 * pad + head; height = Math.max(level.height, wide) + 2 * pad;
    } else {
      width = Math.max(level.width, wide) + 2 * pad; height = level.height + 2 * pad + head;
      level.left = (width - level.width) / 2; level.top = pad + head;
    }
    level.box = [width, height];
    level.keys.forEach(([kind, a], i) => {
      if (kind === 'in' || kind === 'out')
        level.ports.set((kind === 'in' ? -1 : 1) + ',' + a, level.left + level.x[i] - width / 2);
    });
    levels[parent].item('box', g, level.box, 0);
  }

  function gathered(levels, n, edges, home, parts, crossings, turned) {
    const origin = levels.map(() => [0, 0]), boxes = new Array(levels.length - 1).fill(null);
    levels.forEach((level, g) => level.keys.forEach(([kind, inner], i) => {
      if (kind !== 'box') return;
      const [width, height] = levels[inner].box || [0, 0];
      const left = origin[g][0] + level.x[i] - width / 2;
      const top = origin[g][1] + level.y[i] - height / 2;
      boxes[inner - 1] = [left, top, width, height];
      origin[inner] = [left + levels[inner].left, top + levels[inner].top];
    }));
    let x = [], y = [];
    const rows = [];
    for (let i = 0; i < n; i++) {
      const level = levels[home[i]], k = level.number.get('card' + i);
      x.push(origin[home[i]][0] + level.x[k]);
      y.push(origin[home[i]][1] + level.y[k]);
      rows.push(level.rows[k]);
    }
    let routes = edges.map((_, e) => {
      let route = [];
      for (const [g, link] of [...parts[e][0], ...parts[e][1].slice().reverse()]) {
        const points = levels[g].routes[link].map(([u, v]) => [origin[g][0] + u, origin[g][1] + v]);
        route = route.length ? [...route.slice(0, -1), ...points.slice(1)] : points;
      }
      return route;
    });
    let {width, height} = levels[0], all = boxes;
    if (turned) {
      [x, y, width, height] = [y, x, height, width];
      routes = routes.map(r => r.map(([u, v]) => [v, u]));
      all = boxes.map(b => b && [b[1], b[0], b[3], b[2]]);
    }
    return {x, y, rows, boxes: all, routes, width, height, crossings};
  }
}
