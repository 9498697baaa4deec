// The bell of the site bar: how many notifications are unread, and the newest of them.
(function () {
  "use strict";

  const EVERY_MS = 45000;
  const bell = document.getElementById("bell");
  const panel = document.getElementById("bell-panel");
  if (!bell || !panel) {
    return;
  }
  const place = bell.closest(".bell-place");
  const count = place.querySelector("[data-bell-count]");
  const words = place.querySelector("[data-bell-words]");
  const news = place.querySelector("[data-bell-news]");
  let timer = 0;
  let asked = Date.now();

  function show(unread) {
    const before = Number(bell.dataset.unread);
    if (unread === before) {
      return;
    }
    bell.dataset.unread = String(unread);
    count.hidden = unread === 0;
    count.textContent = unread > 99 ? "99+" : String(unread);
    words.textContent = unread === 0 ? "none" : String(unread);
    if (unread > before) {
      news.textContent = unread === 1 ? "1 unread notification" : `${unread} unread notifications`;
    }
  }

  // The page asks, not the person: the header keeps it from counting as activity. A redirect means that the session
  // has ended; then nothing is asked any more.
  async function look() {
    asked = Date.now();
    let answer;
    try {
      answer = await fetch(bell.dataset.bell, {
        headers: { "X-Background": "1", Accept: "application/json" },
        credentials: "same-origin",
        redirect: "manual",
        cache: "no-store",
      });
    } catch {
      return; // The server cannot be reached just now; the number shown is the last one known.
    }
    if (answer.ok) {
      show((await answer.json()).unread);
    } else if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) {
      window.clearInterval(timer);
    }
  }

  function lookIfSeen() {
    if (document.visibilityState === "visible" && Date.now() - asked >= EVERY_MS - 1000) {
      look();
    }
  }

  timer = window.setInterval(lookIfSeen, EVERY_MS);
  document.addEventListener("visibilitychange", lookIfSeen);

  bell.addEventListener("show.bs.dropdown", () => {
    // Settled at once: a key pressed within the usual 20 ms would find a form that htmx does not know yet.
    window.htmx.ajax("GET", bell.dataset.bellPanel, { target: panel, swap: "innerHTML settle:0ms" });
  });

  // The panel brings the number with it. "Mark all as read" takes its own button away; the keyboard goes to the bell.
  let heldKeyboard = false;
  panel.addEventListener("htmx:beforeSwap", () => {
    heldKeyboard = panel.contains(document.activeElement);
  });
  panel.addEventListener("htmx:afterSwap", () => {
    const head = panel.querySelector("[data-bell-unread]");
    if (head) {
      show(Number(head.dataset.bellUnread));
    }
    if (heldKeyboard) {
      heldKeyboard = false;
      bell.focus();
    }
  });
})();
