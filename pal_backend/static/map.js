// Draws the map of the samples: moves, zooms, tells which sample is pointed at, opens it. Without it the list of groups
// beside the map leads to the same samples.
"use strict";

const canvas = document.getElementById("plane");
const box = document.getElementById("map");
const tip = document.getElementById("map-tip");
const NO_GROUP = 65535;
const SIDE = 65535; // coordinates go from 0 to this
const NEAR = 14; // CSS pixels within which a sample counts as pointed at
const HUES = 10;
const STEPS = 32; // of the scale of confidence

const state = {
  places: null, groups: null, sure: null, hues: new Map(), only: null, bySure: false,
  scale: 1, x: 0, y: 0, moved: false, at: -1, due: 0, colours: null, dim: null,
};
const known = new Map(); // what the server said about a sample
const pointers = new Map();

// ---- colours -------------------------------------------------------------------------------------------------------

function rgb(name) {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  probe.fillStyle = getComputedStyle(box).getPropertyValue(name);
  probe.fillRect(0, 0, 1, 1);
  return probe.getImageData(0, 0, 1, 1).data;
}

function packed([r, g, b]) {
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
}

function recolour() {
  const count = state.groups.length;
  const hues = Array.from({ length: HUES }, (_, hue) => packed(rgb(`--hue-${hue}`)));
  const other = packed(rgb("--hue-other"));
  const faint = packed(rgb("--hue-faint"));
  const [low, high] = [rgb("--unsure"), rgb("--sure")];
  const ramp = Array.from({ length: STEPS }, (_, i) => packed([0, 1, 2].map((c) => low[c] + (high[c] - low[c]) * i / (STEPS - 1))));
  state.colours = new Uint32Array(count);
  state.dim = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const group = state.groups[i];
    const hue = state.hues.get(group);
    state.dim[i] = state.only !== null && group !== state.only ? 1 : 0;
    const own = state.bySure ? ramp[Math.round(state.sure[i] / 255 * (STEPS - 1))] : hue === undefined ? other : hues[hue];
    state.colours[i] = state.dim[i] ? faint : own;
  }
  draw();
}

// ---- drawing -------------------------------------------------------------------------------------------------------

function size() {
  const ratio = devicePixelRatio || 1;
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  if (!state.moved) fit();
  draw();
}

function fit() {
  const { width, height } = canvas.getBoundingClientRect();
  state.scale = 0.94 * Math.min(width, height) / SIDE;
  state.x = (width - SIDE * state.scale) / 2;
  state.y = (height - SIDE * state.scale) / 2;
  state.moved = false;
}

// How much of each pixel a dot covers, 0..255.
function dot(radius) {
  const reach = Math.ceil(radius);
  const side = 2 * reach + 1;
  const cover = new Uint8Array(side * side);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      cover[(y + reach) * side + x + reach] = 255 * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
    }
  }
  return { reach, side, cover };
}

function put(pixels, width, height, shape, cx, cy, colour) {
  const { reach, side, cover } = shape;
  if (cx < reach || cy < reach || cx >= width - reach || cy >= height - reach) return;
  const r = colour & 255, g = colour >> 8 & 255, b = colour >> 16 & 255;
  for (let y = 0; y < side; y++) {
    let at = (cy + y - reach) * width + cx - reach;
    for (let x = 0; x < side; x++, at++) {
      const share = cover[y * side + x];
      if (share === 255) pixels[at] = colour;
      else if (share) {
        const under = pixels[at], rest = 255 - share;
        pixels[at] = 255 << 24
          | ((b * share + (under >> 16 & 255) * rest) / 255) << 16
          | ((g * share + (under >> 8 & 255) * rest) / 255) << 8
          | (r * share + (under & 255) * rest) / 255;
      }
    }
  }
}

