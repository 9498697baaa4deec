// What every page needs beyond HTML: says when a part could not be updated, and small behaviours named by attributes.
(function () {
  "use strict";

  function notice(sentence) {
    const line = document.getElementById("notice-line");
    if (line) {
      line.textContent = sentence;
    }
  }

  // An expired session answers a part's request with the sign-in page; that must not land inside the part.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const address = event.detail.xhr.responseURL;
    const login = document.body.dataset.loginUrl;
    if (address && login && new URL(address).pathname === login && window.location.pathname !== login) {
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });

  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 429) {
      notice("That was too often in a short time. Wait a minute, then try again.");
    } else {
      notice("This part of the page could not be updated. What is shown may be out of date; reload the page.");
    }
  });

  document.addEventListener("htmx:sendError", () => {
    notice("The server cannot be reached. What is shown may be out of date. Nothing you entered was sent.");
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) {
      notice("");
    }
  });

  // data-copy="#id": copies the text of that element.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) {
      return;
    }
    const source = document.querySelector(button.dataset.copy);
    if (!source) {
      return;
    }
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } else {
      window.getSelection().selectAllChildren(source);
    }
  });

  // data-print: prints the page.
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) {
      window.print();
    }
  });

  // A form is sent once, however often its button is pressed; "back" gives the button again. A form that answers with
  // a download, where the page stays, says data-again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented || "again" in form.dataset) {
      return;
    }
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
    }
  });

  // The first wrong field of a refused form takes the keyboard.
  document.addEventListener("DOMContentLoaded", () => {
    const wrong = document.querySelector(".is-invalid");
    if (wrong) {
      wrong.focus();
    }
  });
})();
