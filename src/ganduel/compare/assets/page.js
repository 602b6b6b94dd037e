"use strict";
// Everything from runs is put on the page as text (textContent) or as numbers. Plotly interprets tags in labels, so text
// that it draws is escaped by `label`.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

// Okabe & Ito's colours, distinguishable by colour-blind readers, some darkened for contrast on white, and a lighter set
// for the dark theme. The paper's two forms have the same colours everywhere; other levels and forms take the rest in order.
const COLOURS = {
  light: ["#0072b2", "#d55e00", "#008a64", "#c0629a", "#8c6d00", "#4b4b9b", "#707070"],
  dark: ["#56b4e9", "#ff9f40", "#2fd3a1", "#e8a8cc", "#f0e442", "#a9a9ff", "#bbbbbb"],
};
const FORM_COLOURS = { nonsaturating: 0, saturating: 1 };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const PATTERNS = ["", "/", ".", "x", "-"]; // of bars, as dashes are of lines
const MARKS = ["circle", "square", "diamond", "cross", "x", "triangle-up", "star"];
const named = [...new Set([...data.levels, ...data.loss_forms.map((form) => form.name)])];
const taken = named.filter((name) => Object.hasOwn(FORM_COLOURS, name)).map((name) => FORM_COLOURS[name]);
const free = COLOURS.light.map((_, n) => n).filter((n) => !taken.includes(n));
const rest = named.filter((name) => !Object.hasOwn(FORM_COLOURS, name));
const indexOf = (name) => (Object.hasOwn(FORM_COLOURS, name) ? FORM_COLOURS[name] : free[rest.indexOf(name) % free.length]);
const dark = () => document.documentElement.dataset.theme === "dark";
const colour = (level) => COLOURS[dark() ? "dark" : "light"][indexOf(level)];
const dash = (group) => DASHES[data.strata.indexOf(group.stratum) % DASHES.length];
const pattern = (group) => PATTERNS[data.strata.indexOf(group.stratum) % PATTERNS.length];
const mark = (level) => MARKS[data.levels.indexOf(level) % MARKS.length];
const faint = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
const groupName = (group) => (group.stratum ? `${group.level} · ${group.stratum}` : group.level);
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "%": "&#37;" }; // %{…} is plotly's for a value
const label = (text) => String(text).replace(/[&<>%]/g, (sign) => ENTITIES[sign]);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function number(x) {
  if (x === null || x === undefined) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e6 || size < 1e-3 ? x.toExponential(2) : size >= 1000 ? x.toFixed(0) : String(Number(x.toPrecision(3)));
  return text.replaceAll("-", "−");
}
function breakable(text, after = "/,") {
  // Names of runs and metrics are long and have no spaces.
  const fragment = document.createDocumentFragment();
  for (const part of String(text).split(new RegExp(`(?<=[${after}])`))) fragment.append(part, element("wbr"));
  return fragment;
}
const interval = (low, high) => (low === null || high === null ? "" : ` [${number(low)}, ${number(high)}]`);

// ---- settings, kept in the URL so that they survive a reload -----------------------------------------------------------

const chosen = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
let writing = 0;
function keep(key, value) {
  chosen[key] = value;
  clearTimeout(writing); // browsers throttle changes of the URL, which a slider would make at every move
  writing = setTimeout(write, 200);
}
function write() {
  if (Object.keys(chosen).length) history.replaceState(null, "", "#" + new URLSearchParams(chosen));
}
window.addEventListener("pagehide", write);
function bind(id, event, redraw) {
  const input = $(id);
  const read = () => (input.type === "checkbox" ? String(input.checked) : input.value);
  const possible = { "select-one": (value) => [...input.options].some((option) => option.value === value), range: (value) => value >= 0 }[input.type];
  if (id in chosen && (possible?.(chosen[id]) ?? true)) {
    if (input.type === "checkbox") input.checked = chosen[id] === "true";
    else input.value = chosen[id];
  }
  input.addEventListener(event, () => {
    keep(id, read());
    redraw();
  });
}
function slider(id, iterations, redraw) {
  // A slider over iterations, by default at the last. The iteration itself is kept, since their list may grow.
  const input = $(id);
  input.max = Math.max(0, iterations.length - 1);
  input.value = id in chosen ? Math.max(0, iterations.findLastIndex((n) => n <= Number(chosen[id]))) : input.max;
  const show = () => {
    const text = iterations.length ? iterations[input.value].toLocaleString("en") : "–";
    $(`${id}-value`).textContent = text;
    input.setAttribute("aria-valuetext", `iteration ${text}`);
    redraw();
  };
  const move = () => {
    keep(id, iterations[input.value]);
    show();
  };
  input.addEventListener("input", move);
  return { show, at: () => iterations[input.value], move: (index) => ((input.value = index), move()) };
}

