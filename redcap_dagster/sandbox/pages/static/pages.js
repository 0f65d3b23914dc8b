// Comfort for the API Playground, which works without this: the request and the code follow the
// parameters, code is copied, long menus are filtered, and a click is enough for several choices.
"use strict";

const form = document.getElementById("parameters");
const method = document.getElementById("method");

// -- the method: choosing one with the mouse opens it; with the keyboard, the button does ---------

let byKeyboard = false;
method.addEventListener("keydown", () => { byKeyboard = true; });
method.addEventListener("pointerdown", () => { byKeyboard = false; });
method.addEventListener("change", () => { if (!byKeyboard) method.form.requestSubmit(); });

// -- menus of several choices ---------------------------------------------------------------------

for (const menu of form.querySelectorAll("select[multiple]")) {
  const note = document.getElementById(menu.getAttribute("aria-describedby"));
  const none = note.textContent.split(" Several:")[0];
  const all = note.dataset.all;

  const clear = document.createElement("button");
  clear.type = "button";
  clear.className = "link";
  clear.textContent = "Choose none";
  clear.addEventListener("click", () => {
    menu.selectedIndex = -1;
    menu.dispatchEvent(new Event("change", { bubbles: true }));
    menu.focus();
  });
  const count = document.createElement("span");
  note.replaceChildren(count, " ", clear);

  const tell = () => {
    const chosen = menu.selectedOptions.length;
    count.textContent = chosen ? `${chosen} of ${all} chosen.` : none;
    clear.hidden = !chosen;
  };
  menu.addEventListener("change", tell);
  tell();

  menu.addEventListener("mousedown", (event) => {
    if (event.target.tagName !== "OPTION" || event.shiftKey || event.button) return;
    event.preventDefault();
    const top = menu.scrollTop;
    event.target.selected = !event.target.selected;
    menu.focus();
    menu.scrollTop = top;
    menu.dispatchEvent(new Event("change", { bubbles: true }));
  });

  if (all > 12) {
    const filter = document.createElement("input");
    filter.type = "search";
    filter.placeholder = "Show only entries with this text";
    filter.setAttribute("aria-label", `Filter: ${menu.labels[0].textContent.trim()}`);
    filter.addEventListener("input", (event) => {
      event.stopPropagation();
      const wanted = filter.value.trim().toLowerCase();
      for (const option of menu.options) {
        option.hidden = !option.selected && !option.text.toLowerCase().includes(wanted);
      }
      for (const group of menu.querySelectorAll("optgroup")) {
        group.hidden = [...group.children].every((option) => option.hidden);
      }
    });
    filter.addEventListener("change", (event) => event.stopPropagation());
    filter.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
    menu.before(filter);
  }
}

// -- the request and the code follow the parameters -----------------------------------------------

const updating = form.querySelector("[data-update]");
updating.hidden = true;

let waiting = 0;
let asked = new AbortController();

async function update() {
  asked.abort();
  asked = new AbortController();
  const sent = new FormData(form);
  sent.set("action", "show");
  for (const [name, value] of sent) {
    if (value instanceof File) sent.set(name, new File([], value.name));
  }
  const multipart = form.enctype === "multipart/form-data";
  try {
    const response = await fetch(form.getAttribute("action"), {
      method: "POST",
      body: multipart ? sent : new URLSearchParams(sent),
      signal: asked.signal,
    });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const now = page.getElementById(part.id);
      if (now && now.innerHTML !== part.innerHTML) part.replaceChildren(...now.childNodes);
    }
    offerCopies();
  } catch (error) {
    // The sandbox does not respond, or the page is about to be left.
    if (error.name !== "AbortError") updating.hidden = false;
  }
}

function schedule() {
  for (const note of document.querySelectorAll(".stale")) note.hidden = false;
  clearTimeout(waiting);
  waiting = setTimeout(update, 250);
}
form.addEventListener("change", schedule);
form.addEventListener("input", schedule);

// -- copies ---------------------------------------------------------------------------------------

function offerCopies() {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
}
offerCopies();

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const code = document.getElementById(button.dataset.copy);
  const said = button.parentElement.querySelector("[role=status]");
  for (const earlier of document.querySelectorAll(".panel [role=status]")) earlier.textContent = "";
  let done = true;
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // Without TLS or on another machine's address, browsers have the old way only.
    getSelection().selectAllChildren(code);
    done = document.execCommand("copy");
  }
  said.textContent = done ? "Copied." : "The code is selected: copy it with Ctrl+C.";
});
