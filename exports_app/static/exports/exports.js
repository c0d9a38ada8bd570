// What the pages do beyond links and forms. Each of them works without it.
"use strict";

// Deleting asks first.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  const dialog = document.getElementById("confirm");
  if (!question || event.target.dataset.confirmed) return;
  event.preventDefault();
  const { action } = event.target;
  dialog.querySelector("#confirm-text").textContent = question;
  dialog.querySelector("[value=yes]").textContent = event.target.dataset.yes || "Delete";
  dialog.returnValue = "no";
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    const form = [...document.forms].find((each) => each.action === action) || event.target;
    form.dataset.confirmed = "yes";
    form.requestSubmit();
  };
  dialog.showModal();
});

// A double click starts one export.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || !("once" in event.target.dataset)) return;
  event.target.querySelector("button:not([type])").disabled = true;
});
window.addEventListener("pageshow", () => {
  document.querySelectorAll("[data-once] button:disabled").forEach((button) => { button.disabled = false; });
});

// All columns or none by one click.
document.querySelectorAll("[data-all]").forEach((group) => {
  const line = document.createElement("div");
  line.className = "all-or-none";
  [["Select all", true], ["Select none", false]].forEach(([text, checked]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = text;
    button.dataset.testid = checked ? "columns-all" : "columns-none";
    button.addEventListener("click", () => {
      group.querySelectorAll("li:not([hidden]) input[type=checkbox]").forEach((box) => { box.checked = checked; });
      group.dispatchEvent(new Event("change", { bubbles: true }));
    });
    line.append(button);
  });
  group.querySelector(".boxes, .column-rows").before(line);
});

// A long list of choices can be searched.
document.querySelectorAll("[data-find]").forEach((list) => {
  const input = document.createElement("input");
  input.type = "search";
  input.className = "find";
  input.placeholder = "Search";
  input.setAttribute("aria-label", `Search in ${list.dataset.find}`);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    list.querySelectorAll("label").forEach((label) => {
      label.hidden = !label.textContent.toLowerCase().includes(wanted) && !label.querySelector(":checked");
    });
  });
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  list.before(input);
});

// What is shown once, or is long, is copied by a click, where the connection lets a page do that.
window.offerCopy = (part) => {
  if (!navigator.clipboard) return;
  part.querySelectorAll("[data-copy]").forEach((button) => { button.hidden = false; });
};
window.offerCopy(document);
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  await navigator.clipboard.writeText(field.value);
  button.querySelector("[data-copied]").textContent = "Copied";
});

// Choosing in a list is enough; its button is for browsers without scripts.
document.querySelectorAll("[data-auto]").forEach((form) => {
  form.querySelector("button").hidden = true;
  form.addEventListener("change", () => form.requestSubmit());
});

// A short word in the corner, also for screen readers.
window.toast = (text) => {
  const place = document.getElementById("toasts");
  const said = document.createElement("p");
  said.className = "toast";
  said.textContent = text;
  place.append(said);
  setTimeout(() => said.remove(), 8000);
};

// A server that is away, or has no database, is waited for, and said to be.
function setAway(away) {
  const notice = document.getElementById("reconnecting");
  const was = notice && !notice.hidden;
  if (notice) notice.hidden = !away;
  return was;
}
document.addEventListener("htmx:sseError", () => setAway(true));
document.addEventListener("htmx:sseOpen", () => { if (setAway(false)) window.htmx.trigger("#exports, #export", "refresh"); });
const ASKED_TOO_OFTEN = [409, 429]; // by the page itself, which asks again
document.addEventListener("htmx:responseError", (event) => {
  if (!ASKED_TOO_OFTEN.includes(event.detail.xhr.status)) setAway(true);
});
document.addEventListener("htmx:afterSwap", () => setAway(false));

// A page that refreshes itself says so once per change of state, in its title and to screen readers.
document.addEventListener("htmx:afterSwap", () => {
  const shown = document.getElementById("export");
  const status = document.getElementById("announce");
  if (!shown || !status || status.textContent === shown.dataset.announce) return;
  status.textContent = shown.dataset.announce;
  document.title = shown.dataset.title;
  if (shown.dataset.state === "completed") window.toast(`${shown.dataset.announce}. The file is ready.`);
});