// ---- plots: drawn when they come into view -----------------------------------------------------------------------------

const plots = new Map(); // element → function that returns {traces, layout}
const inView = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        inView.add(entry.target);
        draw(entry.target);
      } else inView.delete(entry.target);
    }
  },
  { rootMargin: "300px" },
);
const stale = new Set();
const BUTTONS = [["toImage", "zoomIn2d", "zoomOut2d", "resetScale2d"]]; // few, since each takes a press of the Tab key
let printing = false;

function layout(more) {
  const ink = css("--ink"), line = css("--line");
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
  const { xaxis, yaxis, yaxis2, ...others } = more;
  return {
    margin: { l: 48, r: 12, t: 8, b: xaxis?.title ? 40 : 24 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, size: 12, family: "system-ui, sans-serif" }, modebar: { color: css("--soft"), activecolor: ink, bgcolor: "rgba(0,0,0,0)" }, showlegend: false, hovermode: "closest",
    hoverlabel: { bgcolor: css("--panel"), bordercolor: line, font: { color: ink } },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, automargin: true, ...yaxis },
    ...(yaxis2 ? { yaxis2: { ...axis, showgrid: false, overlaying: "y", side: "right", ...yaxis2 } } : {}),
    ...others,
  };
}
function draw(target) {
  if (!stale.has(target) || target.closest("details:not([open])")) return;
  stale.delete(target);
  const { traces, layout: more } = plots.get(target)();
  const size = printing ? { width: 320, height: 224 } : { width: target.clientWidth, height: target.clientHeight }; // as in page.css
  Plotly.react(target, traces, { ...layout(more), ...size, autosize: true }, { displaylogo: false, responsive: true, modeBarButtons: BUTTONS });
}
function redraw(kind) {
  for (const target of plots.keys()) {
    if (kind && target.dataset.kind !== kind) continue;
    stale.add(target);
    if (inView.has(target)) draw(target);
  }
}
function panel(parent, kind, heading, note, make) {
  const target = element("div", { className: "plot" });
  target.dataset.kind = kind;
  const caption = element("figcaption", {}, breakable(heading), " ", element("small", {}, note));
  parent.append(element("figure", { className: "panel" }, caption, target));
  plots.set(target, make);
  stale.add(target);
  watcher.observe(target);
}

// ---- the answer --------------------------------------------------------------------------------------------------------

function row(table, cells, tag = "td") {
  const line = element("tr");
  for (const cell of cells) {
    const { text = cell, className = "", node = null } = cell !== null && typeof cell === "object" ? cell : {};
    line.append(element(tag, { className, ...(tag === "th" ? { scope: "col" } : {}) }, node ?? breakable(text)));
  }
  table.append(line);
  return line;
}
const right = (text) => ({ text, className: "number" });

function answer() {
  for (const place of document.querySelectorAll(".interval-note")) place.textContent = data.interval_note ?? "";
  const going = data.runs.filter((run) => run.status === "unfinished").length;
  $("meta").textContent = `${going ? `${going} unfinished · ` : ""}ganduel ${data.version} · ${data.created.replace("T", " ").slice(0, 16)} UTC`;
  const notes = $("notes").querySelector("ul");
  for (const warning of data.warnings) notes.append(element("li", {}, warning));
  $("notes").hidden = !data.warnings.length;
  const head = $("differences").tHead, body = $("differences").tBodies[0];
  row(head, ["pair", "metric", right("n"), right("difference"), right("p"), right("p, Holm"), right("effect"), right("wins of the first"), right("seeds needed")], "th");
  for (const d of data.differences) {
    const pair = `${d.first} − ${d.second}` + (d.stratum ? ` (${d.stratum})` : "");
    row(body, [pair, d.metric, ...["n", "difference", "p", "Holm", "effect", "wins", "needed"].map((name) => right(d.texts[name]))]);
  }
  $("differences").parentElement.hidden = !data.differences.length;
  row($("failures").tHead, [data.factor, right("runs"), right("unfinished"), right("failed"), right("share"), "reasons"], "th");
  for (const cell of data.cells) {
    const f = cell.failures;
    row($("failures").tBodies[0], [groupName(cell), right(Object.keys(cell.runs).length), right(cell.unfinished), right(`${f.count} of ${f.n}`),
      right(f.text), { text: f.reasons.join("; "), className: "remarks" }]);
  }
}

// ---- final values ------------------------------------------------------------------------------------------------------

const better = {};
for (const d of data.differences) better[d.metric] = d.higher_is_better;
const direction = (metric) => (better[metric] === true ? "more is better" : better[metric] === false ? "less is better" : "");

