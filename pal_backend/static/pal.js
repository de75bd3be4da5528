// Keeps a page as the server has it: hears that something changed, fetches the page again and puts the parts in place
// that differ. Without it every page still works; it is then as old as its loading.
"use strict";

const live = document.querySelector("[data-changes]");
let stream = null;
let due = false;
let busy = false;

function isChanged(field) {
  if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
  return [...field.options].some((option) => option.selected !== option.defaultSelected);
}

function isInUse(part) {
  if (part.querySelector("input[type=checkbox]:checked")) return true;
  const focus = document.activeElement;
  const fields = [...part.querySelectorAll("input, textarea, select")];
  return fields.some((field) => field === focus || isChanged(field));
}

function keepOpen(from, to) {
  const open = [...from.querySelectorAll("details")].map((details) => details.open);
  to.querySelectorAll("details").forEach((details, i) => { details.open = open[i] ?? details.open; });
}

function putInPlace(page) {
  for (const fresh of page.querySelectorAll("[data-part]")) {
    const old = document.querySelector(`[data-part="${fresh.dataset.part}"]`);
    if (!old || isInUse(old) || old.innerHTML === fresh.innerHTML) continue;
    keepOpen(old, fresh);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    for (const number of fresh.querySelectorAll("[data-number]")) {
      const before = old.querySelector(`[data-number="${number.dataset.number}"]`);
      if (before && before.textContent !== number.textContent) number.classList.add("moved");
    }
    old.replaceChildren(...fresh.childNodes);
    if (focused) document.getElementById(focused)?.focus();
  }
}

async function refresh() {
  if (busy) { due = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected) { location.reload(); return; }
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      putInPlace(page);
      document.dispatchEvent(new Event("pal:fresh"));
      live.dataset.stamp = page.querySelector("[data-changes]").dataset.stamp;
    }
  } catch { /* the stream connects again by itself, and then says what is new */ }
  busy = false;
  if (due) { due = false; setTimeout(refresh, 500); }
}

function listen() {
  if (stream || document.hidden) return;
  stream = new EventSource(live.dataset.changes);
  stream.onopen = () => live.classList.add("is-live");
  stream.onerror = () => live.classList.remove("is-live");
  stream.onmessage = (event) => { if (event.data !== live.dataset.stamp) refresh(); };
}

function pause() {
  stream?.close();
  stream = null;
  live.classList.remove("is-live");
}

if (live) {
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : listen()));
  addEventListener("pagehide", pause);
  addEventListener("pageshow", listen);
  listen();
}