function paint() {
  state.due = 0;
  if (!state.colours || state.colours.length * 2 !== state.places.length) return;
  const started = performance.now();
  const ratio = devicePixelRatio || 1;
  const { width, height } = canvas;
  const context = canvas.getContext("2d", { alpha: false });
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  pixels.fill(packed(rgb("--panel")));
  const zoom = state.scale / (0.94 * Math.min(width, height) / ratio / SIDE);
  const radius = ratio * Math.min(5, 1.6 * Math.sqrt(Math.max(1, 4000 / state.colours.length)) * Math.max(1, zoom) ** 0.4);
  const shape = dot(radius);
  const { places, colours, dim } = state;
  const scale = state.scale * ratio, x0 = state.x * ratio, y0 = state.y * ratio;
  for (let pass = state.only === null ? 1 : 0; pass < 2; pass++) {
    for (let i = 0; i < colours.length; i++) {
      if (state.only !== null && dim[i] === pass) continue; // those that are faint lie below
      put(pixels, width, height, shape, x0 + places[2 * i] * scale | 0, y0 + places[2 * i + 1] * scale | 0, colours[i]);
    }
  }
  context.putImageData(image, 0, 0);
  if (state.at >= 0) mark(context, ratio, radius);
  performance.clearMeasures("map");
  performance.measure("map", { start: started, end: performance.now() });
}

function mark(context, ratio, radius) {
  const [x, y] = placed(state.at);
  const [r, g, b] = rgb("--text");
  context.strokeStyle = `rgb(${r} ${g} ${b})`;
  context.lineWidth = 2 * ratio;
  context.beginPath();
  context.arc(x * ratio, y * ratio, radius + 3 * ratio, 0, 7);
  context.stroke();
}

function draw() {
  if (!state.due) state.due = requestAnimationFrame(paint);
}

// ---- where things are ----------------------------------------------------------------------------------------------

function placed(i) {
  return [state.x + state.places[2 * i] * state.scale, state.y + state.places[2 * i + 1] * state.scale];
}

function nearest(x, y, within) {
  const px = (x - state.x) / state.scale, py = (y - state.y) / state.scale;
  let best = -1, least = (within / state.scale) ** 2;
  for (let i = 0; i < state.places.length / 2; i++) {
    if (state.dim && state.dim[i]) continue;
    const dx = state.places[2 * i] - px, dy = state.places[2 * i + 1] - py, far = dx * dx + dy * dy;
    if (far < least) { least = far; best = i; }
  }
  return best;
}

function zoom(factor, x, y) {
  const { width, height } = canvas.getBoundingClientRect();
  const whole = 0.94 * Math.min(width, height) / SIDE;
  const scale = Math.min(Math.max(state.scale * factor, whole / 2), whole * 200);
  state.x = x - (x - state.x) * scale / state.scale;
  state.y = y - (y - state.y) * scale / state.scale;
  state.scale = scale;
  state.moved = true;
  pointAt(-1);
}

function move(dx, dy) {
  state.x += dx;
  state.y += dy;
  state.moved = true;
  pointAt(-1);
}

// ---- the sample that is pointed at ---------------------------------------------------------------------------------

function data() {
  return document.getElementById("map-data").dataset;
}

async function about(i) {
  if (!known.has(i)) {
    const asked = fetch(data().samples + i).then((answer) => (answer.ok ? answer.json() : null)).catch(() => null);
    known.set(i, asked);
    if (await asked === null) known.delete(i);
    return asked;
  }
  return known.get(i);
}

async function pointAt(i) {
  state.at = i;
  draw();
  canvas.style.cursor = i < 0 ? "" : "pointer";
  if (i < 0) { tip.hidden = true; return; }
  const found = await about(i);
  if (!found || state.at !== i) return;
  tip.href = found.href;
  document.getElementById("map-tip-image").src = data().thumbs + found.sample;
  document.getElementById("map-tip-name").textContent = found.name || (found.group ? `group ${found.group.slice(0, 6)}` : "in no group");
  document.getElementById("map-tip-sure").textContent = found.probability === null ? "" : `${Math.round(100 * found.probability)} % sure`;
  tip.hidden = false;
  const [x, y] = placed(i);
  const area = canvas.getBoundingClientRect();
  tip.style.left = `${Math.max(4, x + 14 + tip.offsetWidth > area.width ? x - 14 - tip.offsetWidth : x + 14)}px`;
  tip.style.top = `${Math.min(Math.max(4, y - tip.offsetHeight / 2), area.height - tip.offsetHeight - 4)}px`;
}

async function open(i, aside) {
  const found = i < 0 ? null : await about(i);
  if (!found) return;
  if (aside) window.open(found.href, "_blank", "noopener");
  else location.assign(found.href);
}

// ---- hands ---------------------------------------------------------------------------------------------------------

function within(event) {
  const area = canvas.getBoundingClientRect();
  return [event.clientX - area.left, event.clientY - area.top];
}

function down(event) {
  if (event.button) return;
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, { at: within(event), from: within(event) });
}