function finals() {
  for (const metric of data.metrics) panel($("final-panels"), "finals", metric, direction(metric), () => finalPlot(metric));
  $("finals").hidden = !data.metrics.length;
}
function finalPlot(metric) {
  const traces = [];
  const done = data.runs.filter((run) => run.status === "finished" && run.finals[metric] !== null);
  const pairs = new Map();
  for (const run of done) {
    const key = `${run.stratum} ${run.seed}`;
    pairs.set(key, [...(pairs.get(key) ?? []), run]);
  }
  for (const runs of pairs.values())
    if (runs.length > 1)
      traces.push({ x: runs.map((r) => r.group), y: runs.map((r) => r.finals[metric]), mode: "lines", line: { color: faint(css("--soft"), 0.5), width: 1 }, hoverinfo: "skip" });
  data.groups.forEach((group, n) => {
    const runs = done.filter((run) => run.group === n);
    traces.push({
      x: runs.map(() => n), y: runs.map((r) => r.finals[metric]), text: runs.map((r) => `seed ${r.seed}${r.failure ? " (failed)" : ""}`), mode: "markers", hovertemplate: `${label(groupName(group))}, %{text}: %{y:.4g}<extra></extra>`,
      marker: { color: faint(colour(group.level), 0.65), size: 7, symbol: runs.map((r) => mark(group.level) + (r.failure ? "-open" : "")) },
    });
    const final = data.cells[n].finals[metric];
    if (final && final.n)
      traces.push({
        x: [n + 0.18], y: [final.mean], mode: "markers", hovertemplate: `${label(groupName(group))}, mean: %{y:.4g}${label(interval(final.low, final.high))}<extra></extra>`,
        marker: { color: colour(group.level), size: 11, symbol: mark(group.level), line: { color: css("--ink"), width: 1 } },
        error_y: final.low === null ? undefined : { type: "data", symmetric: false, array: [final.high - final.mean], arrayminus: [final.mean - final.low], color: colour(group.level), thickness: 2 },
      });
  });
  const floor = data.floors[metric];
  if (floor !== null && floor !== undefined)
    traces.push({ x: [-0.5, data.groups.length - 0.5], y: [floor, floor], mode: "lines", line: { color: css("--soft"), dash: "dash", width: 1 }, hovertemplate: "real samples %{y:.4g}<extra></extra>" });
  return { traces, layout: { xaxis: { ...finalTicks(), range: [-0.5, data.groups.length - 0.5], zeroline: false, automargin: true }, yaxis: { zeroline: false } } };
}
function finalTicks() {
  // Names of groups are tick labels if there is room, or else names of strata; the legend above has the others.
  const indices = (test) => data.groups.map((_, n) => n).filter((n) => test(data.groups[n]));
  const strata = data.strata.map((name) => [[name], indices((group) => group.stratum === name)]);
  const named = fits(groupNames()) ? groupNames().map((names, n) => [names, [n]]) : fits(strata.map(([names]) => names)) ? strata : [];
  return {
    tickvals: named.map(([, indices]) => (indices[0] + indices.at(-1)) / 2),
    ticktext: named.map(([names]) => pieces(names).map(label).join("<br>")),
    tickangle: 0,
  };
}
const groupNames = () => data.groups.map((group) => [group.level, group.stratum]);
const pieces = (names) => names.filter(Boolean).flatMap((text) => text.split(", "));
const fits = (names) => names.length * Math.max(...names.flatMap(pieces).map((text) => text.length)) <= 40;

// ---- curves ------------------------------------------------------------------------------------------------------------

