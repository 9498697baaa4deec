// Loaded in the head, before anything is drawn, so that the page never flashes in the wrong theme.
(function () {
  "use strict";

  const KEY = "senolens-theme";
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      const kept = window.localStorage.getItem(KEY);
      return kept === "light" || kept === "dark" ? kept : "auto";
    } catch {
      return "auto"; // Storage is closed to us (private window, hospital policy): follow the system.
    }
  }

  function show(chosen) {
    const dark = chosen === "dark" || (chosen === "auto" && prefersDark.matches);
    document.documentElement.dataset.bsTheme = dark ? "dark" : "light";
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
    }
    document.dispatchEvent(new CustomEvent("senolens:theme", { detail: { dark } }));
  }

  function choose(chosen) {
    try {
      window.localStorage.setItem(KEY, chosen);
    } catch {
      // The choice then lasts for this page only.
    }
    show(chosen);
  }

  show(choice());
  prefersDark.addEventListener("change", () => show(choice()));
  document.addEventListener("DOMContentLoaded", () => {
    show(choice());
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-theme-choice]");
      if (button) {
        choose(button.dataset.themeChoice);
      }
    });
  });
})();
