// What if an input were another: the result at 41 places, beside what its adjoint says.
let slide = 0;
const middle = () => (D.slides[0].values.length - 1) / 2;
const result = () => (D.outputs.length === 1 ? N[D.outputs[0]].name : 'the results');
function slideName(s) {
  if (s.node === null) return 'all variables, downhill';
  return N[s.node].name + (s.entry === null ? '' : `[${place(s)}]`);
}
// The index of an entry: of its number in C order, by the shape.
function place(s) {
  let k = s.entry;
  const digits = shape(N[s.node].value)
    .map(d => d)
    .reverse()
    .map(d => {
      const r = k % d;
      k = (k - r) / d;
      return r;
    });
  return digits.reverse().join(', ');
}

function whatIf(node) {
  const mine = D.slides.findIndex(s => s.node === node);
  if (!D.slides.length || (node !== undefined && mine < 0)) return '';
  if (node !== undefined) slide = mine;
  const options = D.slides.map(
    (s, i) => `<option value="${i}"${i === slide ? ' selected' : ''}>${H(slideName(s))}</option>`,
  );
  return (
    '<section class="whatif"><h3>What if?</h3>' +
    `<p><label>move <select id="which">${options.join('')}</select></label></p>` +
    '<div id="chart"></div>' +
    `<p><label>by <input type="range" id="by" min="0" max="${2 * middle()}" value="${middle()}">` +
    '</label></p><div id="told"></div>' +
    dim(
      'The recorded operations, run again: what was cut off, and every branch, stays as it was.',
    ) +
    '</section>'
  );
}

function chart() {
  if (!$('#chart')) return;
  const s = D.slides[slide];
  const ys = s.values.map(real);
  const at = +$('#by').value;
  const mid = middle();
  const x = k => ((k - mid) / mid) * s.reach;
  $('#chart').innerHTML = curve(s, ys, at, x);
  const guess = s.slope * x(at);
  const change = ys[at] - ys[mid];
  const all = s.node === null;
  const what = all ? 'the variables, in norm' : H(slideName(s));
  const name = H(result());
  const rule = all ? '−‖ḡ‖ · δ' : `${over(N[s.node].name)} · δ`;
  const way = s.slope > 0 ? 'less' : 'more';
  const downhill = all
    ? 'Downhill is to the right.'
    : `Downhill: <b>${way}</b> of ${what}, for ${over(N[s.node].name)} = ${shown(s.slope)}.`;
  $('#told').innerHTML =
    listed(
      [],
      [
        [`change of ${what}`, shown(x(at))],
        [`<span class="red">predicted change of ${name}: ${rule}</span>`, shown(guess)],
        [`actual change of ${name}`, shown(change)],
      ],
    ) + `<p class="downhill">${s.slope === 0 ? 'Level here: the adjoint is 0.' : downhill}</p>`;
  const said = `change ${fmt(x(at))}, predicted ${fmt(guess)}, actual ${fmt(change)}`;
  $('#by').setAttribute('aria-valuetext', said);
}

// The result in black, the tangent in red, a dot where the slider is.
function curve(s, ys, at, x) {
  const n = ys.length;
  const known = ys.filter(Number.isFinite);
  const low = Math.min(...known);
  const high = Math.max(...known);
  const room = (high - low || Math.abs(high) || 1) * 0.12;
  const [W, T] = [320, 170];
  const px = k => 8 + (k / (n - 1)) * (W - 16);
  const py = v => T - 22 - ((v - low + room) / (high - low + 2 * room)) * (T - 34);
  const tangent = k => py(ys[middle()] + s.slope * x(k));
  const there = Number.isFinite(ys[at]);
  const run = ys.map((v, k) => {
    if (!Number.isFinite(v)) return '';
    return `${k && Number.isFinite(ys[k - 1]) ? 'L' : 'M'}${px(k)} ${py(v)}`;
  });
  const base = s.node === null ? 0 : real(s.at);
  const label = (k, anchor) =>
    `<text x="${px(k)}" y="${T - 6}" text-anchor="${anchor}">${fmt(base + x(k))}</text>`;
  const about = `${H(result())} as ${H(slideName(s))} moves`;
  const gap = Math.min(T - 20, Math.max(6, tangent(at)));
  return (
    `<svg viewBox="0 0 ${W} ${T}" role="img" aria-label="${about}">` +
    `<clipPath id="in"><rect x="4" y="4" width="${W - 8}" height="${T - 24}"/></clipPath>` +
    `<path class="axis" d="M8 ${T - 20}H${W - 8}M${px(middle())} 6V${T - 20}"/>` +
    `<g clip-path="url(#in)"><path class="tangent" d="M${px(0)} ${tangent(0)}L${px(n - 1)} ` +
    `${tangent(n - 1)}"/><path class="curve" d="${run.join('')}"/></g>` +
    (there ? `<path class="gap" d="M${px(at)} ${py(ys[at])}V${gap}"/>` : '') +
    (there ? `<circle class="dot" cx="${px(at)}" cy="${py(ys[at])}" r="5"/>` : '') +
    `${label(0, 'start')}${label(middle(), 'middle')}${label(n - 1, 'end')}</svg>`
  );
}
