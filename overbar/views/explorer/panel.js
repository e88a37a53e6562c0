// The panel: what the step does, in formulas and numbers.
const CANCEL = 'messages cancel';
const FEW = 50; // rows of a list
const button = (i, bar) =>
  `<button class="name" data-node="${i}">${bar ? over(N[i].name) : H(N[i].name)}</button>`;
const nameOf = c => (c.node === undefined ? B[c.box].path || B[c.box].name : N[c.node].name);
const percent = s => (s === null ? '' : shown(s, fmt(Math.round(s * 1000) / 10) + ' %'));
const dim = text => `<p class="dim">${text}</p>`;
const tick = (title, inside) => `<section class="arrives"><h3>${title}</h3>${inside}</section>`;

// A line of an equation: what stands left of the sign (in MathML) and right of it.
const equation = (left, sign, right, cls = 'result') =>
  `<div class="${cls}"><span class="lhs">${left && math(left) + ' '}${sign} </span>${right}</div>`;
const valueOf = i => equation(symbol(N[i].name), '=', full(N[i].value));
const adjointOf = i => equation(symbol(N[i].name, true), '=', full(N[i].bar));

// A list of at most FEW rows of cells.
function listed(heads, rows, cls = 'list') {
  const head = heads.length && `<thead><tr><th>${heads.join('</th><th>')}</th></tr></thead>`;
  const body = rows.slice(0, FEW).map(r => `<tr><td>${r.join('</td><td>')}</td></tr>`);
  const more = rows.length > FEW ? dim(`… ${rows.length - FEW} more; search finds them`) : '';
  return rows.length
    ? `<table class="${cls}">${head || ''}<tbody>${body.join('')}</tbody></table>${more}`
    : '';
}

// A value as shape and norm, where there is little room.
function short(k) {
  const v = line(k);
  if (v === null) return 'nothing arrived';
  return scalar(v) ? shown(v) : `<span class="dim">${dims(k)}</span> ‖${shown(v[1])}‖`;
}

// A signed share as a bar: what works against the others points left.
function gauge(s) {
  if (s === null) return '';
  const v = Math.max(-1, Math.min(1, s));
  const style = `width:${50 * Math.abs(v)}%;left:${v < 0 ? 50 + 50 * v : 50}%`;
  const bar = `<i class="${v < 0 ? 'against' : ''}" style="${style}"></i>`;
  return `<span class="gauge" aria-hidden="true">${bar}</span>`;
}

function source(i) {
  if (N[i].line === undefined) return '';
  const [file, number, text] = D.lines[N[i].line];
  const place = `<span class="dim">${H(file)}:${number}</span>`;
  return `<p class="source">${place}<code>${H(text)}</code></p>`;
}
function where(trail, i) {
  const b = trail.filter(b => B[b].kind === 'module').pop();
  const parts = b === undefined ? [] : [B[b].path || B[b].name];
  if (N[i].turn) parts.push(N[i].turn);
  return parts.length ? dim(`in ${H(parts.join(', '))}`) : '';
}

// Whether an adjoint is nothing, or next to nothing, though its parts are not.
const cancels = t =>
  Number.isFinite(normOf(N[t].bar)) &&
  to[t].length > 1 &&
  to[t].every(k => M[k][3] === null) &&
  to[t].some(k => normOf(M[k][2]) > 0);

// The parts of an adjoint: those that have arrived by now, those to come, their sum.
function parts(t, step, hidden) {
  const list = partsOf(t);
  if (list.length < 2) return '';
  const came = list.filter(p => p.at < step || (p.at === step && !hidden));
  const rows = list.map(p => {
    const who = p.seed ? 'the seed' : 'via ' + H(nameOf(p.c));
    if (!came.includes(p))
      return `<tr class="later"><td>${who}</td><td colspan="3">not yet</td></tr>`;
    const told = p.seed ? ['1', '', ''] : [short(p.m.value), gauge(p.m.share), percent(p.m.share)];
    return `<tr><td>${[who, ...told].join('</td><td>')}</td></tr>`;
  });
  const name = over(N[t].name);
  const caption = `<caption>${name} so far: ${came.length} of ${list.length} parts</caption>`;
  const table = `<table class="parts">${caption}<tbody>${rows.join('')}</tbody></table>`;
  if (came.length < list.length) return table;
  const zero = cancels(t) ? ` <b>${CANCEL}</b>` : '';
  return `${table}<p class="sum">${name} = ${short(N[t].bar)}${zero}</p>`;
}

