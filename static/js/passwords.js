// A button beside each password shows what is typed, until the form is sent.
(function () {
  "use strict";

  for (const field of document.querySelectorAll("input[type='password']")) {
    const group = document.createElement("div");
    group.className = "password-group";
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm btn-secondary";
    button.textContent = "Show";
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", "Show the password");
    field.replaceWith(group);
    group.append(field, button);
    button.addEventListener("click", () => {
      const shown = field.type === "password";
      field.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-pressed", String(shown));
      field.focus();
    });
    field.form.addEventListener("submit", () => {
      field.type = "password";
    });
  }
})();
