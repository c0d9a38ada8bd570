// The page of a one-time link: shows what the link leads to. Only the button uses the link up.
"use strict";

const token = location.hash.slice(1);

async function look(form) {
  form.elements.token.value = token;
  form.elements.token.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams({ token }) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("link").replaceChildren(...page.getElementById("link").children);
    document.title = page.title;
  } catch {
    form.elements.token.disabled = false; // the button does the same without a script
  }
}

const asking = document.querySelector("[data-look]");
if (token && asking) look(asking);

// A file that comes as a download leaves the page where it is.
document.addEventListener("submit", (event) => {
  if (!("redeem" in event.target.dataset)) return;
  event.target.querySelector("[data-before]").hidden = true;
  event.target.querySelector("[data-after]").hidden = false;
});
