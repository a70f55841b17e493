"use strict";
// All text of models, of prompts and of the corpus enters the page as text nodes, never as HTML.
const byId = (id) => document.getElementById(id);
const PAGE = 25;  // prompts of the list that are in the page at a time, however many there are
const SIGNS = { supported: "✓", contradicted: "✗", not_found: "?", says_nothing: "–", error: "!" };
const WORDS = { supported: "supported", contradicted: "contradicted", not_found: "not found", says_nothing: "says nothing", error: "the checker failed" };
const WORST = ["contradicted", "error", "not_found", "supported", "says_nothing"];
let data = JSON.parse(byId("data").textContent);
let found = [], start = 0, current = null, following;  // prompts that the filters leave, the first in the list, the chosen one

function make(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const number = (value) => value.toFixed(2);

// Which answers are compared

function sideName({ run, round }) {
  return new Set(data.sides.map((side) => side.run)).size > 1 ? `${run}, round ${round}` : `round ${round}`;
}
function fillSides() {
  const chosen = ["before", "after"].map((id) => byId(id).selectedOptions[0]?.textContent);
  const follows = following === undefined || byId("after").selectedIndex === following;  // what the first run delivers
  for (const id of ["before", "after"]) byId(id).replaceChildren(...data.sides.map((side, place) => make("option", { value: place }, sideName(side))));
  const names = data.sides.map(sideName);
  byId("before").selectedIndex = Math.max(0, names.indexOf(chosen[0]));
  byId("after").selectedIndex = follows || !names.includes(chosen[1]) ? data.after : names.indexOf(chosen[1]);
  following = data.after;
}
const before = (prompt) => prompt.answers[byId("before").value];
const after = (prompt) => prompt.answers[byId("after").value];
const isOne = () => byId("before").value === byId("after").value;
const both = (prompt) => (isOne() ? [after(prompt)] : [before(prompt), after(prompt)]).filter(Boolean);

// What the filters leave

function haystack(prompt, answer) {
  answer.hay ??= [prompt.text, ...answer.parts.map(([text]) => text), "\n", ...(answer.facts ?? []).map((fact) => `\n${fact.text}`)].join("").toLowerCase();
  return answer.hay;
}
function rise(prompt) {
  const [first, last] = [before(prompt)?.precision, after(prompt)?.precision];
  return first == null || last == null ? null : last - first;
}
const count = (answer, verdict) => (answer?.facts ?? []).filter((fact) => fact.verdict === verdict).length;
const states = (answer) => Boolean(answer?.facts) && answer.precision !== null;
const CHANGES = {
  better: (prompt) => rise(prompt) > 0,
  worse: (prompt) => rise(prompt) < 0,
  same: (prompt) => rise(prompt) === 0,
  stopped: (prompt) => states(before(prompt)) && Boolean(after(prompt)?.facts) && !states(after(prompt)),
  started: (prompt) => states(after(prompt)) && Boolean(before(prompt)?.facts) && !states(before(prompt)),
  truncated: (prompt) => both(prompt).some((answer) => answer.truncated),
  missing: (prompt) => both(prompt).some((answer) => answer.missing !== null),
};
const ORDERS = {
  rise: (prompt) => -(rise(prompt) ?? -2),
  fall: (prompt) => rise(prompt) ?? 2,
  errors: (prompt) => -(count(after(prompt), "contradicted") + count(after(prompt), "not_found")),
};
function hasVerdict(prompt, verdict) {
  return verdict === "none" ? both(prompt).every((answer) => !answer.facts) : both(prompt).some((answer) => count(answer, verdict));
}
function leaves(prompt) {
  const words = byId("query").value.toLowerCase().split(/\s+/).filter(Boolean), answers = both(prompt);
  const { value: verdict } = byId("verdict"), { value: change } = byId("change");
  return answers.length > 0 && (!verdict || hasVerdict(prompt, verdict)) && (!change || CHANGES[change](prompt)) &&
    words.every((word) => answers.some((answer) => haystack(prompt, answer).includes(word)));
}
function filter() {
  found = data.prompts.filter(leaves);
  const order = ORDERS[byId("order").value];
  if (order) found = found.map((prompt) => [order(prompt), prompt]).sort((a, b) => a[0] - b[0]).map(([, prompt]) => prompt);
  byId("count").textContent = `${found.length} of ${data.prompts.length} prompts` + (found.length ? "" : ": no prompt fits; clear a filter");
}

// The list

function rating(answer) {
  if (!answer) return "none";
  if (answer.precision !== null) return number(answer.precision);
  return answer.missing !== null ? "missing" : answer.facts ? "no fact" : "not checked";
}
function row(prompt) {
  const change = rise(prompt), sign = change === null || change === 0 ? "" : change > 0 ? "▲ " : "▼ ";
  const said = make("span", { class: `rating ${change > 0 ? "supported" : change < 0 ? "contradicted" : ""}` }, isOne() ? rating(after(prompt)) : `${sign}${rating(before(prompt))} → ${rating(after(prompt))}`);
  const button = make("button", { type: "button", "aria-current": prompt === current ? "true" : null }, make("span", { class: "prompt" }, prompt.text), said);
  button.onclick = () => choose(prompt, true);
  return make("li", {}, button);
}
function list() {
  start = Math.max(0, Math.min(start, Math.floor((found.length - 1) / PAGE) * PAGE));
  byId("list").start = start + 1;
  byId("list").replaceChildren(...found.slice(start, start + PAGE).map(row));
  byId("page").textContent = found.length ? `${start + 1} to ${Math.min(start + PAGE, found.length)} of ${found.length}` : "";
  byId("back").disabled = start === 0;
  byId("on").disabled = start + PAGE >= found.length;
}
function apply() {
  filter();
  if (!found.includes(current)) current = found[0] ?? null;
  start = Math.floor(Math.max(0, found.indexOf(current)) / PAGE) * PAGE;
  list();
  detail();
}

// The chosen prompt

function choose(prompt, moves) {
  current = prompt;
  start = Math.floor(found.indexOf(prompt) / PAGE) * PAGE;
  list();
  detail();
  if (moves) { byId("detail").focus({ preventScroll: true }); byId("detail").scrollIntoView({ block: "nearest" }); }
}
function step(by) {
  const next = found[found.indexOf(current) + by];
  if (next) choose(next, true);
}
function detail() {
  if (!current) { byId("detail").replaceChildren(make("p", {}, "No prompt is chosen.")); return; }
  const place = found.indexOf(current), buttons = [["← Previous", -1, place < 1], ["Next →", 1, place >= found.length - 1]].map(([words, by, off]) => {
    const button = make("button", { type: "button", disabled: off }, words);
    button.onclick = () => step(by);
    return button;
  });
  const toList = make("button", { type: "button", class: "to-list" }, "To the list");
  toList.onclick = () => { byId("controls").scrollIntoView(); byId("list").querySelector("[aria-current]")?.focus(); };
  const kind = { true: "needs facts", false: "needs no facts", null: "" }[current.needs_facts];
  byId("detail").replaceChildren(
    make("div", { class: "steps" }, ...buttons, make("span", {}, `${place + 1} of ${found.length}${kind && `; ${kind}`}`), toList),
    make("h3", {}, current.text),
    make("div", { class: "sides" }, isOne() ? null : side(byId("before"), before(current)), side(byId("after"), after(current))));
}
function side(select, answer) {
  const name = select.selectedOptions[0].textContent;
  const box = make("section", { "aria-label": name }, make("h4", {}, name));
  if (!answer) { box.append(make("p", { class: "soft" }, "This round has no answer to this prompt.")); return box; }
  box.append(make("p", { class: "soft" }, summary(answer)), text(answer, box));
  if (answer.facts?.length) box.append(make("ul", { class: "facts" }, ...answer.facts.map((fact) => shownFact(fact, answer))));
  return box;
}
function summary(answer) {
  const told = [];
  const known = (answer.facts ?? []).filter((fact) => fact.verdict !== "says_nothing" && fact.verdict !== "error");
  if (answer.precision !== null) told.push(`precision ${number(answer.precision)}: ${count(answer, "supported")} of ${known.length} facts supported`);
  else if (answer.facts) told.push("states no fact that counts");
  else if (answer.missing === null) told.push("not checked for facts");
  if (answer.helpfulness !== null) told.push(`helpfulness ${number(answer.helpfulness)}`);
  if (answer.missing !== null) told.push(`a reward is missing: ${answer.missing}`);
  if (answer.truncated) told.push("cut off by the token limit");
  return told.join("; ");
}
function verdictOf(answer, sentence) {
  const verdicts = new Set((answer.facts ?? []).filter((fact) => fact.sentence === sentence).map((fact) => fact.verdict));
  return WORST.find((verdict) => verdicts.has(verdict));
}
function text(answer, box) {
  const body = make("p", { class: "answer" });
  for (const [piece, sentence] of answer.parts) {
    const verdict = sentence < 0 ? undefined : verdictOf(answer, sentence);
    if (!verdict) { body.append(piece); continue; }
    const mark = make("mark", { class: `sentence ${verdict}`, title: `${WORDS[verdict]}; click for the facts` }, piece);
    mark.onclick = () => reveal(box, sentence);  // by keyboard, the facts below are opened one by one
    body.append(mark);
  }
  if (!answer.parts.length) body.append(make("span", { class: "soft" }, "(an empty answer)"));
  return body;
}
function reveal(box, sentence) {
  const facts = [...box.querySelectorAll(`details[data-sentence="${sentence}"]`)];
  for (const fact of facts) fact.open = true;
  facts[0]?.scrollIntoView({ block: "nearest" });
}
function shownFact(fact, answer) {
  const score = fact.score === null || fact.verdict === "error" ? "" : `, score ${number(fact.score)}`;
  const aside = `${WORDS[fact.verdict]}${score}${fact.relevant ? "" : ", not asked for"}`;
  const head = make("summary", {}, make("span", { class: "sign", "aria-hidden": "true" }, SIGNS[fact.verdict] ?? "?"), make("span", {}, fact.text, " ", make("small", {}, aside)));
  const folded = make("details", { class: `fact ${fact.verdict}`, "data-sentence": fact.sentence }, head);
  folded.ontoggle = () => { if (folded.open && folded.children.length === 1) folded.append(evidence(fact, answer)); };
  return make("li", {}, folded);
}
function evidence(fact, answer) {
  const box = make("div", { class: "evidence" }), others = answer.evidence.filter((place) => place !== fact.passage);
  if (fact.passage !== null) box.append(make("h5", {}, "The passage that decided"), passage(fact.passage, fact.text));
  else if (others.length) box.append(make("p", { class: "soft" }, "No single passage decided."));
  else box.append(make("p", { class: "soft" }, "No evidence was found."));
  if (others.length) {
    const rest = make("details", { open: fact.passage === null }, make("summary", {}, `${others.length} ${fact.passage === null ? "" : "other "}passages that were retrieved`));
    const fill = () => { if (rest.open && rest.children.length === 1) rest.append(...others.map((place) => passage(place, fact.text))); };
    rest.ontoggle = fill;
    fill();
    box.append(rest);
  }
  return box;
}
const stem = (word) => (/\d/.test(word) ? word : word.toLowerCase().slice(0, 5));
function passage(place, words) {
  const [title, content] = data.passages[place], body = make("p", {});
  const wanted = new Set((words.match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => word.length > 3 || /\d/.test(word)).map(stem));
  for (const part of content.split(/([\p{L}\p{N}]+)/u)) body.append(part && wanted.has(stem(part)) ? make("mark", {}, part) : part);
  return make("blockquote", {}, make("cite", {}, title), body);
}

// A page that follows its runs

const inside = (id) => [...byId(id).querySelectorAll("summary, button, [tabindex]")];
const focused = () => ["sections", "list"].map((id) => [id, inside(id).indexOf(document.activeElement)]).find(([, place]) => place >= 0);
const opened = () => [...byId("sections").querySelectorAll("details")].map((each) => each.open);
let asks = false;
async function follow() {
  if (asks || document.hidden || byId("pause").getAttribute("aria-pressed") === "true") return;
  asks = true;
  try { await ask(); } finally { asks = false; }
}
async function ask() {
  let answer;
  try {
    answer = await fetch(location.pathname, { headers: { "If-None-Match": `"${data.version}"` }, cache: "no-store" });
  } catch { say("The command has ended; this page stays as it is."); return; }
  if (answer.status === 304) { say("Follows the run; up to date."); return; }
  if (!answer.ok) { say(`The run could not be read (${answer.status}); this page stays as it is.`); return; }
  take(new DOMParser().parseFromString(await answer.text(), "text/html"));
  say(`Updated at ${new Date().toLocaleTimeString()}.`);
}
function take(page) {
  const open = opened(), focus = focused(), chosen = current?.text, shown = JSON.stringify([current && both(current).map(({ hay, ...rest }) => rest)]);
  byId("sections").replaceChildren(...page.getElementById("sections").childNodes);
  [...byId("sections").querySelectorAll("details")].forEach((each, place) => { each.open = open[place] ?? false; });
  const [links, now] = [document, page].map((each) => each.querySelector("header nav"));
  if (links.textContent !== now.textContent) links.replaceChildren(...now.childNodes);  // a fine-tuning gets sections as it goes on
  document.querySelector("footer p").textContent = page.querySelector("footer p").textContent;
  data = JSON.parse(page.getElementById("data").textContent);
  begin();
  current = found.find((prompt) => prompt.text === chosen) ?? found[0] ?? null;
  list();
  if (JSON.stringify([current && both(current)]) !== shown) detail();
  if (focus) inside(focus[0])[focus[1]]?.focus({ preventScroll: true });
}
function say(words) { if (byId("live-state").textContent !== words) byId("live-state").textContent = words; }

// The start

function begin() {
  byId("browser").hidden = false;
  byId("left-out").hidden = data.left_out === 0;
  byId("left-out").textContent = `${data.left_out} of ${data.left_out + data.prompts.length} held-out prompts are left out, so that this file stays small. ` +
    "Those that are here were drawn at random. Charts and tables count all. `flame-ray report --answers` sets how many answers are kept.";
  fillSides();
  filter();
}
const KEYS = { j: () => step(1), k: () => step(-1), "/": () => byId("query").focus() };
addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("controls").oninput = apply;
byId("controls").onsubmit = (event) => event.preventDefault();
byId("controls").onreset = () => setTimeout(() => { fillSides(); apply(); });
byId("back").onclick = () => { start -= PAGE; list(); };
byId("on").onclick = () => { start += PAGE; list(); };
byId("pause").onclick = () => {
  const paused = byId("pause").getAttribute("aria-pressed") !== "true";
  byId("pause").setAttribute("aria-pressed", paused);
  say(paused ? "Paused." : "Follows the run.");
};
begin();
apply();
if (data.version) { byId("live").hidden = false; say("Follows the run."); setInterval(follow, 3000); }
