// Lines, nodes and kernels, and what belongs to what.
const chips = steps =>
  `<span class="chips">${steps
    .slice(0, 6)
    .map(s => `<span class="chip${D.steps[s].native ? '' : ' foreign'}">${s + 1}</span>`)
    .join('')}${steps.length > 6 ? '<span class="chip">…</span>' : ''}</span>`;
const many = n => n.toLocaleString('en');
const add = (parent, markup) => parent.insertAdjacentHTML('beforeend', markup);

$('#summary').textContent = D.summary;
for (const f of D.files) {
  add($('#lines'), `<h2>${H(f.name)}</h2>`);
  for (const row of f.rows) {
    if (!row) add($('#lines'), '<div class="row"><span class="no">⋯</span></div>');
    else {
      const [no, text, k] = row,
        inside = `<span class="no">${no}</span><code>${H(text) || ' '}</code>`;
      add(
        $('#lines'),
        k === null
          ? `<div class="row">${inside}</div>`
          : `<button class="row" aria-pressed="false" data-line="${k}">${inside}${chips(D.lines[k].steps)}</button>`,
      );
    }
  }
}
add($('#kernels'), `<h2>${H(D.kernels)}</h2>`);
D.steps.forEach((s, i) => {
  const facts = [`${many(s.flops)} FLOPs`, `${many(s.bytes)} bytes`];
  if (s.native) facts.push(plural(s.parts, 'part'), `level ${s.level}`);
  const runs = s.native ? '' : `<p class="why">with NumPy: ${H(s.why)}</p>`;
  const chip = `<span class="chip${s.native ? '' : ' foreign'}">${i + 1}</span>`;
  add(
    $('#kernels'),
    `<button class="step" aria-pressed="false" data-step="${i}"><h3 role="presentation"><span>${H(s.name)}</span>${chip}</h3>` +
      `<p class="what">${H(s.operations.join(' '))}</p>${runs}` +
      `<p class="dim">${facts.join(' · ')}</p></button>` +
      (s.text ? `<details><summary>what it computes</summary><pre tabindex="0">${H(s.text)}</pre></details>` : ''),
  );
});
D.passes.forEach((p, i) =>
  add(
    $('#passes'),
    `<label${p.nodes ? '' : ' class="same"'}><input type="radio" name="pass" value="${i}"><b>${H(p.name)}</b><span>${many(nodesOf(i).length)}</span></label>`,
  ),
);

const listOf = (counts, sign) =>
  Object.entries(counts)
    .map(([op, n]) => `${sign}${n} ${op}`)
    .join(', ');
function pass(p) {
  if (pinned?.[0] === 'node') pinned = null;
  shown = p;
  const {purpose, gone, came} = D.passes[p];
  const changes = p
    ? [listOf(gone, '−'), listOf(came, '+')].filter(t => t).join(', ') || 'Here it changed nothing.'
    : '';
  $('#purpose').innerHTML = `${H(purpose)} <span>${H(changes)}</span>`;
  $(`#passes input[value="${p}"]`).checked = true;
  list(wish ?? nodesOf(p).length > LARGE);
}
let wish = null; // as text or as a picture, once somebody has chosen
function list(on) {
  listed = on;
  $('#listing').setAttribute('aria-pressed', on);
  draw();
  light(pinned);
}
const toggle = () => list((wish = !listed));

// -- what belongs together ----------------------------------------------------------------------