// Losses that are no cross-entropy log no D(x): their logits are no log-odds, and their unit is their own.
const NATS = data.groups.every((group) => group.curves["d/fake"]) ? "nats, " : "";
const NAMES = {
  "loss/d": ["Loss of D", `${NATS}without penalty`], "loss/g": ["Loss of G", `${NATS}not comparable between forms`], "loss/penalty_d": ["Penalty of D", ""], "loss/penalty_g": ["Penalty of G", ""],
  "d/real": ["D(x)", "mean over real samples"], "d/fake": ["D(G(z))", "mean, in D's update"], "d/fake_g": ["D(G(z))", "mean, in G's update"],
  "logit/real": ["D's output on real samples", "mean logit"], "logit/fake": ["D's output on generated samples", "mean logit"],
  "d/accuracy_real": ["Accuracy of D on real samples", ""], "d/accuracy_fake": ["Accuracy of D on generated samples", ""], "d/accuracy_pair": ["Accuracy of D on pairs", "the real one has the larger logit"],
  "grad/norm_d": ["Gradient of D", "norm"], "grad/norm_g": ["Gradient of G", "norm, of the loss that is trained"],
  "saturation/slope": ["Slope of G's loss", "mean |∂L_G/∂b|, at D's logits"],
  "saturation/slope_saturating": ["Slope of the saturating form", "mean D(G(z)), at D's logits"], "saturation/slope_nonsaturating": ["Slope of the non-saturating form", "mean 1 − D(G(z))"],
  "saturation/ratio": ["Ratio of the slopes", "saturating over non-saturating"], "saturation/share_rejected": ["Rejected samples", "share with D(G(z)) < 0.01"],
  "saturation/grad_norm_saturating": ["G's gradient, saturating form", "norm, whichever form trains"], "saturation/grad_norm_nonsaturating": ["G's gradient, non-saturating form", "norm, whichever form trains"],
  "saturation/cosine": ["Cosine of the two gradients", "of G, under both forms"],
};
const GROUPS = [
  ["Losses", (key) => key.startsWith("loss/")],
  ["D(x) and D(G(z))", (key) => /^d\/(real|fake|fake_g|accuracy_real|accuracy_fake|accuracy_pair)$/.test(key)],
  ["Logits of D", (key) => /^logit\/(real|fake|fake_g)$/.test(key)],
  ["Gradients", (key) => key.startsWith("grad/")],
  ["Saturation", (key) => key.startsWith("saturation/") && !/_q\d\d$/.test(key)],
];

