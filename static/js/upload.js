// Takes images from this page to a study: drop, folder, paste or button; a few at a time, each with its own progress.
// A file stays in the page until the server has said what became of it, so a lost network loses nothing.
(function () {
  "use strict";

  const PARALLEL = 2;
  const KIND = {
    waiting: "queued",
    sending: "running",
    checking: "running",
    stored: "succeeded",
    known: "succeeded",
    refused: "rejected",
    mismatch: "rejected",
    left: "cancelled",
    lost: "failed",
  };
  const OPEN = new Set(["waiting", "sending", "checking"]);
  const SIGNED_OUT =
    "You are signed out, or the page is too old. The file is kept in this page: sign in again in another tab, then press Retry.";

  function sizeWords(bytes) {
    return bytes >= 1048576 ? `${(bytes / 1048576).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1024))} KB`;
  }

  function button(label, kind, action) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = `btn btn-sm ${kind}`;
    made.textContent = label;
    made.addEventListener("click", action);
    return made;
  }

  function link(label, address) {
    const made = document.createElement("a");
    made.href = address;
    made.textContent = label;
    return made;
  }

  class Uploader {
    constructor(root) {
      this.root = root;
      this.form = root.querySelector("[data-upload-form]");
      this.list = root.querySelector("[data-upload-list]");
      this.summary = root.querySelector("[data-upload-summary]");
      this.template = root.querySelector("template[data-upload-row]");
      this.openStudy = root.querySelector("[data-open-study]");
      this.maxBytes = Number(root.dataset.maxBytes);
      this.uploadUrl = root.dataset.uploadUrl || "";
      this.studyUrl = "";
      this.entries = [];
      this.active = 0;
      this.leftOut = 0;
      for (const part of root.querySelectorAll("[data-needs-script]")) {
        part.hidden = false;
      }
      this.listen();
    }

    listen() {
      for (const input of this.root.querySelectorAll("[data-files], [data-folder]")) {
        input.addEventListener("change", () => {
          this.add([...input.files]);
          input.value = "";
        });
      }
      this.form.addEventListener("submit", (event) => event.preventDefault());
      const zone = this.root.querySelector("[data-drop-zone]");
      document.addEventListener("dragover", (event) => {
        if ([...event.dataTransfer.types].includes("Files")) {
          event.preventDefault();
          event.dataTransfer.dropEffect = "copy";
          zone.classList.add("over");
        }
      });
      document.addEventListener("dragleave", (event) => {
        if (!event.relatedTarget) {
          zone.classList.remove("over");
        }
      });
      document.addEventListener("drop", async (event) => {
        zone.classList.remove("over");
        if (![...event.dataTransfer.types].includes("Files")) {
          return;
        }
        event.preventDefault();
        try {
          this.add(await window.SenolensFiles.ofTransfer(event.dataTransfer));
        } catch {
          this.tell("The folder could not be read. Choose it with the button instead.");
        }
      });
      document.addEventListener("paste", (event) => {
        const files = [...(event.clipboardData ? event.clipboardData.files : [])];
        if (files.length) {
          event.preventDefault();
          this.add(files);
        }
      });
      window.addEventListener("beforeunload", (event) => {
        if (this.keeps) {
          event.preventDefault();
        }
      });
      // Where the session has ended, the cards' next request would reload the page and lose the files that are kept.
      const keepPage = (event) => {
        const address = event.detail.xhr.responseURL;
        if (this.keeps && address && new URL(address).pathname === document.body.dataset.loginUrl) {
          event.detail.shouldSwap = false;
          event.stopImmediatePropagation();
        }
      };
      document.addEventListener("htmx:beforeSwap", keepPage, { capture: true });
      window.addEventListener("online", () => this.retryLost());
    }

    // Whether files would be lost with the page.
    get keeps() {
      return this.entries.some((entry) => OPEN.has(entry.state) || entry.state === "lost");
    }

    tell(sentence) {
      this.root.querySelector("[data-upload-progress]").hidden = false;
      this.summary.textContent = sentence;
    }

    add(files) {
      for (const file of files) {
        if (window.SenolensFiles.isSystemFile(file.name)) {
          this.leftOut += 1;
          continue;
        }
        const row = this.template.content.firstElementChild.cloneNode(true);
        const entry = {
          file,
          row,
          state: "waiting",
          laterality: this.form.elements.laterality.value,
          view: this.form.elements.view.value,
          confirmed: false,
        };
        row.querySelector("[data-name]").textContent = file.name;
        row.querySelector("[data-size]").textContent = sizeWords(file.size);
        row.querySelector("[data-progress]").setAttribute("aria-label", `Upload of ${file.name}`);
        this.list.append(row);
        this.entries.push(entry);
        if (file.size > this.maxBytes) {
          this.show(entry, "refused", "Refused", [`The file is larger than ${sizeWords(this.maxBytes)}. Nothing was sent.`]);
        } else {
          this.show(entry, "waiting", "Waiting");
        }
      }
      this.work();
    }

    // State in words, sentences below it, and what can be done.
    show(entry, state, words, sentences = [], buttons = []) {
      entry.state = state;
      const mark = entry.row.querySelector("[data-state]");
      mark.className = `state state-${KIND[state]}`;
      mark.textContent = words;
      entry.row.querySelector("[data-progress]").hidden = !OPEN.has(state);
      const detail = entry.row.querySelector("[data-detail]");
      detail.replaceChildren(
        ...sentences.map((sentence) => {
          const line = document.createElement("p");
          line.append(sentence);
          return line;
        }),
      );
      detail.hidden = sentences.length === 0;
      const place = entry.row.querySelector("[data-buttons]");
      place.replaceChildren(...buttons);
      place.hidden = buttons.length === 0;
      this.count();
    }

    count() {
      const number = (...states) => this.entries.filter((entry) => states.includes(entry.state)).length;
      const done = number("stored", "known");
      const parts = [`${done} of ${this.entries.length} on record`];
      for (const [words, amount] of [
        ["in work", number(...OPEN)],
        ["refused", number("refused")],
        ["to be decided by you", number("mismatch")],
        ["not sent", number("lost")],
        ["left out", number("left") + this.leftOut],
      ]) {
        if (amount) {
          parts.push(`${amount} ${words}`);
        }
      }
      const sentence = `${parts.join(", ")}.`;
      if (this.summary.textContent !== sentence) {
        this.tell(sentence);
      }
    }

    async work() {
      if (!this.uploadUrl && this.entries.some((entry) => entry.state === "waiting")) {
        if (this.starting) {
          return;
        }
        this.starting = true;
        const began = await this.startStudy();
        this.starting = false;
        if (!began) {
          return;
        }
      }
      for (const entry of this.entries) {
        if (this.active >= PARALLEL) {
          return;
        }
        if (entry.state === "waiting") {
          this.send(entry);
        }
      }
      this.finish();
    }

    // Makes the study once, before the first file; a failure is shown on every file that waits for it.
    async startStudy() {
      const body = new FormData();
      const team = this.form.elements.namedItem("team");
      if (team) {
        body.append("team", team.value);
      }
      try {
        const answer = await fetch(this.root.dataset.createUrl, {
          method: "POST",
          headers: { Accept: "application/json", "X-CSRFToken": this.token() },
          body,
        });
        if (answer.status !== 201) {
          throw new Error(String(answer.status));
        }
        const study = await answer.json();
        this.uploadUrl = study.upload_url;
        this.studyUrl = study.url;
        this.openStudy.href = study.url;
        return true;
      } catch {
        for (const entry of this.entries.filter((one) => one.state === "waiting")) {
          this.lose(
            entry,
            "The study could not be made: the server cannot be reached, or you are signed out. The file is kept in this page.",
            { renew: true },
          );
        }
        return false;
      }
    }

    token() {
      return this.form.elements.csrfmiddlewaretoken.value;
    }

    // After a new sign-in the page's token is stale: read the one of a fresh copy of this page.
    async renewToken() {
      const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const field = fresh.querySelector("[data-upload-form] [name=csrfmiddlewaretoken]");
      if (field) {
        this.form.elements.csrfmiddlewaretoken.value = field.value;
      }
    }

    send(entry) {
      this.active += 1;
      this.show(entry, "sending", "Uploading 0 %");
      const body = new FormData();
      body.append("laterality", entry.laterality);
      body.append("view", entry.view);
      if (entry.confirmed) {
        body.append("confirm_differences", "1");
      }
      body.append("file", entry.file, entry.file.name);
      const request = new XMLHttpRequest();
      request.open("POST", this.uploadUrl);
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("X-CSRFToken", this.token());
      const bar = entry.row.querySelector("[data-progress]");
      bar.value = 0;
      request.upload.addEventListener("progress", (event) => {
        const percent = event.lengthComputable ? Math.floor((100 * event.loaded) / event.total) : 0;
        bar.value = percent;
        if (percent < 100) {
          entry.row.querySelector("[data-state]").textContent = `Uploading ${percent} %`;
        }
      });
      request.upload.addEventListener("load", () => {
        bar.removeAttribute("value");
        this.show(entry, "checking", "Sent, being checked");
      });
      request.addEventListener("error", () =>
        this.lose(entry, "The connection was lost before the server answered. The file is kept in this page; nothing is stored twice."),
      );
      request.addEventListener("load", () => this.answered(entry, request));
      request.addEventListener("loadend", () => {
        this.active -= 1;
        this.work();
      });
      request.send(body);
    }

    lose(entry, sentence, { renew = false } = {}) {
      const again = async () => {
        if (renew) {
          try {
            await this.renewToken();
          } catch {
            return; // Still no connection: the file stays as it is, with its button.
          }
        }
        this.show(entry, "waiting", "Waiting");
        this.work();
      };
      this.show(entry, "lost", "Not sent", [sentence], [button("Retry", "btn-secondary", again)]);
    }

    retryLost() {
      for (const entry of this.entries.filter((one) => one.state === "lost")) {
        this.show(entry, "waiting", "Waiting");
      }
      this.work();
    }

    answered(entry, request) {
      let answer = null;
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        answer = null; // A page instead of JSON: the sign-in, or a refusal made before our view was reached.
      }
      const status = request.status;
      if (status >= 500) {
        this.lose(entry, `The server had a fault (${status}). The file is kept in this page; retry, and tell IT if it fails again.`);
      } else if (status === 429) {
        this.lose(entry, "Too many files in a short time. Wait a minute, then press Retry.");
      } else if (answer === null) {
        this.lose(entry, SIGNED_OUT, { renew: true });
      } else if (status === 201) {
        this.show(entry, "stored", "Stored and queued", [link("Open the result", answer.url)]);
        this.refreshCards();
      } else if (status === 200) {
        const where = answer.same_study ? "It is in this study already." : "It is in another study of this patient.";
        const line = document.createDocumentFragment();
        line.append(`${where} `, link("Open it", answer.url));
        this.show(entry, "known", "Already on record", [line]);
      } else if (answer.code === "identity_mismatch") {
        this.ask(entry, answer);
      } else {
        this.show(entry, "refused", "Refused", [answer.detail || `The server refused the file (${status}).`]);
      }
    }

    ask(entry, answer) {
      const file = () => {
        entry.confirmed = true;
        this.show(entry, "waiting", "Waiting");
        this.work();
      };
      const leave = () => {
        this.show(entry, "left", "Left out", ["Nothing of this file was stored."]);
        this.finish();
      };
      this.show(
        entry,
        "mismatch",
        "Does not match the record",
        [...answer.differences.map((one) => one.sentence), "Nothing was stored yet. Check the patient, then decide."],
        [button("Leave it out", "btn-secondary", leave), button("File it here all the same", "btn-danger", file)],
      );
    }

    refreshCards() {
      const cards = document.getElementById("study-images");
      if (cards && window.htmx) {
        window.htmx.trigger(cards, "refresh");
      }
    }

    // When all is settled, from a patient's page on to the new study.
    finish() {
      if (!this.studyUrl || this.entries.some((entry) => OPEN.has(entry.state))) {
        return;
      }
      const good = this.entries.every((entry) => entry.state === "stored" || entry.state === "left");
      if (good && this.entries.some((entry) => entry.state === "stored")) {
        window.location.assign(this.studyUrl);
      } else {
        this.openStudy.hidden = !this.entries.some((entry) => entry.state === "stored");
      }
    }
  }

  for (const root of document.querySelectorAll("[data-uploader]")) {
    new Uploader(root);
  }
})();
