// The form of a new export: columns that can be searched, moved and all chosen; options of the chosen format only.
"use strict";

const form = document.getElementById("new");
const list = document.querySelector("[data-order]");

// Options that the format does not heed are out of the way.
function fitOptions() {
  const chosen = form.querySelector("[name=format]:checked");
  form.querySelectorAll("[data-formats]").forEach((option) => {
    option.hidden = !chosen || !option.dataset.formats.split(" ").includes(chosen.value);
  });
}
form.addEventListener("change", (event) => { if (event.target.name === "format") fitOptions(); });
fitOptions();

// Moving a column: by its handle with the pointer, by its arrows with the keyboard.
function moved(item, focus) {
  const items = [...list.children];
  document.getElementById("moved").textContent =
    `${item.querySelector(".box span").textContent}: place ${items.indexOf(item) + 1} of ${items.length}`;
  if (focus) focus.focus();
  list.dispatchEvent(new Event("reorder", { bubbles: true }));
}

function button(icon, label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "move";
  made.setAttribute("aria-label", label);
  made.title = label;
  made.textContent = icon;
  made.addEventListener("click", act);
  return made;
}

function shown(item, direction) {
  let next = item[direction];
  while (next && next.hidden) next = next[direction];
  return next;
}

[...list.children].forEach((item) => {
  const title = item.querySelector(".box span").textContent;
  const handle = document.createElement("span");
  handle.className = "handle";
  handle.setAttribute("aria-hidden", "true");
  handle.textContent = "\u22ee\u22ee";
  item.prepend(handle);
  const arrows = document.createElement("span");
  arrows.className = "moves";
  const up = button("\u2191", `Move ${title} up`, () => {
    const other = shown(item, "previousElementSibling");
    if (other) { other.before(item); moved(item, up); }
  });
  const down = button("\u2193", `Move ${title} down`, () => {
    const other = shown(item, "nextElementSibling");
    if (other) { other.after(item); moved(item, down); }
  });
  up.dataset.testid = `up-${item.dataset.column}`;
  down.dataset.testid = `down-${item.dataset.column}`;
  arrows.append(up, down);
  item.append(arrows);

  handle.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    handle.setPointerCapture(event.pointerId);
    item.classList.add("dragged");
    const before = item.nextElementSibling;
    const follow = (move) => {
      const over = [...list.children].find((each) => {
        const box = each.getBoundingClientRect();
        return each !== item && move.clientY >= box.top && move.clientY <= box.bottom;
      });
      if (!over) return;
      const box = over.getBoundingClientRect();
      if (move.clientY < box.top + box.height / 2) over.before(item); else over.after(item);
    };
    const drop = () => {
      handle.removeEventListener("pointermove", follow);
      item.classList.remove("dragged");
      if (item.nextElementSibling !== before) moved(item);
    };
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("lostpointercapture", drop, { once: true });
  });
});

// Searching the columns, where there are many.
if (list.children.length > 8) {
  const find = document.createElement("input");
  find.type = "search";
  find.className = "find";
  find.placeholder = "Search columns";
  find.setAttribute("aria-label", "Search columns");
  find.dataset.testid = "find-column";
  find.addEventListener("input", (event) => {
    event.stopPropagation(); // it changes nothing of the file
    const wanted = find.value.trim().toLowerCase();
    [...list.children].forEach((item) => { item.hidden = !item.dataset.words.toLowerCase().includes(wanted); });
  });
  find.addEventListener("change", (event) => event.stopPropagation());
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  list.before(find);
}

// Return in the name of a preset saves it; otherwise it would press the first button, which starts the export.
const presetName = form.elements["preset-name"];
presetName.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  form.requestSubmit(form.elements.save);
});
["input", "change"].forEach((kind) => presetName.addEventListener(kind, (event) => event.stopPropagation()));

// Time zones as this browser knows them, its own first.
const zones = document.getElementById("known-timezones");
if (zones && Intl.supportedValuesOf) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  new Set([own, "UTC", ...Intl.supportedValuesOf("timeZone")]).forEach((zone) => {
    const option = document.createElement("option");
    option.value = zone;
    zones.append(option);
  });
}

// Too many previews at once are no error: this one is asked for again in a moment.
document.addEventListener("htmx:responseError", (event) => {
  if (event.target.id !== "preview" || event.detail.xhr.status !== 429) return;
  const seconds = Number(event.detail.xhr.getResponseHeader("Retry-After")) || 1;
  setTimeout(() => window.htmx.trigger("#preview", "again"), seconds * 1000);
});

// The button says what it will do once the preview knows.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "preview") return;
  const told = document.querySelector("#preview [data-action]");
  const start = form.querySelector("[data-testid=start]");
  if (told) start.textContent = told.dataset.action;
  form.dataset.direct = told ? told.dataset.direct : "";
  form.querySelector("[data-testid=keep]").hidden = form.dataset.direct !== "yes";
});

// A file that comes at once leaves the page as it is: say so, and let the button be pressed again.
form.addEventListener("submit", (event) => {
  if (form.dataset.direct !== "yes" || (event.submitter && event.submitter.name)) return;
  window.toast("Your file is being built and comes as a download. No copy of it is kept.");
  setTimeout(() => { form.querySelectorAll("button:disabled").forEach((each) => { each.disabled = false; }); }, 1500);
});
