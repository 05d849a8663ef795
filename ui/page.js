// What happens in the browser: interface language, opening a source from its marker, copy, thumbs, examples, retry.
// Gradio draws and redraws the widgets, so clicks are caught at the document and labels are put back when they change.

const REMEMBERED = "shoptalk-language";
const html = document.documentElement;
const words = JSON.parse(document.getElementById("wording").textContent);
const $ = (selector, from = document) => from.querySelector(selector);

let asked = 0;

function language() {
  return html.dataset.language === "zh" ? "zh" : "en";
}

function speak(chosen) {
  html.dataset.language = chosen;
  label();
}

function set(element, attribute, value) {
  if (element && element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
}

function label() {
  const say = words[language()];
  set(html, "lang", language()); // Gradio sets the browser's own
  if (document.title !== say.title) document.title = say.title;
  set($("#box textarea"), "placeholder", say.placeholder);
  set($("#box textarea"), "aria-label", say.question_label);
  set($("#box .submit-button"), "aria-label", say.send);
  set($("#box .stop-button"), "aria-label", say.stop);
  set($("#log [role=log]"), "aria-label", say.conversation_label);
  set($("#top .fresh"), "aria-label", say.new_chat);
  set($("#top .language"), "aria-label", say.other_language_label);
}

// A new question is shown even if the reader had scrolled up to read an old source; from there on Gradio follows the answer.
function follow() {
  const questions = document.querySelectorAll("#log .asked");
  if (questions.length > asked) $("#log .bubble-wrap").scrollTop = $("#log .bubble-wrap").scrollHeight;
  asked = questions.length;
}

function ask(question) {
  const box = $("#box textarea");
  box.value = question;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(() => $("#box .submit-button")?.click());
}

function openSource(id) {
  const card = document.getElementById(id);
  if (!card) return;
  card.open = true;
  card.classList.remove("shown");
  requestAnimationFrame(() => card.classList.add("shown"));
  ($("mark", card) ?? card).scrollIntoView({ block: "center", behavior: "smooth" });
  $("summary", card).focus({ preventScroll: true });
}

function answerText(button) {
  const copy = $(".text, .card-text", button.closest(".reply")).cloneNode(true);
  copy.querySelectorAll(".marker").forEach((marker) => marker.replaceWith(`[${marker.lastChild.textContent}]`));
  copy.querySelectorAll("br").forEach((br) => br.replaceWith("\n"));
  copy.querySelectorAll("p, li, tr").forEach((block) => block.append("\n"));
  return copy.textContent.trim();
}

async function copyAnswer(button) {
  await navigator.clipboard.writeText(answerText(button));
  const spoken = $(".sr", button);
  const before = spoken.textContent;
  if (button.classList.contains("done")) return;
  button.classList.add("done");
  spoken.textContent = words[language()].copied;
  setTimeout(() => { button.classList.remove("done"); spoken.textContent = before; }, 1600);
}

async function vote(button) {
  const [, direction, answer] = /^vote-(up|down)-(.+)$/.exec(button.id);
  const body = JSON.stringify({ answer, value: direction === "up" ? 1 : -1 });
  const sent = await fetch("api/vote", { method: "POST", headers: { "content-type": "application/json" }, body }).catch(() => null);
  const thumbs = button.parentElement.querySelectorAll(".vote-up, .vote-down");
  if (sent?.ok) thumbs.forEach((thumb) => thumb.classList.toggle("chosen", thumb === button));
  button.classList.toggle("unsaved", !sent?.ok);
  if (!sent?.ok) set(button, "title", words[language()].vote_failed);
}

function retry(button) {
  const questions = [...document.querySelectorAll("#log .asked")];
  const mine = questions.filter((one) => one.compareDocumentPosition(button) & Node.DOCUMENT_POSITION_FOLLOWING).pop();
  if (mine) ask(mine.innerText);
}

const CLICKS = [
  ["a.marker", (marker) => openSource(decodeURIComponent(marker.hash.slice(1)))],
  [".action.copy", copyAnswer],
  [".action.vote-up, .action.vote-down", vote],
  [".retry", retry],
  [".example", (example) => ask(example.textContent)],
  [".tool.fresh", () => { $("#start-over").click(); $("#box textarea").focus(); }],
  [".tool.language", () => {
    const other = language() === "en" ? "zh" : "en";
    localStorage.setItem(REMEMBERED, other);
    speak(other);
  }],
];

document.addEventListener("click", (event) => {
  for (const [selector, act] of CLICKS) {
    const hit = event.target.closest?.(selector);
    if (!hit) continue;
    event.preventDefault();
    act(hit);
    return;
  }
});

new MutationObserver(() => { label(); follow(); }).observe(document.body, { childList: true, subtree: true });
speak(localStorage.getItem(REMEMBERED) ?? language());
