// Forms with data-passkey="create" or "get" have the browser make or use a passkey before they are sent. The options come
// with the page (#passkey-options), or from the form's own address where nobody is known yet.
(function () {
  "use strict";

  const SENTENCES = {
    NotAllowedError: "The passkey was not used: it was cancelled, or it took too long. Nothing was changed.",
    InvalidStateError: "This passkey is added already. Nothing was changed.",
    SecurityError: "Passkeys work only at this site's own address. Open the site by its name, not by a number.",
    NotSupportedError: "This browser or key cannot do this. Nothing was changed.",
  };

  function said(form, sentence) {
    const line = form.querySelector("[data-passkey-error]");
    if (line) {
      line.textContent = sentence;
    }
  }

  async function options(form) {
    const given = document.getElementById("passkey-options");
    if (given) {
      return JSON.parse(given.textContent);
    }
    const answer = await fetch(form.action, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!answer.ok) {
      throw new Error(String(answer.status));
    }
    return answer.json();
  }

  function create(wanted) {
    // A passkey proper: it knows whose it is, and checks the person.
    const selection = { residentKey: "required", requireResidentKey: true, userVerification: "required" };
    const publicKey = { ...wanted.creation_options.publicKey, authenticatorSelection: selection };
    return window.webauthnJSON.create({ publicKey });
  }

  async function use(form) {
    said(form, "");
    try {
      const wanted = await options(form);
      const credential =
        form.dataset.passkey === "create" ? await create(wanted) : await window.webauthnJSON.get(wanted.request_options);
      form.elements.credential.value = JSON.stringify(credential);
      form.submit();
    } catch (problem) {
      said(form, SENTENCES[problem.name] || "The passkey could not be used. Nothing was changed; try again.");
    }
  }

  if (!window.webauthnJSON || !window.webauthnJSON.supported()) {
    for (const form of document.querySelectorAll("form[data-passkey='create']")) {
      said(form, "This browser has no passkeys, or the page was not opened over https. An authenticator app works.");
    }
    return;
  }
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      use(form);
    });
  }
})();
