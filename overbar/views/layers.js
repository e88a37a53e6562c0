// Rank, order and place within one box. The twin of ranks.py, layers.py and pool.py, statement by
// statement; layout.js puts the boxes together.
//
//     overbarLayers = {rank, Net}
//
//   rank(n, links, ends)   the row of each of n items, and which links run upwards
//   Net(sizes, links, rows, flipped, lane)   their order in the rows, then their places
'use strict';
const overbarLayers = (() => {
  // -- rank -------------------------------------------------------------------------------------

  function rank(n, links, ends) {
    let [after, before] = neighbours(n, links, null);
    const inner = [];
    for (let i = 0; i < n; i++) if (!ends[i]) inner.push(i);
    const age = byAge(n, inner, before, after, ends);
    const flipped = links.map(([u, v]) => !ends[u] && !ends[v] && age[u] > age[v]);
    if (flipped.some(f => f)) [after, before] = neighbours(n, links, flipped);
    inner.sort((a, b) => age[a] - age[b]);
    const row = new Array(n).fill(0), cost = new Array(n).fill(0);
    let last = 0;
    for (const v of inner) {
      for (const u of before[v]) {
        if (!ends[u]) row[v] = Math.max(row[v], row[u] + 1);
        cost[v] += ends[u] || after[u].length > 1 || cost[u] > 0 ? 1 : 0;
      }
      last = Math.max(last, row[v]);
    }
    for (let v = 0; v < n; v++) if (ends[v]) row[v] = ends[v] > 0 ? last + 1 : -1;
    for (const v of inner.reverse())
      if (after[v].length && cost[v] < after[v].length)
        row[v] = Math.max(row[v], Math.min(...after[v].map(u => row[u])) - 1);
    const used = new Map([...new Set(row)].sort((a, b) => a - b).map((r, k) => [r, k]));
    return [row.map(r => used.get(r)), flipped];
  }

  function neighbours(n, links, flipped) {
    const after = Array.from({length: n}, () => []), before = Array.from({length: n}, () => []);
    links.forEach(([u, v], k) => {
      const [a, b] = flipped && flipped[k] ? [v, u] : [u, v];
      if (!after[a].includes(b)) {
        after[a].push(b);
        before[b].push(a);
      }
    });
    return [after, before];
  }

  function byAge(n, inner, before, after, ends) {
    const waiting = before.map(list => list.filter(u => !ends[u]).length);
    const age = new Array(n).fill(-1), queue = inner.filter(v => !waiting[v]);
    let at = 0, spare = 0, count = 0;
    while (count < inner.length) {
      if (at === queue.length) {
        while (age[inner[spare]] >= 0) spare++;
        queue.push(inner[spare]);
      }
      const v = queue[at++];
      if (age[v] >= 0) continue;
      age[v] = count++;
      for (const u of after[v])
        if (!--waiting[u] && age[u] < 0 && !ends[u]) queue.push(u);
    }
    return age;
  }

  // -- order and place --------------------------------------------------------------------------

  function Net(sizes, links, row, flipped, lane) {
    const n = sizes.length, wide = sizes.map(s => s[0]);
    row = row.slice();
    let rows = Array.from({length: Math.max(...row) + 1}, () => []);
    row.forEach((r, i) => rows[r].push(i));
    const up = sizes.map(() => []), down = sizes.map(() => []), chains = [];
    let room = 0;
    const comes = new Array(n).fill(0), goes = new Array(n).fill(0);
    for (const [u, v] of links) {
      room += Math.abs(row[v] - row[u]) - 1;
      goes[u]++;
      comes[v]++;
    }
    const bundled = room > 2000 + 4 * n, shared = new Map();
    links.forEach(([u, v, du, dv], k) => {
      const [a, b, da, db] = flipped[k] ? [v, u, dv, du] : [u, v, du, dv];
      let key = comes[v] >= goes[u] ? '1,' + b + ',' + db : '0,' + a + ',' + da;
      if (!bundled) key = '2,' + k;
      const chain = [a];
      for (let r = row[a] + 1; r < row[b]; r++) {
        const place = key + ',' + r;
        let knot = shared.get(place);
        if (knot === undefined) {
          knot = wide.length;
          shared.set(place, knot);
          wide.push(lane);
          row.push(r);
          up.push([]);
          down.push([]);
          rows[r].push(knot);
        }
        chain.push(knot);
      }
      chain.push(b);
      for (let j = 0; j < chain.length - 1; j++) {
        const p = chain[j], q = chain[j + 1];
        const dp = j ? 0 : da, dq = j === chain.length - 2 ? db : 0;
        if (bundled && Math.max(p, q) >= n &&
          down[p].some(([i, c, d]) => i === q && c === dp && d === dq)) continue;
        down[p].push([q, dp, dq]);
        up[q].push([p, dq, dp]);
      }
      chains.push(chain);
    });

    const at = new Array(wide.length).fill(0), byNumber = (a, b) => a - b;
    const spot = (k, off) => off ? at[k] + off / wide[k] : at[k];
    const number = () => rows.forEach(knots => knots.forEach((k, i) => { at[k] = i; }));

    this.order = () => {
      this.crossings = -1;
      let best = rows;
      for (let way = 0; way < (wide.length > 4000 ? 4 : 8); way++) {
        const upwards = way % 2 === 0;
        begin(upwards, way % 4 < 2);
        let worse = 0;
        for (let s = 0; s <= 24; s++) {
          if (s) sweep(s % 2 === (upwards ? 1 : 0), s % 4 > 1, way > 3);
          exchange(s % 2 === 1);
          const found = count();
          if (this.crossings < 0 || found < this.crossings) {
            this.crossings = found;
            best = rows.map(r => r.slice());
            worse = 0;
          } else worse++;
          if (!this.crossings || worse > 8) break;
        }
        if (!this.crossings) break;
      }
      rows = best;
      this.shake();
      number();
      flank();
    };

    this.shake = () => {
      let best = rows, chance = 1;
      const draw = n => (chance = chance * 16807 % 2147483647) % n;
      for (let turn = 0; turn < Math.min(24, Math.floor(6000 / wide.length)) && this.crossings; turn++) {
        rows = best.map(r => r.slice());
        const first = draw(rows.length);
        for (const knots of rows.slice(first, first + 1 + draw(12))) {
          if (draw(2)) knots.reverse();
          else for (let i = knots.length - 1; i > 0; i--) {
            const j = draw(i + 1);
            [knots[i], knots[j]] = [knots[j], knots[i]];
          }
        }
        number();
        for (let s = 1; s < 9; s++) {
          sweep(s % 2 === turn % 2, s % 4 > 1, turn % 4 > 1);
          exchange(s % 2 === 1);
          const found = count();
          if (found <= this.crossings) {
            this.crossings = found;
            best = rows.map(r => r.slice());
          }
        }
      }
      rows = best;
    };

    function flank() {
      for (let k = 0; k < n; k++) {
        const knots = [...new Set(up[k].map(t => t[0]))].sort((a, b) => at[a] - at[b]);
        const tips = knots.filter(j => j < n && !up[j].length && down[j].length === 1);
        const rest = knots.filter(j => !tips.includes(j)), first = at[knots[0]];
        if (tips.length < 2 || !rest.length || at[knots[knots.length - 1]] - first >= knots.length)
          continue;
        const half = tips.length >> 1, turned = [...tips.slice(0, half), ...rest, ...tips.slice(half)];
        if (within(turned) > within(knots)) continue;
        rows[row[knots[0]]].splice(first, knots.length, ...turned);
        turned.forEach((j, i) => { at[j] = first + i; });
      }
    }

    function within(knots) {
      const spots = knots.map(k => down[k].map(([j, , off]) => spot(j, off)).sort(byNumber));
      let total = 0;
      spots.forEach((a, i) => spots.slice(i + 1).forEach(b => { total += pairs(a, b); }));
      return total;
    }

    function begin(upwards, few) {
      const [near, far] = upwards ? [up, down] : [down, up];
      const seen = new Array(wide.length).fill(-1);
      let next = 0;
      for (let i = 0; i < n; i++) {
        const item = upwards ? n - 1 - i : i, stack = far[item].length ? [] : [item];
        while (stack.length) {
          const k = stack.pop();
          if (seen[k] >= 0) continue;
          seen[k] = next++;
          stack.push(...near[k].map(t => t[0]).reverse().sort(
            (a, b) => (near[b].length - near[a].length) * (few ? 1 : -1)));
        }
      }
      for (const knots of rows) knots.sort((a, b) => seen[a] - seen[b]);
      number();
    }

    function sweep(downwards, turned, median) {
      const near = downwards ? up : down, order = downwards ? rows : rows.slice().reverse();
      for (const knots of order.slice(1)) {
        const mean = new Map();
        for (const k of knots) {
          const spots = near[k].map(([j, , off]) => spot(j, off)).sort(byNumber), m = spots.length;
          mean.set(k, !m ? at[k] : median ? (spots[m - 1 >> 1] + spots[m >> 1]) / 2 : sum(spots) / m);
        }
        if (turned) knots.reverse();
        knots.sort((a, b) => mean.get(a) - mean.get(b));
        knots.forEach((k, i) => { at[k] = i; });
      }
    }

    function exchange(level) {
      for (const knots of rows) {
        if (knots.length < 2) continue;
        const spots = near => new Map(knots.map(
          k => [k, near[k].map(([j, , off]) => spot(j, off)).sort(byNumber)]));
        const above = spots(up), below = spots(down);
        for (let pass = 0; pass < 4; pass++) {
          let changed = false;
          for (let i = 0; i < knots.length - 1; i++) {
            const a = knots[i], b = knots[i + 1];
            const gain = pairs(above.get(a), above.get(b)) - pairs(above.get(b), above.get(a)) +
              pairs(below.get(a), below.get(b)) - pairs(below.get(b), below.get(a));
            if (gain > 0 || (level && !pass && !gain)) {
              knots[i] = b;
              knots[i + 1] = a;
              changed = true;
            }
          }
          if (!changed) break;
        }
        knots.forEach((k, i) => { at[k] = i; });
      }
    }

    function count() {
      let total = 0;
      for (const knots of rows) {
        const found = [];
        for (const k of knots)
          for (const [j, dk, dj] of down[k]) found.push([spot(k, dk), spot(j, dj)]);
        found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        const values = [...new Set(found.map(f => f[1]))].sort(byNumber);
        const place = new Map(values.map((v, i) => [v, i + 1]));
        const tree = new Int32Array(values.length + 1); // Fenwick: how many ended so far left
        found.forEach(([, end], seen) => {
          let left = 0;
          for (let i = place.get(end); i > 0; i -= i & -i) left += tree[i];
          total += seen - left;
          for (let i = place.get(end); i <= values.length; i += i & -i) tree[i]++;
        });
      }
      return total;
    }

    let x, gaps;
    this.place = o => {
      gaps = rows.map(knots => {
        const offsets = [0];
        for (let i = 1; i < knots.length; i++) {
          const a = knots[i - 1], b = knots[i], between = a < n || b < n ? o.across : 0;
          offsets.push(offsets[i - 1] + (wide[a] + wide[b]) / 2 + between);
        }
        return offsets;
      });
      x = new Array(wide.length).fill(0);
      rows.forEach((knots, r) => knots.forEach((k, i) => {
        x[k] = gaps[r][i] - gaps[r][knots.length - 1] / 2;
      }));
      for (let round = 0; round < 6; round++) {
        const first = pull(x, true), second = pull(x, false);
        x = blend(first, second);
      }
      x = leaves(upright(x));
      const left = extent(x)[0];
      x = x.map(v => v - left);
      this.width = extent(x)[1];
    };

    function pull(old, downwards) {
      const [near, far] = downwards ? [up, down] : [down, up], x = old.slice(), weak = [];
      for (let i = 0; i < rows.length; i++) {
        const r = downwards ? i : rows.length - 1 - i, want = [], weight = [];
        for (const k of rows[r]) {
          weak[k] = far[k].length === 1 && !near[k].length;
          if (near[k].length) {
            let most = 0;
            weak[k] = k >= n && near[k].every(([j]) => weak[j]);
            const pulls = near[k].map(([j, mine, its]) => {
              const w = weak[j] ? 1e-4 : k >= n && j >= n ? 8 : 1;
              most = Math.max(most, w);
              return [x[j] + its - mine, w];
            });
            want.push(middle(pulls));
            weight.push(most);
          } else {
            want.push(x[k]);
            weight.push(1e-4);
          }
        }
        put(x, rows[r], gaps[r], want, weight);
      }
      return x;
    }

    function blend(first, second) {
      let above = 0, below = 0;
      down.forEach((links, k) => {
        for (const [j, mine, its] of links) {
          if (!up[k].length && k < n) continue;
          const a = first[k] + mine - first[j] - its, b = second[k] + mine - second[j] - its;
          above += b * (b - a);
          below += (b - a) * (b - a);
        }
      });
      const part = below ? Math.min(1, Math.max(0, above / below)) : 0.5;
      const shift = (sum(first) - sum(second)) / first.length;
      return first.map((a, k) => part * a + (1 - part) * (second[k] + shift));
    }

    function upright(x) {
      if (rows.length <= 24) return x;
      const middles = rows.map(knots => {
        let inner = knots.filter(k => k >= n || up[k].length);
        if (!inner.length) inner = knots;
        return (x[inner[inner.length - 1 >> 1]] + x[inner[inner.length >> 1]]) / 2;
      });
      const better = x.slice();
      rows.forEach((knots, r) => {
        const a = Math.max(0, r - 12), b = Math.min(rows.length, r + 13);
        const middle = (a + b - 1) / 2, mean = sum(middles.slice(a, b)) / (b - a);
        let lean = 0, over = 0;
        for (let i = a; i < b; i++) {
          lean += (i - middle) * middles[i];
          over += (i - middle) * (i - middle);
        }
        const trend = mean + (over ? lean / over * (r - middle) : 0);
        for (const k of knots) better[k] -= trend;
      });
      return extent(better)[1] < 0.75 * extent(x)[1] ? better : x;
    }

    function extent(x) {
      let left = Infinity, right = -Infinity;
      x.forEach((v, k) => {
        left = Math.min(left, v - wide[k] / 2);
        right = Math.max(right, v + wide[k] / 2);
      });
      return [left, right - left];
    }

    function leaves(old) {
      const x = old.slice();
      rows.forEach((knots, r) => {
        const want = [], weight = [];
        for (const k of knots) {
          const near = up[k].length ? up[k] : down[k];
          if (k < n && near.length === 1 && !(up[k].length && down[k].length)) {
            const [j, mine, its] = near[0];
            want.push(x[j] + its - mine);
            weight.push(1e-4);
          } else {
            want.push(x[k]);
            weight.push(1);
          }
        }
        put(x, knots, gaps[r], want, weight);
      });
      return x;
    }

    this.finished = (ends, o) => {
      const tall = rows.map(knots => knots.reduce((t, k) => k < n ? Math.max(t, sizes[k][1]) : t, 0));
      const tops = [];
      let y = 0;
      rows.forEach((knots, r) => {
        tops.push(y);
        let reach = 0, port = false;
        for (const k of knots) {
          port = port || (k < n && ends[k] !== 0);
          for (const [j, mine, its] of down[k]) {
            port = port || (j < n && ends[j] !== 0);
            reach = Math.max(reach, Math.abs(x[k] + mine - x[j] - its));
          }
        }
        const gap = o.down * (port ? 0.6 : 1), more = Math.min(3 * o.down, Math.max(0, 0.08 * reach - 10));
        y += tall[r] + gap + more;
        this.height = y - gap - more;
      });
      const ys = [];
      for (let k = 0; k < n; k++) {
        const r = row[k], h = sizes[k][1], low = !up[k].length && tall[r] > 2 * h;
        ys.push(tops[r] + (low ? tall[r] - h / 2 : tall[r] / 2));
      }
      const [starts, stops] = tips(ends, o);
      const routes = chains.map((chain, link) => {
        const a = chain[0], b = chain[chain.length - 1], u = starts[link], v = stops[link];
        const points = [[u, ys[a] + sizes[a][1] / 2], [u, tops[row[a]] + tall[row[a]]]];
        for (const k of chain.slice(1, -1))
          points.push([x[k], tops[row[k]]], [x[k], tops[row[k]] + tall[row[k]]]);
        points.push([v, tops[row[b]]], [v, ys[b] - sizes[b][1] / 2]);
        return flipped[link] ? points.reverse() : points;
      });
      return [x.slice(0, n), ys, routes];
    };

    function tips(ends, o) {
      const starts = new Array(chains.length).fill(0), stops = starts.slice();
      const leaving = sizes.map(() => []), coming = sizes.map(() => []);
      chains.forEach((chain, link) => {
        leaving[chain[0]].push(link);
        coming[chain[chain.length - 1]].push(link);
      });
      for (const [found, lists, upper] of [[starts, leaving, true], [stops, coming, false]])
        for (let k = 0; k < n; k++) {
          const goals = lists[k].map(link => {
            const chain = chains[link];
            let [, , du, dv] = links[link];
            if (flipped[link]) [du, dv] = [dv, du];
            const [mine, its] = upper ? [du, dv] : [dv, du];
            const other = upper ? chain[1] : chain[chain.length - 2];
            return [x[other] + (chain.length === 2 ? its : 0) - x[k], link, mine];
          });
          for (const [, link, mine] of goals) found[link] = x[k] + mine;
          const free = goals.filter(g => g[2] === 0 && !ends[k]);
          if (!free.length) continue;
          free.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
          const room = 0.35 * wide[k], step = Math.min(o.spread, 2 * room / Math.max(1, free.length - 1));
          const goal = free.map(([g]) => Math.min(room, Math.max(-room, g)));
          const spots = free.map(() => 0);
          put(spots, free.map((_, i) => i), free.map((_, i) => step * i), goal, free.map(() => 1));
          const slip = Math.max(0, -room - spots[0]) - Math.max(0, spots[spots.length - 1] - room);
          free.forEach(([, link], i) => {
            found[link] = x[k] + Math.min(room, Math.max(-room, spots[i] + slip));
          });
        }
      return [starts, stops];
    }
  }

  function sum(list) {
    let total = 0;
    for (const v of list) total += v;
    return total;
  }

  function pairs(a, b) {
    let count = 0, j = 0;
    for (const s of a) {
      while (j < b.length && b[j] < s) j++;
      count += j;
    }
    return count;
  }

  function middle(pulls) {
    pulls.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const half = sum(pulls.map(p => p[1])) / 2;
    let soFar = 0;
    for (let i = 0; i < pulls.length; i++) {
      soFar += pulls[i][1];
      if (soFar > half * (1 + 1e-9)) return pulls[i][0];
      if (soFar >= half * (1 - 1e-9)) return (pulls[i][0] + pulls[i + 1][0]) / 2;
    }
    return pulls[pulls.length - 1][0];
  }

  function put(x, knots, offsets, want, weight) {
    const blocks = [];
    for (let i = 0; i < knots.length; i++) {
      blocks.push([want[i] - offsets[i], weight[i], 1]);
      while (blocks.length > 1 && blocks[blocks.length - 2][0] >= blocks[blocks.length - 1][0]) {
        const [s, w, c] = blocks.pop(), into = blocks[blocks.length - 1], total = into[1] + w;
        into[0] = (into[0] * into[1] + s * w) / total;
        into[1] = total;
        into[2] += c;
      }
    }
    let i = 0;
    for (const [s, , c] of blocks)
      for (let j = 0; j < c; j++, i++) x[knots[i]] = s + offsets[i];
  }

  return {rank, Net};
})();
