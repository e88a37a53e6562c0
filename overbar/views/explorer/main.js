// Keys, buttons and the slider.
let cur = 0,
  predict = false,
  hidden = false,
  stop;
function go(to) {
  cur = Math.max(0, Math.min(V.steps.length - 1, to));
  hidden = predict && V.steps[cur].k === 'b';
  show();
}
function show(quiet) {
  const s = V.steps[cur],
    slider = $('#step');
  paint(cur, hidden);
  panel(cur, hidden);
  chart();
  slider.max = V.steps.length - 1;
  slider.value = cur;
  slider.style.setProperty('--turn', V.turn / (V.steps.length - 1));
  $('#count').textContent = phase(cur);
  if (stop) stop.setAttribute('tabindex', -1);
  stop = s.c && s.c.el;
  if (stop) stop.setAttribute('tabindex', 0);
  if (!quiet) follow(targets(s));
}
const targets = s =>
  s.c
    ? [
        s.c,
        ...(s.k === 'b'
          ? s.c.sent.map(m => V.by.get('l' + m.to + '>' + s.c.key) || V.by.get(keyOf(m.to)))
          : []),
      ]
    : s.k === 'given'
      ? V.cards.slice(0, 1)
      : s.k === 'end'
        ? V.cards.filter(c => c.kind === 'leaf').slice(0, 1)
        : D.outputs.map(y => V.by.get(keyOf(y)));
function next() {
  if (hidden) {
    hidden = false;
    show();
  } else go(cur + 1);
}
// The step of a card, in the direction that is under way; a leaf has none and is told about.
function choose(c) {
  if (c.kind === 'leaf') {
    about(c.node);
    chart();
    for (const e of lit) e.classList.remove('on');
    lit = V.cards.filter(d => d.kind === 'leaf' && d.node === c.node).map(d => d.el);
    for (const e of lit) e.classList.add('on');
    follow([c]);
  } else go(cur >= V.turn && c.b !== undefined ? c.b : c.f);
}
// Open or close boxes, and stay at the step of the same thing.
function refold(change, keep) {
  const s = V.steps[cur],
    i = s.c && last(s.c),
    k = s.k;
  change();
  draw(keep);
  const c = i !== undefined && V.by.get(keyOf(i));
  cur = c ? (c[k] ?? c.f) : V.steps.findIndex(t => t.k === k);
  find();
  show(keep);
}
const shut = b => B.forEach((x, i) => x.trail.includes(b) && open.delete(i));
const unfold = b =>
  refold(() => {
    shut(b);
    open.add(b);
  }, 'b' + b);
