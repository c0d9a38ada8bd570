// One-time links: what opens one, and what makes one. All of it works without a script, one page more each.
"use strict";

async function pageOf(form, fields) {
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(fields) });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// The token stands behind the #: shows what the link leads to. Only the button uses it up.
async function look(form, token) {
  const field = form.elements.token;
  field.value = token;
  field.disabled = true;
  try {
    const page = await pageOf(form, { token });
    document.getElementById("link").replaceChildren(...page.getElementById("link").children);
    document.title = page.title;
  } catch {
    field.disabled = false; // the button does the same
  }
}

const asking = document.querySelector("[data-look]");
if (asking && location.hash.length > 1) look(asking, location.hash.slice(1));

// A file that comes as a download leaves the page where it is.
document.addEventListener("submit", (event) => {
  if (!("redeem" in event.target.dataset)) return;
  event.target.querySelector("[data-before]").hidden = true;
  event.target.querySelector("[data-after]").hidden = false;
});

// A new link appears beside its button, ready to be copied.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("makeLink" in form.dataset)) return;
  event.preventDefault();
  try {
    const page = await pageOf(form, new FormData(form));
    const made = page.querySelector("[data-link-made]");
    form.parentElement.querySelector("[data-waiting]").replaceWith(page.querySelector("[data-waiting]"));
    form.parentElement.querySelector("[data-made]").replaceChildren(made);
    window.offerCopy(made);
    made.querySelector("input").select();
  } catch {
    form.submit(); // a refusal is a page of its own
  }
});
