// Keeps the address of the history and the ledger short: a filter that is empty is left out.
(function () {
  "use strict";

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "history-filter" && !("shortAddress" in event.detail.elt.dataset)) {
      return;
    }
    for (const name of Object.keys(event.detail.parameters)) {
      if (event.detail.parameters[name] === "") {
        delete event.detail.parameters[name];
      }
    }
  });
})();