let pinned = null;
function together(what) {
  const [kind, i] = what,
    nodes = nodesOf(shown);
  if (kind === 'line') {
    const on = nodes.map(n => n.lines.includes(i));
    return {lines: [i], steps: D.lines[i].steps, on};
  }
  if (kind === 'step') {
    const on = nodes.map(n => n.steps.includes(i));
    return {lines: D.steps[i].lines, steps: [i], on};
  }
  return {lines: nodes[i].lines, steps: nodes[i].steps, on: nodes.map((_, k) => k === i)};
}
function light(what, reveal) {
  document.body.classList.toggle('some', !!what);
  for (const e of document.querySelectorAll('.on')) e.classList.remove('on');
  if (!what) {
    $('#said').textContent = 'Point at a line, a node or a kernel to see what became of it; click to keep it.';
    return;
  }
  const {lines, steps, on} = together(what);
  const find = (name, k) => document.querySelector(`[data-${name}="${k}"]`);
  for (const k of lines) find('line', k).classList.add('on');
  for (const k of steps) find('step', k).classList.add('on');
  for (const [e, i, from] of drawn)
    if (on[i] && (from === undefined || on[from] || what[0] === 'node')) e.classList.add('on');
  const count = on.filter(x => x).length;
  const uses = {};
  for (const k of steps) uses[D.steps[k].name] = (uses[D.steps[k].name] || 0) + 1;
  const said = Object.entries(uses).map(([name, n]) => (n > 1 ? `${name} × ${n}` : name));
  const names = said.join(', ') || 'no kernel';
  const where = lines.map(k => D.lines[k].line).join(', ');
  const parts = [plural(count, 'node') + ' here', names];
  if (where) parts.unshift(`line ${where}`);
  $('#said').textContent = parts.join('  ·  ');
  if (!reveal) return;
  const quiet = {block: 'nearest', inline: 'nearest'};
  if (what[0] !== 'node') view.querySelector('.card.on, .row.on')?.scrollIntoView(quiet);
  if (what[0] !== 'line' && lines.length) find('line', lines[0]).scrollIntoView(quiet);
  if (what[0] !== 'step' && steps.length) find('step', steps[0]).scrollIntoView(quiet);
}
const whatOf = target => {
  const e = target.closest?.('[data-line], [data-step], [data-node]');
  if (!e) return null;
  for (const kind of ['line', 'step', 'node'])
    if (e.dataset[kind] !== undefined) return [kind, +e.dataset[kind]];
};
const same = (a, b) => a && b && a[0] === b[0] && a[1] === b[1];
function pin(what) {
  pinned = same(pinned, what) ? null : what;
  for (const e of document.querySelectorAll('button[data-line], button[data-step], button[data-node]'))
    e.setAttribute('aria-pressed', same(pinned, whatOf(e)) || false);
  light(pinned, true);
}
document.addEventListener('pointerover', e => {
  const what = whatOf(e.target);
  light(what || pinned);
});
document.addEventListener('focusin', e => {
  const what = whatOf(e.target);
  if (what && e.target.matches(':focus-visible')) light(what, true);
});
document.addEventListener('click', e => {
  const what = whatOf(e.target);
  if (what) pin(what);
});

// -- size ---------------------------------------------------------------------------------------

function zoom(to) {
  const svg = view.querySelector('svg');
  if (!svg) return;
  const centre = (view.scrollLeft + view.clientWidth / 2) / scale;
  scale = Math.min(2.5, Math.max(0.25, to));
  const [, , w, h] = svg.getAttribute('viewBox').split(' ');
  svg.setAttribute('width', w * scale);
  svg.setAttribute('height', h * scale);
  view.scrollLeft = centre * scale - view.clientWidth / 2;
}
$('#bigger').onclick = () => zoom(scale * 1.25);
$('#smaller').onclick = () => zoom(scale / 1.25);

// -- keys ---------------------------------------------------------------------------------------

const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = to => (document.documentElement.dataset.theme = to);
const step = by => pass(Math.max(0, Math.min(D.passes.length - 1, shown + by)));
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const card = e.target.closest('.card');
  if (e.key === ']') step(1);
  else if (e.key === '[') step(-1);
  else if (e.key === '+' || e.key === '=') zoom(scale * 1.25);
  else if (e.key === '-') zoom(scale / 1.25);
  else if (e.key === 't') toggle();
  else if (e.key === 'Escape') pin(pinned);
  else if (card && (e.key === 'Enter' || e.key === ' ')) pin(whatOf(card));
  else if (card && /^Arrow/.test(e.key)) {
    const cards = [...document.querySelectorAll('.card')];
    const by = /Down|Right/.test(e.key) ? 1 : -1;
    const to = cards[cards.indexOf(card) + by];
    if (!to) return;
    card.setAttribute('tabindex', -1);
    to.setAttribute('tabindex', 0);
    to.focus();
  } else return;
  e.preventDefault();
});
$('#passes').addEventListener('change', e => pass(+e.target.value));
$('#listing').onclick = toggle;
$('#theme').onclick = () => theme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
theme(dark.matches ? 'dark' : 'light');
dark.addEventListener('change', () => theme(dark.matches ? 'dark' : 'light'));
pass(D.passes.length - 1);
zoom(Math.max(0.7, Math.min(1, view.clientWidth / view.scrollWidth || 1))); // 0 / 0: not seen yet
document.body.dataset.ready = Math.round(performance.now());