// One message: the rule, its values, the result, its share.
function message(c, m, step, hidden) {
  const t = m.to;
  const head = `<section class="message"><h3>to ${button(t)}</h3>`;
  if (hidden)
    return `${head}<p class="guess">What is sent? <kbd>Enter</kbd> shows it.</p></section>`;
  const several = partsOf(t).length > 1;
  const part = m.share === null ? '' : `${percent(m.share)} of ${over(N[t].name)}`;
  const share = cancels(t) ? `<b>${CANCEL}</b>` : `${gauge(m.share)} <span>${part}</span>`;
  const inside = m.count > 1 ? plural(m.count, 'message') + ' from inside, summed' : 'from inside';
  return (
    head +
    (c.node === undefined ? dim(inside) : derived(c, t, several ? '+=' : '=')) +
    equation('', '=', full(m.value)) +
    (c.node === undefined ? '' : localOf(c, t)) +
    `<p class="share">${share}</p>${parts(t, step, hidden)}</section>`
  );
}
function derived(c, t, sign) {
  const {rule, inputs, own} = ruleOf(c);
  const slot = inputs.indexOf(t);
  const pair = rule.back[slot];
  if (!pair) return '';
  const names = inputs.map(x => N[x].name);
  const target = symbol(N[t].name, true);
  const h = equation(target, sign, written(pair, names, N[own].name), 'rule');
  const numbers = pair[0] === '{bar}' ? '' : valued(pair, inputs, own);
  return h + (numbers && equation('', '=', numbers, 'rule values'));
}
// The derivative of the operation alone, where it is a number for each entry.
function localOf(c, t) {
  const {inputs, own} = ruleOf(c);
  const k = ((c.kind === 'row' ? B[c.box] : N[own]).local || {})[inputs.indexOf(t)];
  const v = line(k);
  if (v === null) return '';
  const range = scalar(v) ? `= ${shown(v)}` : `from ${shown(v[2])} to ${shown(v[3])}`;
  return dim(`local derivative ∂${H(N[own].name)}/∂${H(N[t].name)} ${range}`);
}

// Whether an operation's result is used outside of a box.
const leaves = (c, i) => D.outputs.includes(i) || uses[i].some(u => !trails[u].includes(c.box));
function inside(c, back) {
  const list = B[c.box].leaves.filter(x => !back || N[x].bar !== undefined);
  const rows = list.map(x => [button(x), short(N[x].value), ...(back ? [short(N[x].bar)] : [])]);
  return listed(['inside', 'value', ...(back ? ['adjoint'] : [])], rows);
}