function curves() {
  const keys = [...new Set(data.groups.flatMap((group) => Object.keys(group.curves)))];
  const many = (key) => data.groups.some((group) => (group.curves[key]?.at.length ?? 0) > 1 && group.curves[key].mean.some((v) => v !== 0));
  const left = new Set(keys.filter((key) => many(key) && !key.endsWith("/floor") && !key.endsWith("/error")));
  const take = (test) => [...left].filter((key) => test(key) && left.delete(key));
  const parts = [["Sample metrics", take((key) => data.metrics.includes(key))], ...GROUPS.map(([name, test]) => [name, take(test)]), ["Everything else", [...left]]];
  for (const [name, panelKeys] of parts) {
    if (!panelKeys.length) continue;
    const known = Object.keys(NAMES), rank = (key) => (known.includes(key) ? known.indexOf(key) : known.length);
    const ordered = panelKeys.sort((a, b) => rank(a) - rank(b));
    const box = element("div", { className: "panels" });
    const summary = element("summary", {}, element("strong", {}, name));
    const section = element("details", { open: name in chosen ? chosen[name] === "true" : name !== "Everything else" }, summary, box);
    summary.addEventListener("click", () => keep(name, String(!section.open)));
    for (const key of ordered) panel(box, "curves", ...(Object.hasOwn(NAMES, key) ? NAMES[key] : [key, direction(key)]), () => curvePlot(key));
    $("curve-groups").append(section);
  }
  for (const [id, event] of [["axis", "change"], ["logx", "change"], ["logy", "change"], ["band", "change"], ["single", "change"], ["smooth", "input"]])
    bind(id, event, () => {
      reach();
      redraw("curves");
    });
  const reach = () => ($("smooth-value").textContent = $("smooth").value === "0" ? "none" : `± ${$("smooth").value} points`);
  reach();
  $("curves").hidden = !keys.length;
}
function entry(name, colour, dash) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  line.setAttribute("width", "34");
  line.setAttribute("height", "10");
  line.setAttribute("aria-hidden", "true");
  const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const dashes = { solid: "", dash: "8 4", dot: "2 3", dashdot: "8 3 2 3", longdash: "14 4" };
  for (const [key, value] of Object.entries({ x1: 0, x2: 34, y1: 5, y2: 5, stroke: colour, "stroke-width": 3, "stroke-dasharray": dashes[dash] })) stroke.setAttribute(key, value);
  line.append(stroke);
  return element("span", {}, line, name);
}
function legends() {
  const groups = () => data.groups.map((group) => entry(groupName(group), colour(group.level), dash(group)));
  const forms = data.loss_forms.filter((form) => !data.levels.includes(form.name));
  $("legend").replaceChildren(...groups());
  $("final-legend").replaceChildren(...(fits(groupNames()) ? [] : groups()));
  $("form-legend").replaceChildren(...groups(), ...forms.map((form) => entry(`${form.name}, the form`, colour(form.name), "solid")));
}
function smoothed(values, reach) {
  if (!reach) return values;
  return values.map((_, n) => {
    const near = values.slice(Math.max(0, n - reach), n + reach + 1).filter((v) => v !== null);
    return near.length ? near.reduce((a, b) => a + b, 0) / near.length : null;
  });
}
function curvePlot(key) {
  const axis = $("axis").value, kind = $("band").value, reach = Number($("smooth").value);
  const groups = data.groups.filter((group) => group.curves[key]);
  // On a log axis a level that is never positive would silently disappear.
  const log = $("logy").checked && groups.every((group) => group.curves[key].mean.some((y) => y > 0));
  const floor = log ? Math.min(...groups.flatMap((group) => group.curves[key].mean.filter((y) => y > 0))) : -Infinity;
  const scale = log ? Math.log10 : (y) => y;
  const bands = [], heights = [], single = [], lines = [];
  for (const group of groups) {
    const curve = group.curves[key], tone = colour(group.level), name = label(groupName(group));
    const x = curve.at.map((index) => group.x[axis][index]);
    const [low, high, centre] = kind === "quartiles" ? [curve.q25, curve.q75, curve.median] : [curve.low, curve.high, curve.mean];
    const at = kind === "none" ? [] : low.map((_, n) => n).filter((n) => low[n] !== null);
    if (at.length) {
      const [bottom, top] = [low, high].map((limit) => smoothed(limit, reach).map((y) => Math.max(floor, y)));
      bands.push({
        x: [...at, ...[...at].reverse()].map((n) => x[n]), y: [...at.map((n) => bottom[n]), ...at.map((n) => top[n]).reverse()],
        fill: "toself", fillcolor: faint(tone, 0.18), line: { width: 0 }, mode: "lines", hoverinfo: "skip",
      });
      heights.push(...at.map((n) => scale(top[n]) - scale(bottom[n])));
    }
    if ($("single").checked)
      for (const run of data.runs.filter((one) => data.groups[one.group] === group && one.curves[key])) {
        const values = run.curves[key];
        const [xs, y] = Array.isArray(values) ? [run.curves[axis] ?? [], values] : [values.at.map((n) => ahead(run, axis, n)), values.y];
        single.push({ x: xs, y, mode: "lines", line: { color: faint(tone, 0.4), width: 1 }, hovertemplate: `${name}, seed ${run.seed}: %{y:.4g}<extra></extra>` });
      }
    if (reach) lines.push({ x, y: centre, mode: "lines", line: { color: faint(tone, 0.4), width: 1 }, hoverinfo: "skip" });
    lines.push({
      x, y: smoothed(centre, reach), mode: curve.at.length < 30 ? "lines+markers" : "lines", line: { color: tone, width: 2, dash: dash(group) },
      marker: { size: 5, symbol: mark(group.level) }, hovertemplate: `${name}: %{y:.4g}<extra></extra>`,
    });
  }
  const title = { iteration: "iteration", images_seen: "images", seconds: "seconds of training" }[axis];
  const annotations = $("logy").checked && !log ? [{ text: "linear: not positive", xref: "paper", yref: "paper", x: 1, y: 1, showarrow: false, font: { color: css("--soft") } }] : [];
  return {
    traces: [...bands, ...single, ...lines],
    layout: { xaxis: { title: { text: title }, type: $("logx").checked ? "log" : "linear", tickangle: 0, nticks: 6 }, yaxis: { type: log ? "log" : "linear", range: view([...single, ...lines], bands, heights, scale) }, annotations },
  };
}
function view(lines, bands, heights, scale) {
  // All of the lines, and as much of the bands as leaves the lines readable: an interval of three runs can be very wide.
  const scaled = (traces) => traces.flatMap((trace) => trace.y).filter((y) => y !== null).map(scale).filter(Number.isFinite);
  const [inner, outer] = [scaled(lines), scaled([...lines, ...bands])].map((values) => [Math.min(...values), Math.max(...values)]);
  const usual = heights.sort((a, b) => a - b)[heights.length >> 1] ?? 0;
  const slack = Math.max(usual, (inner[1] - inner[0]) / 2);
  const low = Math.max(outer[0], inner[0] - slack), high = Math.min(outer[1], inner[1] + slack);
  const least = 0.02 * Math.max(Math.abs(low), Math.abs(high)) || 1; // else the rounding of a flat curve would fill the panel
  const middle = (low + high) / 2, reach = 0.55 * Math.max(high - low, least);
  return [middle - reach, middle + reach];
}
function ahead(run, axis, iteration) {
  if (axis === "iteration") return iteration;
  const at = run.curves.iteration.findIndex((n) => n >= iteration);
  return run.curves[axis]?.[at < 0 ? run.curves.iteration.length - 1 : at] ?? null;
}

// ---- samples -----------------------------------------------------------------------------------------------------------

