/*
 * The browser part of the status page. Every few seconds it requests the page again and changes the document in place. Only
 * the server renders, so the page shows the same with and without this script. Elements are kept where possible: focus, text
 * selection, scroll position and unfolded details stay as they are.
 */

const UPDATE_EVERY_MS = 5_000;
// A page in the background shows only its title and icon.
const HIDDEN_UPDATE_EVERY_MS = 60_000;
const RETRY_EVERY_MS_MAX = 60_000;
const TIMEOUT_MS = 15_000;

const page = document.getElementById("page");
const announcement = document.getElementById("announcement");
const offline = document.getElementById("offline");
const icon = document.getElementById("icon");
const updatedAt = () => document.getElementById("now").textContent;
let failures = 0;
let timer;
let isUpdating = false;

function changeElement(element, wanted) {
  for (const { name } of [...element.attributes]) {
    // Details that a person has unfolded stay unfolded.
    if (!wanted.hasAttribute(name) && name !== "open") element.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (element.getAttribute(name) !== value && name !== "open") element.setAttribute(name, value);
  }
  changeChildren(element, wanted);
}

function changeNode(node, wanted) {
  if (node.nodeType === Node.ELEMENT_NODE) changeElement(node, wanted);
  else if (node.data !== wanted.data) node.data = wanted.data;
}

// A child with an id is matched by its id, wherever it was; the others are matched in order.
function changeChildren(element, wanted) {
  const byId = new Map([...element.children].filter(({ id }) => id !== "").map((child) => [child.id, child]));
  let at = element.firstChild;
  for (const child of [...wanted.childNodes]) {
    const isElement = child.nodeType === Node.ELEMENT_NODE;
    const found = isElement && child.id !== "" ? byId.get(child.id) : at && !at.id ? at : undefined;
    if (found && found.nodeName === child.nodeName) {
      if (found === at) at = at.nextSibling;
      else element.insertBefore(found, at);
      changeNode(found, child);
    } else {
      element.insertBefore(document.importNode(child, true), at);
    }
  }
  while (at !== null) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function show(answer) {
  const wanted = answer.getElementById("page");
  if (wanted === null) throw new Error("the answer is not the status page");
  // Another version of the worker has its own style sheet and script.
  if (answer.getElementById("script").getAttribute("src") !== document.getElementById("script").getAttribute("src")) {
    location.reload();
    return;
  }
  const focused = document.activeElement;
  const announced = page.dataset.announce;
  changeElement(page, wanted);
  document.title = answer.title;
  icon.href = answer.getElementById("icon").href;
  // An element loses the focus when it moves.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  if (page.dataset.announce !== announced) announcement.textContent = page.dataset.announce;
}

async function update() {
  clearTimeout(timer);
  if (isUpdating) return;
  isUpdating = true;
  try {
    const response = await fetch(location.origin + location.pathname + location.search, {
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch((error) => {
      throw new Error(error.name === "TimeoutError" ? "no answer in time" : "no connection");
    });
    if (response.status === 401) throw new Error("sign-in required: reload the page");
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    show(new DOMParser().parseFromString(await response.text(), "text/html"));
    if (failures > 0) announcement.textContent = `The worker can be reached again. ${page.dataset.announce}`;
    failures = 0;
  } catch (error) {
    failures++;
    const text = `The worker cannot be reached (${error.message}). This page shows the status as of ${updatedAt()}.`;
    if (offline.textContent !== text) offline.textContent = text;
    // An old status must not look like a current one, not even in the tab of a page in the background.
    document.title = "✕ The worker cannot be reached";
    icon.href = icon.dataset.alarm;
  } finally {
    offline.hidden = failures === 0;
    document.documentElement.classList.toggle("stale", failures > 0);
    isUpdating = false;
    const waitMs = document.hidden
      ? HIDDEN_UPDATE_EVERY_MS
      : Math.min(UPDATE_EVERY_MS * 2 ** Math.min(failures, 8), RETRY_EVERY_MS_MAX);
    timer = setTimeout(update, waitMs);
  }
}

async function copy(button) {
  const { copy: text } = button.dataset;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers allow the clipboard API only to pages from this machine or over HTTPS.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    button.after(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    button.focus({ preventScroll: true });
  }
  button.textContent = "Copied";
  announcement.textContent = "Copied.";
}

document.documentElement.classList.add("scripted");
document.addEventListener("click", ({ target }) => {
  const button = target instanceof Element ? target.closest("button[data-copy]") : null;
  if (button !== null) void copy(button);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void update();
});
addEventListener("online", () => void update());
timer = setTimeout(update, UPDATE_EVERY_MS);
