"use strict";

const $ = (id) => document.getElementById(id);
const tally = new Map(); // answers by release

// say shows "release 3 from 1f2e3d" in an element of the footer.
function say(place, who) {
  const release = document.createElement("b");
  release.textContent = `release ${who.release}`;
  $(place).replaceChildren(release, ` from ${who.replica}`);
}

function answered(who) {
  say("api", who);
  tally.set(who.release, (tally.get(who.release) || 0) + 1);
  $("tally").textContent = [...tally].map(([release, n]) => `${n} from release ${release}`).join(", ");
}

async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `the server answered ${response.status}`);
  return body;
}

function item(message) {
  const li = document.createElement("li");
  const text = document.createElement("p");
  text.textContent = message.text;
  const by = document.createElement("p");
  by.className = "by";
  by.textContent = `${message.author}, ${new Date(message.at).toLocaleString()}`;
  li.append(text, by);
  return li;
}

let shown = "";

async function refresh() {
  try {
    const { messages, answered: who } = await call("/api/messages");
    answered(who);
    $("empty").hidden = messages.length > 0;
    const now = JSON.stringify(messages);
    if (now !== shown) $("messages").replaceChildren(...messages.map(item));
    shown = now;
  } catch (problem) {
    $("api").textContent = problem.message;
  }
  try {
    say("web", await call("/whoami.json"));
  } catch (problem) {
    $("web").textContent = problem.message;
  }
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  $("problem").hidden = true;
  try {
    await call("/api/messages", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ author: form.author.value, text: form.text.value }),
    });
    form.text.value = "";
    await refresh();
  } catch (problem) {
    $("problem").textContent = problem.message;
    $("problem").hidden = false;
  }
  button.disabled = false;
});

refresh();
setInterval(refresh, 2000);