function samples() {
  const runs = data.runs.filter((run) => run.pictures.grids.length);
  if (!runs.length) {
    $("samples").hidden = true;
    return;
  }
  const iterations = [...new Set(runs.flatMap((run) => run.pictures.grids.map(([n]) => n)))].sort((a, b) => a - b);
  const seeds = [...new Set(runs.map((run) => run.seed))].sort((a, b) => a - b);
  for (const seed of seeds) $("seed").append(element("option", { value: seed }, String(seed)));
  $("seed").append(element("option", { value: "all" }, "all"));
  const time = slider("iteration", iterations, () => {
    const at = time.at(), seed = $("seed").value;
    const shown = runs.filter((run) => seed === "all" || String(run.seed) === seed);
    const cards = shown.map((run) => {
      const [n, image] = run.pictures.grids.findLast(([m]) => m <= at) ?? run.pictures.grids[0];
      const caption = `${groupName(run)}, seed ${run.seed}, iteration ${n.toLocaleString("en")}`;
      return picture(data.images[image], `samples of ${caption}`, caption);
    });
    const real = runs.find((run) => "real" in run.pictures.stills);
    if (real) cards.push(picture(data.images[real.pictures.stills.real], "real samples", "real samples"));
    $("grids").replaceChildren(...cards);
    const beside = shown.filter((run) => "memorisation" in run.pictures.stills);
    $("memorisation").hidden = !beside.length;
    $("nearest").replaceChildren(...beside.map((run) => {
      const caption = `${groupName(run)}, seed ${run.seed}`;
      return picture(data.images[run.pictures.stills.memorisation], `samples and training images, ${caption}`, caption);
    }));
  });
  bind("seed", "change", time.show);
  time.show();
}

function picture(src, alt, caption) {
  const image = element("img", { src, alt });
  // Pixels of small images stay sharp when they are enlarged; a plot that is reduced stays readable when it is smoothed.
  image.addEventListener("load", () => image.classList.toggle("enlarged", image.naturalWidth < image.clientWidth));
  return element("figure", { className: "panel" }, image, element("figcaption", {}, caption));
}

// ---- loss forms --------------------------------------------------------------------------------------------------------

function forms() {
  const groups = data.groups.filter((group) => group.histograms.iteration);
  if (!data.loss_forms.length && !groups.length) {
    $("forms").hidden = true;
    return;
  }
  $("slopes").hidden = !data.loss_forms.some((form) => form.name === "saturating");
  $("formless").textContent = data.without_form;
  const iterations = [...new Set(groups.flatMap((group) => group.histograms.iteration))].sort((a, b) => a - b);
  $("form-controls").hidden = !iterations.length;
  const time = slider("form-iteration", iterations, () => redraw("forms"));
  for (const button of $("forms").querySelectorAll("button"))
    button.addEventListener("click", () => time.move(iterations.findIndex((n) => n >= button.dataset.at * iterations.at(-1))));
  const shows = (key) => groups.some((group) => group.histograms[key]);
  if (shows("d/fake") || data.loss_forms.some((form) => form.log_odds))
    panel($("form-panels"), "forms", "G's loss", "against D(G(z))", () => formPlot("d/fake", time.at(), [0, 1], "g"));
  if (data.loss_forms.some((form) => !form.log_odds))
    panel($("form-panels"), "forms", "G's loss", "against D's logit", () => formPlot("logit/fake", time.at(), [-16, 16], "g"));
  if (shows("logit/fake") || data.loss_forms.length)
    panel($("form-panels"), "forms", "Size of its slope", "against D's logit", () => formPlot("logit/fake", time.at(), [-16, 16], "g_slope"));
  time.show();
}
const DOTS = [-4, -3, -2, -1, 0]; // logits of samples that are marked on all lines, as in the text above them
function formPlot(key, at, [low, high], term) {
  const traces = [];
  for (const group of data.groups.filter((one) => one.histograms[key])) {
    const n = Math.max(0, group.histograms.iteration.findLastIndex((m) => m <= at));
    const shares = group.histograms[key][n], width = (high - low) / shares.length, tone = colour(group.level);
    traces.push({
      type: "bar", x: shares.map((_, m) => low + (m + 0.5) * width), y: shares, width, yaxis: "y2", hovertemplate: `${label(groupName(group))}: %{y:.3f} of the samples<extra></extra>`,
      marker: { color: faint(tone, 0.35), line: { color: tone, width: 0.5 }, pattern: { shape: pattern(group), fgcolor: tone, size: 6 } },
    });
  }
  // The paper's forms reach 5.2 nats and a slope of 1 there; others may be steeper, and are then cut off.
  const forms = data.loss_forms.filter((form) => form.log_odds || key !== "d/fake");
  const reach = (name) => Math.max(...forms.flatMap((form) => form[name].filter((_, n) => Math.abs(form.logit[n]) <= 5).map(Math.abs)), 0);
  for (const form of forms) {
    const x = key === "d/fake" ? form.logit.map((b) => 1 / (1 + Math.exp(-b))) : form.logit;
    traces.push({ x, y: term === "g" ? form.g : form.g_slope.map(Math.abs), mode: "lines+markers", line: { color: colour(form.name), width: 3 }, marker: { size: form.logit.map((b) => (DOTS.includes(b) ? 11 : 0)), opacity: 1 }, hovertemplate: `${label(form.name)}: %{y:.3g}<extra></extra>` });
  }
  const top = 1.04 * (term === "g" ? Math.min(20, Math.max(5, reach(term))) : Math.min(4, Math.max(1, reach(term))));
  return {
    traces,
    layout: {
      barmode: "overlay", margin: { l: 52, r: 52, t: 8, b: 40 },
      xaxis: { title: { text: key === "d/fake" ? "D(G(z))" : "logit b" }, range: [low, high], zeroline: false },
      yaxis: { title: { text: term === "g" ? `${key === "d/fake" ? "nats" : "loss"} per sample` : "|∂L<sub>G</sub>/∂b|" }, range: [term === "g" ? -top : 0, top], zeroline: false },
      yaxis2: { title: { text: "share of samples" }, range: [0, 1.04], tickmode: "linear", tick0: 0, dtick: 0.25 },
    },
  };
}

