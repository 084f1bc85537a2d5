// Keeps the open page current. Every action is a plain form and needs none of this.
"use strict";

const line = document.getElementById("line");

function tell(text) {
  if (line.textContent !== text) line.textContent = text;
  line.hidden = text === "";
}

const isTyped = (part) =>
  [...part.querySelectorAll("input:not([type=hidden])")].some((field) => field.value !== field.defaultValue);

// A button is the same one only if its whole form is: what it acts on stands there.
const sameness = (element) => (element.closest("form") || element).outerHTML + element.outerHTML;

function replace(part, version, html) {
  // What is typed or pressed just now is not taken away.
  if (isTyped(part)) return;
  if (part.querySelector(":active")) {
    setTimeout(() => replace(part, version, html), 300);
    return;
  }
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const was = focused && sameness(focused);
  const open = [...part.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
  part.innerHTML = html;
  part.dataset.version = version;
  for (const summary of part.querySelectorAll("details > summary")) {
    summary.parentElement.open = open.includes(summary.textContent);
  }
  if (focused) {
    const again = [...part.querySelectorAll(focused.tagName)].find((element) => sameness(element) === was);
    (again || document.getElementById("main")).focus({ preventScroll: true });
  }
}

const stream = new EventSource("live?view=" + encodeURIComponent(document.body.dataset.view));

stream.addEventListener("part", (event) => {
  const { id, version, html } = JSON.parse(event.data);
  const part = document.getElementById(id);
  if (!part) {
    // The view has other parts than when it was loaded.
    if (!isTyped(document)) location.reload();
  } else if (part.dataset.version !== version) {
    replace(part, version, html);
  }
});

stream.addEventListener("said", (event) => {
  const { text, title } = JSON.parse(event.data);
  document.title = title;
  document.getElementById("said").textContent = text;
});

stream.addEventListener("ended", () => {
  stream.close();
  location.reload();
});

stream.addEventListener("open", () => tell(""));
stream.addEventListener("error", () => {
  const isOver = stream.readyState === EventSource.CLOSED;
  tell(
    isOver
      ? "This page is closed. Run hcfs ui to open it again."
      : "The daemon does not answer. What stands here may be old.",
  );
});