function over(event) {
  const [x, y] = within(event);
  const held = pointers.get(event.pointerId);
  if (!held) { const i = nearest(x, y, NEAR); if (i !== state.at) pointAt(i); return; }
  if (pointers.size === 2) {
    const [other] = [...pointers.values()].filter((pointer) => pointer !== held);
    const apart = ([ax, ay]) => Math.max(1, Math.hypot(ax - other.at[0], ay - other.at[1]));
    zoom(apart([x, y]) / apart(held.at), (x + other.at[0]) / 2, (y + other.at[1]) / 2);
    held.pinched = other.pinched = true;
  } else if (held.dragged || Math.hypot(x - held.from[0], y - held.from[1]) > 4) {
    held.dragged = true;
    move(x - held.at[0], y - held.at[1]);
  }
  held.at = [x, y];
}

function up(event) {
  const held = pointers.get(event.pointerId);
  pointers.delete(event.pointerId);
  if (!held || held.dragged || held.pinched || event.type === "pointercancel") return;
  const i = nearest(...held.at, NEAR);
  // A finger cannot hover: its first tap shows the sample, the next one opens it.
  if (event.pointerType === "touch" && i !== state.at) pointAt(i);
  else open(i, event.ctrlKey || event.metaKey);
}

function key(event) {
  const { width, height } = canvas.getBoundingClientRect();
  const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  const factor = { "+": 1.4, "=": 1.4, "-": 1 / 1.4 }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") { open(state.at, false); return; }
  if (event.key === "Escape") { pointAt(-1); return; }
  if (steps[event.key]) move(...steps[event.key]);
  else if (factor) zoom(factor, width / 2, height / 2);
  else if (event.key === "0") fit();
  else return;
  event.preventDefault();
  pointAt(nearest(width / 2, height / 2, Math.max(width, height)));
}

function choose(event) {
  const button = event.target.closest(".swatch");
  if (!button) return;
  const number = Number(button.parentElement.dataset.group);
  state.only = state.only === number ? null : number;
  pressed();
  recolour();
}

function pressed() {
  for (const button of document.querySelectorAll(".map-groups .swatch")) {
    button.setAttribute("aria-pressed", String(Number(button.parentElement.dataset.group) === state.only));
  }
}

// ---- beginning -----------------------------------------------------------------------------------------------------

async function numbers(url) {
  const answer = await fetch(url);
  if (!answer.ok || answer.redirected) throw new Error(`${url}: ${answer.status}`);
  return answer.arrayBuffer();
}

async function load() {
  const { places, groups } = data();
  if (state.shown !== places) {
    state.places = new Uint16Array(await numbers(places));
    state.shown = places;
    known.clear();
    state.at = -1;
  }
  if (state.grouped !== groups) {
    const found = await numbers(groups);
    const count = found.byteLength / 3;
    state.groups = new Uint16Array(found, 0, count);
    state.sure = new Uint8Array(found, 2 * count);
    state.grouped = groups;
    known.clear();
  }
  state.hues.clear();
  for (const item of document.querySelectorAll("[data-hue]")) state.hues.set(Number(item.dataset.group), Number(item.dataset.hue));
  pressed();
  recolour();
}

if (canvas) {
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", over);
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => { if (!pointers.size) pointAt(-1); });
  canvas.addEventListener("keydown", key);
  canvas.addEventListener("blur", () => pointAt(-1));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) * 0.005), ...within(event));
  }, { passive: false });
  const middle = (factor) => () => { const { width, height } = canvas.getBoundingClientRect(); zoom(factor, width / 2, height / 2); };
  document.getElementById("map-in").addEventListener("click", middle(1.4));
  document.getElementById("map-out").addEventListener("click", middle(1 / 1.4));
  document.getElementById("map-all").addEventListener("click", () => { fit(); pointAt(-1); });
  document.querySelector(".map-groups").addEventListener("click", choose);
  for (const radio of document.querySelectorAll("[name=colour]")) {
    radio.addEventListener("change", () => {
      state.bySure = document.querySelector("[name=colour]:checked").value === "sure";
      document.getElementById("map-scale").hidden = !state.bySure;
      recolour();
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  document.addEventListener("pal:fresh", () => load().catch(() => {}));
  new ResizeObserver(size).observe(canvas);
  load().catch(() => { box.dataset.problem = "The map cannot be loaded; load the page again."; });
}