// ---- the table of runs -------------------------------------------------------------------------------------------------

function sortable(value) {
  // Values of configs are text, but compared as numbers: 1e-4 is less than 0.0002.
  if (value === null || value === undefined || value === "") return null;
  return Number.isNaN(Number(value)) ? String(value) : Number(value);
}
const outcome = (run) => (run.failure && run.status === "finished" ? "failed" : run.status); // by the rules of failures
const remarks = (run) => [run.failure ?? run.reason, run.note].filter(Boolean).join("; ");
function table() {
  const differing = [...new Set(data.runs.flatMap((run) => Object.keys(run.differing)))];
  const columns = [
    ["run", (run) => run.name, (run) => ({ className: "name", node: element("a", { href: run.href, title: run.name }, breakable(run.short_name, "/,.=")) })],
    [data.factor, (run) => run.level],
    ...differing.filter((key) => key !== data.factor).map((key) => [key, (run) => run.differing[key], (run) => ({ text: run.differing[key], className: "differs" })]),
    ["seed", (run) => run.seed], ["status", outcome, (run) => ({ text: outcome(run), className: run.failure ? "bad" : "" })],
    ["remarks", remarks, (run) => ({ text: remarks(run), className: "remarks" })],
    ["iteration", (run) => run.iteration], ["seconds", (run) => run.seconds], ...data.metrics.map((metric) => [metric, (run) => run.finals[metric]]),
  ];
  const numeric = columns.map(([, value]) => data.runs.some((run) => typeof value(run) === "number"));
  let sorted = [Math.max(0, columns.findIndex(([name]) => name === chosen.sort)), chosen.order === "descending" ? "descending" : "ascending"];
  const head = row($("run-table").tHead, columns.map(([name], n) => ({ node: element("button", { type: "button" }, breakable(name, "/,_")), className: numeric[n] ? "number" : "" })), "th");
  [...head.cells].forEach((cell, n) =>
    cell.firstChild.addEventListener("click", () => {
      sorted = [n, sorted[0] === n && sorted[1] === "ascending" ? "descending" : "ascending"];
      keep("sort", columns[n][0]);
      keep("order", sorted[1]);
      fill();
    }),
  );
  function fill() {
    const terms = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (run) => columns.map(([, value]) => value(run)).join(" ").toLowerCase();
    const [by, order] = sorted, value = (run) => sortable(columns[by][1](run));
    const rows = data.runs.filter((run) => terms.every((term) => text(run).includes(term)));
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      const [p, q] = [value(a), value(b)];
      if (p === null || q === null) return (p === null) - (q === null); // missing values come last in either order
      if (typeof p !== typeof q) return sign * (typeof p === "number" ? -1 : 1);
      return sign * (typeof p === "number" ? p - q : p.localeCompare(q, "en", { numeric: true }));
    });
    [...head.cells].forEach((cell, n) => (n === by ? cell.setAttribute("aria-sort", order) : cell.removeAttribute("aria-sort")));
    const body = $("run-table").tBodies[0];
    body.replaceChildren();
    for (const run of rows)
      row(body, columns.map(([, get, show], n) => show?.(run) ?? { text: typeof get(run) === "number" ? number(get(run)) : get(run) ?? "–", className: numeric[n] ? "number" : "" }));
    $("shown").textContent = `${rows.length} of ${data.runs.length} runs`;
  }
  bind("filter", "input", fill);
  fill();
  if (data.left_out.length) {
    const list = element("ul", {}, ...data.left_out.map((entry) => element("li", {}, element("code", {}, entry.folder), `: ${entry.reason}`)));
    $("aside").append(element("h3", {}, "Left out"), list);
  }
}

