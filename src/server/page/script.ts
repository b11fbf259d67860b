/**
 * The page's script, as the browser gets it. It asks for the page again every few seconds and changes in place what has
 * changed: there is one renderer, the server's, so that the page with and without a script cannot differ. Elements stay the
 * same elements, so that focus, selection, scroll and what somebody has unfolded stay too.
 */
export const SCRIPT = `"use strict";
(() => {
  const EVERY_MS = 5_000;
  // In the background only the title and the icon are seen.
  const HIDDEN_EVERY_MS = 60_000;
  const FAILING_EVERY_MS_MAX = 60_000;
  const TIMEOUT_MS = 15_000;

  const page = document.getElementById("page");
  const announcement = document.getElementById("announcement");
  const offline = document.getElementById("offline");
  const icon = document.getElementById("icon");
  const answeredAt = () => document.getElementById("now").textContent;
  let failures = 0;
  let timer;
  let asking = false;

  function changeElement(element, wanted) {
    for (const { name } of [...element.attributes]) {
      // What a person has unfolded stays unfolded.
      if (!wanted.hasAttribute(name) && name !== "open") element.removeAttribute(name);
    }
    for (const { name, value } of wanted.attributes) {
      if (element.getAttribute(name) !== value && name !== "open") element.setAttribute(name, value);
    }
    changeChildren(element, wanted);
  }

  function change(node, wanted) {
    if (node.nodeType === Node.ELEMENT_NODE) changeElement(node, wanted);
    else if (node.data !== wanted.data) node.data = wanted.data;
  }

  // Children with an id are found again by it wherever they stood; the others are matched in order.
  function changeChildren(element, wanted) {
    const known = new Map([...element.children].filter(({ id }) => id !== "").map((child) => [child.id, child]));
    let at = element.firstChild;
    for (const child of [...wanted.childNodes]) {
      const isElement = child.nodeType === Node.ELEMENT_NODE;
      const found = isElement && child.id !== "" ? known.get(child.id) : at && !at.id ? at : undefined;
      if (found && found.nodeName === child.nodeName) {
        if (found === at) at = at.nextSibling;
        else element.insertBefore(found, at);
        change(found, child);
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
    if (wanted === null) throw new Error("another page answered");
    // A newer worker brings its own style and script.
    if (answer.getElementById("script").getAttribute("src") !== document.getElementById("script").getAttribute("src")) {
      location.reload();
      return;
    }
    const focused = document.activeElement;
    const said = page.dataset.say;
    changeElement(page, wanted);
    document.title = answer.title;
    icon.href = answer.getElementById("icon").href;
    // An element that has moved has lost the focus on its way.
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    if (page.dataset.say !== said) announcement.textContent = page.dataset.say;
  }

  async function ask() {
    clearTimeout(timer);
    if (asking) return;
    asking = true;
    try {
      const response = await fetch(location.origin + location.pathname + location.search, {
        cache: "no-store",
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      }).catch((error) => {
        throw new Error(error.name === "TimeoutError" ? "no answer in time" : "nobody answers");
      });
      if (response.status === 401) throw new Error("it asks who you are: reload the page to sign in");
      if (!response.ok) throw new Error("HTTP " + response.status);
      show(new DOMParser().parseFromString(await response.text(), "text/html"));
      if (failures > 0) announcement.textContent = "The worker answers again. " + page.dataset.say;
      failures = 0;
    } catch (error) {
      failures++;
      const text = "The worker cannot be reached (" + error.message + "). This page shows what was known at " + answeredAt() + ".";
      if (offline.textContent !== text) offline.textContent = text;
      // What was well a while ago must not look well now: the tab is what a person sees of a page in the background.
      document.title = "✕ The worker cannot be reached";
      icon.href = icon.dataset.alarm;
    } finally {
      offline.hidden = failures === 0;
      document.documentElement.classList.toggle("stale", failures > 0);
      asking = false;
      const everyMs = document.hidden ? HIDDEN_EVERY_MS : Math.min(EVERY_MS * 2 ** Math.min(failures, 8), FAILING_EVERY_MS_MAX);
      timer = setTimeout(ask, everyMs);
    }
  }

  async function copy(button) {
    const { copy: text } = button.dataset;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Only pages from this machine or over HTTPS may write to the clipboard themselves.
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
    if (!document.hidden) void ask();
  });
  addEventListener("online", () => void ask());
  timer = setTimeout(ask, EVERY_MS);
})();
`;
