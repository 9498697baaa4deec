// The session ends by itself: says so two minutes before, keeps it while the person is there, and blanks the page after.
// The server decides; what is counted here only saves asking it.
(function () {
  "use strict";

  const BACKGROUND = "X-Background";
  const LONGEST_WARNING = 120;
  const LONGEST_SILENCE = 60;

  const dialog = document.getElementById("session-end");
  if (!dialog || !dialog.showModal) {
    return;
  }
  const address = dialog.dataset.address;
  const idle = Number(dialog.dataset.idle);
  const warning = Math.min(LONGEST_WARNING, idle / 3);
  const silence = Math.min(LONGEST_SILENCE, idle / 5);
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("senolens-session") : null;

  let endsAt = Date.now() + Number(dialog.dataset.seconds) * 1000;
  let by = "idle";
  let told = Date.now();
  let line = Promise.resolve();
  let over = false;
  let checking = false;

  function tell(message) {
    if (channel) {
      channel.postMessage(message);
    }
  }

  // Asks how long is left; `present`: the person is here, which starts the time anew.
  async function ask(present) {
    const headers = present ? { "X-CSRFToken": dialog.dataset.token } : { [BACKGROUND]: "1" };
    const answer = await fetch(address, {
      method: present ? "POST" : "GET",
      headers,
      credentials: "same-origin",
      redirect: "manual",
      cache: "no-store",
    });
    if (!answer.ok) {
      end();
      return;
    }
    const left = await answer.json();
    take(Date.now() + left.seconds * 1000, left.by);
    tell({ endsAt, by });
  }

  function take(end, reason) {
    endsAt = end;
    by = reason;
    if (dialog.open && endsAt - Date.now() > warning * 1000) {
      dialog.close();
    }
  }

  // One question after the other: "stay" must not get lost behind one that is under way.
  function askOnce(present) {
    line = line
      .then(() => (over ? null : ask(present)))
      .catch(() => null); // No network: the clock here goes on, and blanks the page in time.
    return line;
  }

  function clock(seconds) {
    return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  }

  function show(left) {
    for (const shown of dialog.querySelectorAll("[data-session-clock]")) {
      shown.textContent = clock(Math.max(left, 0));
    }
  }

  function warn() {
    for (const part of dialog.querySelectorAll("[data-session-by]")) {
      part.hidden = part.dataset.sessionBy !== by;
    }
    dialog.querySelector("[data-session-stay]").hidden = by !== "idle";
    show((endsAt - Date.now()) / 1000);
    dialog.showModal();
  }

  // Takes everything off the screen and out of the page, in every tab, before anything is fetched.
  function end() {
    if (over) {
      return;
    }
    over = true;
    tell({ ended: true });
    const here = window.location.pathname + window.location.search;
    const login = `${dialog.dataset.login}?next=${encodeURIComponent(here)}`;
    const said = document.createElement("main");
    said.className = "session-over";
    const heading = document.createElement("h1");
    heading.textContent = "You were signed out";
    const link = document.createElement("a");
    link.className = "btn btn-primary";
    link.href = login;
    link.textContent = "Sign in again";
    said.append(heading, link);
    document.title = "Signed out";
    document.body.replaceChildren(said);
    document.body.className = "";
    // Lets the server note the end, whether or not it answers.
    fetch(address, { headers: { [BACKGROUND]: "1" }, redirect: "manual" })
      .catch(() => null)
      .finally(() => window.location.replace(login));
  }

  async function tick() {
    if (over) {
      return;
    }
    const left = (endsAt - Date.now()) / 1000;
    if (left <= 0) {
      end();
      return;
    }
    if (dialog.open) {
      show(left);
      if (Math.ceil(left) === 30) {
        dialog.querySelector("[data-session-said]").textContent = "30 seconds left.";
      }
    } else if (left <= warning && !checking) {
      checking = true;
      // Another tab, or a part of this page, may have had the server start the time anew.
      await askOnce(false);
      checking = false;
      if (!over && !dialog.open && (endsAt - Date.now()) / 1000 <= warning) {
        warn();
      }
    }
  }

  // Reading a picture sends nothing for minutes; a key, a click or the wheel says that somebody is there.
  function isHere() {
    if (!dialog.open && Date.now() - told > silence * 1000) {
      told = Date.now();
      askOnce(true);
    }
  }
  for (const kind of ["pointerdown", "keydown", "wheel", "touchstart"]) {
    document.addEventListener(kind, isHere, { passive: true, capture: true });
  }

  dialog.querySelector("[data-session-stay]").addEventListener("click", () => askOnce(true));
  dialog.addEventListener("cancel", (event) => {
    // Escape is a sign of life as well.
    event.preventDefault();
    if (by === "idle") {
      askOnce(true);
    }
  });
  dialog.querySelector("[data-session-leave]").addEventListener("click", () => {
    const form = document.querySelector("form[action$='/logout/']");
    if (form) {
      form.requestSubmit();
    }
  });

  if (channel) {
    channel.addEventListener("message", (event) => {
      if (event.data.ended) {
        end();
      } else {
        take(event.data.endsAt, event.data.by);
      }
    });
    // A page that was opened just now started the time anew for all.
    tell({ endsAt, by });
  }

  // What the page does on its own is no activity: polling, and what follows from scripts' own events.
  document.addEventListener("htmx:configRequest", (event) => {
    const cause = event.detail.triggeringEvent;
    if (!cause || !cause.isTrusted) {
      event.detail.headers[BACKGROUND] = "1";
    }
  });

  window.setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) {
      askOnce(false);
    }
  });
})();