// ---- downloads ---------------------------------------------------------------------------------------------------------

function csv(rows) {
  const field = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r\n]/.test(text)) text = "'" + text; // a spreadsheet would evaluate it as a formula
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((fields) => fields.map(field).join(",")).join("\n") + "\n";
}
function download(name, rows) {
  const link = element("a", { href: URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // some browsers read it later
}
function curveRows() {
  const rows = [[data.factor, "stratum", "seed", "metric", "iteration", "value"]];
  for (const run of data.runs)
    for (const [key, curve] of Object.entries(run.curves)) {
      const [at, y] = Array.isArray(curve) ? [run.curves.iteration, curve] : [curve.at, curve.y];
      at.forEach((iteration, n) => {
        if (y[n] !== null) rows.push([run.level, run.stratum, run.seed, key, iteration, y[n]]);
      });
    }
  return rows;
}
function runRows() {
  const rows = [["run", data.factor, "stratum", "seed", "status", "failure", "iteration", "seconds", ...data.metrics]];
  for (const run of data.runs)
    rows.push([run.name, run.level, run.stratum, run.seed, run.status, run.failure, run.iteration, run.seconds, ...data.metrics.map((metric) => run.finals[metric])]);
  return rows;
}

// ---- provenance --------------------------------------------------------------------------------------------------------

function origin() {
  const p = data.provenance, box = $("provenance");
  const runs = (n) => ` (${n} run${n > 1 ? "s" : ""})`;
  const counted = (heading, entries) => box.append(element("h3", {}, heading), element("ul", {}, ...entries.map(([text, n]) => element("li", {}, text, runs(n)))));
  counted("Versions", p.versions);
  counted("Machines", p.machines);
  counted("Commits", p.commits);
  if (p.protocols.length)
    box.append(element("h3", {}, "Protocols of the metrics"), element("ul", {}, ...p.protocols.map(([metric, counts]) => element("li", {}, `${metric}: `, ...counts.flatMap(([hash, n], m) => [m ? ", " : "", element("code", {}, hash), runs(n)])))));
  box.append(element("details", {}, element("summary", {}, "Command lines"), element("ul", {}, ...p.commands.map((line) => element("li", {}, element("code", {}, line))))));
}

// ---- tables that are wider than the page ---------------------------------------------------------------------------------

const overflow = new ResizeObserver((entries) => {
  for (const box of new Set(entries.map((entry) => entry.target.closest(".scroll")))) box.classList.toggle("wide", box.scrollWidth > box.clientWidth);
});
for (const box of document.querySelectorAll(".scroll")) for (const target of [box, box.firstElementChild]) overflow.observe(target);

// ---- all together ------------------------------------------------------------------------------------------------------

const light = matchMedia("(prefers-color-scheme: light)"), paper = matchMedia("print");
const wanted = () => chosen.theme ?? (light.matches ? "light" : "dark");
function theme() {
  document.documentElement.dataset.theme = printing ? "light" : wanted();
  $("theme").textContent = wanted() === "dark" ? "Light theme" : "Dark theme";
  legends();
  redraw();
}
function onPaper(on) {
  // Print on white, at the paper's width, with all plots, in view or not.
  if (printing === on) return;
  printing = on;
  theme();
  if (on) for (const target of plots.keys()) draw(target);
}
answer();
finals();
curves();
samples();
forms();
table();
origin();
theme();
$("theme").addEventListener("click", () => {
  keep("theme", dark() ? "light" : "dark");
  theme();
});
light.addEventListener("change", theme);
paper.addEventListener("change", () => onPaper(paper.matches));
window.addEventListener("beforeprint", () => onPaper(true));
window.addEventListener("afterprint", () => onPaper(false));
$("csv-curves").addEventListener("click", () => download("curves.csv", curveRows()));
$("csv-runs").addEventListener("click", () => download("runs.csv", runRows()));
for (const link of document.querySelectorAll("nav a")) {
  const section = document.querySelector(link.getAttribute("href"));
  link.hidden = section.hidden;
  link.addEventListener("click", (event) => {
    event.preventDefault(); // the URL keeps the settings
    section.scrollIntoView();
    section.focus({ preventScroll: true });
  });
}
if (data.refresh) setTimeout(() => location.reload(), 1000 * data.refresh);
document.documentElement.dataset.ready = "true";