const fold = b => refold(() => shut(b), 'b' + b);
const depth = b => B[b].trail.length;
function level(by) {
  const shown = B.map((_, b) => b).filter(b => B[b].trail.slice(0, -1).every(p => open.has(p)));
  const some = shown.filter(b => (by > 0 ? !open.has(b) : open.has(b)));
  if (!some.length) return;
  const at = by > 0 ? Math.min(...some.map(depth)) : Math.max(...some.map(depth));
  const c = V.steps[cur].c;
  refold(
    () => some.filter(b => depth(b) === at).forEach(b => (by > 0 ? open.add(b) : open.delete(b))),
    c && c.key,
  );
}
function enter(key) {
  const b = +key.slice(1);
  if (key[0] === 'b') (open.has(b) ? fold : unfold)(b);
}
function size(by) {
  type = Math.min(2.5, Math.max(0.75, by ? type * (by > 0 ? 1.25 : 0.8) : 1));
  document.documentElement.style.fontSize = 100 * type + '%';
  fit();
  show();
}
function guess() {
  predict = !predict;
  $('#predict').setAttribute('aria-pressed', predict);
  hidden = predict && V.steps[cur].k === 'b';
  show();
}
function theme(to) {
  document.documentElement.dataset.theme = to;
}
const KEYS = {
  ArrowRight: next,
  ArrowDown: next,
  ArrowLeft: () => go(cur - 1),
  ArrowUp: () => go(cur - 1),
  ' ': next,
  PageDown: () => go(cur + 10),
  PageUp: () => go(cur - 10),
  Home: () => go(0),
  End: () => go(V.steps.length - 1),
  b: () => go(V.turn),
  n: () => walk(1),
  N: () => walk(-1),
  ']': () => level(1),
  '[': () => level(-1),
  q: guess,
  '+': () => size(1),
  '=': () => size(1),
  '-': () => size(-1),
  0: () => size(0),
  '?': () => $('#help').showModal(),
  '/': () => $('#query').focus(),
  Enter: () => {
    const c = V.steps[cur].c;
    if (hidden) next();
    else if (c && c.box !== undefined) unfold(c.box);
  },
  Backspace: () => {
    const c = V.steps[cur].c;
    if (c && c.trail.length) fold(c.trail[c.trail.length - 1]);
  },
};
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || $('#help').open) return;
  const t = e.target,
    key = e.key;
  if (t.id === 'query') {
    if (key === 'Escape') {
      t.value = '';
      find();
      t.blur();
    }
    if (key === 'Enter') {
      walk(e.shiftKey ? -1 : 1);
      e.preventDefault();
    }
    return;
  }
  if (t.tagName === 'SELECT' || (t.id === 'by' && /Arrow|Page|Home|End/.test(key))) return;
  const g = t.closest && t.closest('[data-key]');
  if (g && (key === 'Enter' || key === ' ') && !hidden) {
    press(g);
    e.preventDefault();
    return;
  }
  if (t.tagName === 'BUTTON' && (key === 'Enter' || key === ' ')) return;
  if (KEYS[key]) {
    KEYS[key]();
    e.preventDefault();
  }
});
function press(g) {
  const key = g.dataset.key,
    c = V.by.get(key);
  if (!c || (c.box !== undefined && V.steps[cur].c === c)) enter(key);
  else choose(c);
}
let drag;
svg.addEventListener('click', e => {
  const g = e.target.closest('[data-key]');
  if (g && !(drag && drag.far)) press(g);
});
svg.addEventListener('dblclick', e => {
  const g = e.target.closest('.card');
  if (g && g.dataset.key[0] === 'b') unfold(+g.dataset.key.slice(1));
});
view.addEventListener('pointerdown', e => {
  if (e.pointerType === 'mouse')
    drag = {x: e.clientX, y: e.clientY, l: view.scrollLeft, t: view.scrollTop};
});
addEventListener('pointermove', e => {
  if (!drag || !e.buttons) return;
  const dx = e.clientX - drag.x,
    dy = e.clientY - drag.y;
  if (Math.hypot(dx, dy) > 4) drag.far = true;
  if (drag.far) view.scrollTo({left: drag.l - dx, top: drag.t - dy, behavior: 'instant'});
});
view.addEventListener(
  'wheel',
  e => {
    if (!e.ctrlKey) return;
    const r = view.getBoundingClientRect();
    zoom(scale * Math.exp(-e.deltaY / 300), [e.clientX - r.left, e.clientY - r.top]);
    e.preventDefault();
  },
  {passive: false},
);
view.addEventListener('scroll', scrolled, {passive: true});
const jump = e => {
  if (!e.buttons && e.type !== 'pointerdown') return;
  const r = mini.getBoundingClientRect(),
    [, , w, h] = mini.getAttribute('viewBox').split(' ').map(Number);
  view.scrollTo({
    left: ((e.clientX - r.left) / r.width) * w * scale - view.clientWidth / 2,
    top: ((e.clientY - r.top) / r.height) * h * scale - view.clientHeight / 2,
    behavior: 'instant',
  });
};
mini.addEventListener('pointerdown', jump);
mini.addEventListener('pointermove', jump);
$('#info').addEventListener('click', e => {
  const n = e.target.closest('[data-node]'),
    o = e.target.closest('[data-open]');
  if (o) unfold(+o.dataset.open);
  if (!n) return;
  const i = +n.dataset.node,
    c =
      N[i].kind === 'op'
        ? V.by.get(keyOf(i))
        : V.cards.find(d => d.kind === 'leaf' && d.node === i);
  if (c) choose(c);
  else {
    about(i);
    chart();
  }
});
$('#info').addEventListener('input', e => {
  if (e.target.id === 'which') {
    slide = +e.target.value;
    $('#by').value = (D.slides[0].values.length - 1) / 2;
  }
  chart();
});
$('#step').addEventListener('input', e => go(+e.target.value));
$('#query').addEventListener('input', () => {
  hit = -1;
  find();
});
const click = (id, f) => {
  $(id).onclick = f;
};
click('#first', KEYS.Home);
click('#prev', KEYS.ArrowLeft);
click('#next', next);
click('#last', KEYS.End);
click('#turn', KEYS.b);
click('#predict', guess);
click('#more', () => level(1));
click('#less', () => level(-1));
click('#bigger', () => size(1));
click('#smaller', () => size(-1));
click('#ask', KEYS['?']);
click('#in', () => zoom(scale * 1.25));
click('#out', () => zoom(scale / 1.25));
click('#all', () => fit(true));
click('#theme', () => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'));
const dark = matchMedia('(prefers-color-scheme: dark)');
theme(dark.matches ? 'dark' : 'light');
dark.addEventListener('change', () => theme(dark.matches ? 'dark' : 'light'));
addEventListener('resize', map);
draw();
fit();
show();
document.body.dataset.ready = Math.round(performance.now());