const TOLD = {
  given() {
    const all = N.map((n, i) => i).filter(i => N[i].kind !== 'op');
    const rows = all.map(i => [
      button(i),
      `${short(N[i].value)} <span class="dim">${N[i].kind}</span>`,
    ]);
    return ['What is given', whatIf() + listed(['name', 'value'], rows)];
  },
  f({c}) {
    if (c.node === undefined) {
      const ends = c.ops.filter(i => leaves(c, i)).map(valueOf);
      return [`forward through ${H(nameOf(c))}`, tick('gives', ends.join('')) + inside(c)];
    }
    const {rule, inputs, own} = ruleOf(c);
    const names = inputs.map(x => N[x].name);
    const numbers = valued(rule.forward, inputs, own);
    const h =
      equation(symbol(N[own].name), '=', written(rule.forward, names, N[own].name), 'rule') +
      (numbers && equation('', '=', numbers, 'rule values')) +
      equation('', '=', full(N[own].value));
    const bad = lost(N[own].value) ? '<p class="bad">not finite</p>' : '';
    return [`computes ${H(N[own].name)}`, h + bad + source(own) + where(c.trail, own)];
  },
  seed() {
    const each = D.outputs.map(y => {
      const name = H(N[y].name);
      return (
        `<p class="big">${over(N[y].name)} = 1</p>` +
        valueOf(y) +
        dim(`A change of ${name} changes ${name} by as much.`)
      );
    });
    return ['The way back begins', each.join('')];
  },
  b({c}, step, hidden) {
    const ends = c.node !== undefined ? [c.node] : c.ops.filter(i => leaves(c, i));
    const came = ends.filter(i => N[i].bar !== undefined).map(adjointOf);
    const sent = c.sent.map(m => message(c, m, step, hidden));
    const words = c.kind === 'op' && ruleOf(c).rule.words;
    const rest =
      c.node === undefined
        ? inside(c, true)
        : (words ? `<p class="words">${H(words)}</p>` : '') + source(c.node) + where(c.trail, c.node);
    return [`back through ${H(nameOf(c))}`, tick('arrives', came.join('')) + sent.join('') + rest];
  },
  end() {
    const rows = D.variables.map(i => {
      const v = line(N[i].bar);
      const g = v !== null && scalar(v) ? real(v) : 0;
      const against = v !== null && !scalar(v) && normOf(N[i].bar) ? '−' + over(N[i].name) : '';
      return [button(i, true), short(N[i].bar), g > 0 ? '↓ less' : g < 0 ? '↑ more' : against];
    });
    return ['The gradient', whatIf() + listed(['adjoint', 'value', 'downhill'], rows)];
  },
};
function panel(step, hidden) {
  const s = V.steps[step];
  const [title, told] = TOLD[s.k](s, step, hidden);
  const what = s.c && s.c.kind === 'row' ? 'Show its operations' : 'Open';
  const opens =
    s.c && s.c.box !== undefined
      ? `<p><button data-open="${s.c.box}">${what} <kbd>Enter</kbd></button></p>`
      : '';
  const cls = step < V.turn ? 'phase' : 'phase back';
  put(`<p class="${cls}">${phase(step)}</p><h2>${title}</h2>${told}${opens}`);
  say(`${phase(step)}: ${spoken(s, hidden)}`);
}

// A leaf that was chosen.
function about(i) {
  const n = N[i];
  const bar = n.bar !== undefined;
  put(
    `<p class="phase">${n.kind}</p><h2>${H(n.name)}</h2>` +
      valueOf(i) +
      (bar ? adjointOf(i) + parts(i, V.steps.length) : dim('No adjoint: nothing asks for one.')) +
      source(i) +
      (bar ? whatIf(i) : ''),
  );
  say(`${n.kind} ${n.name}, ${brief(n.value)}` + (bar ? `, ${n.name} bar ${brief(n.bar)}` : ''));
}

function put(h) {
  const info = $('#info');
  info.innerHTML = h;
  info.scrollTop = 0;
  for (const e of info.querySelectorAll('.rule, .result')) {
    if (e.scrollWidth <= e.clientWidth) continue;
    e.tabIndex = 0; // what scrolls can be reached by keys
    e.setAttribute('role', 'group');
    e.setAttribute('aria-label', 'formula');
  }
}
// To a screen reader: by the slider if that is where one is, else by the live region.
function say(text) {
  const slider = $('#step');
  slider.setAttribute('aria-valuetext', text);
  if (document.activeElement !== slider) $('#said').textContent = text;
}
const phase = i => `${i < V.turn ? 'forward' : 'backward'} ${i + 1} of ${V.steps.length}`;
function spoken(s, hidden) {
  const c = s.c;
  if (s.k === 'given') return 'what is given';
  if (s.k === 'seed') return 'the adjoint of the result is 1';
  if (s.k === 'end') return 'the gradient is complete';
  if (s.k === 'f') return `${c.name}${c.node === undefined ? '' : ' is ' + brief(N[c.node].value)}`;
  const sent = c.sent.slice(0, 6).map(m => `to ${N[m.to].name}: ${brief(m.value)}`);
  return `through ${nameOf(c)}, ${hidden ? 'what is sent?' : sent.join('; ')}`;
}
