// The image viewer: moves, enlarges, windows and inverts one image, with the map of where the model looked on it.
// Only what is seen changes; the stored pixels are never touched.
(function () {
  "use strict";

  const LARGEST = 32;
  const ZOOM_STEP = 1.25;
  const MOVE_STEP = 60;
  const OPACITY_STEP = 5;
  const WINDOW_STEP = 0.05;
  const NARROWEST = 0.02;
  const WIDEST = 2;

  const limited = (value, low, high) => Math.min(Math.max(value, low), high);

  class Viewer {
    constructor(root) {
      this.root = root;
      this.width = Number(root.dataset.width);
      this.height = Number(root.dataset.height);
      this.main = root.querySelector('[data-pane="main"]');
      this.plain = root.querySelector('[data-pane="plain"]');
      this.sheets = [...root.querySelectorAll("[data-sheet]")];
      this.bases = [...root.querySelectorAll("[data-base]")];
      this.map = root.querySelector("[data-map]");
      this.slider = root.querySelector("[data-opacity]");
      this.functions = [...root.querySelectorAll("feFuncR, feFuncG, feFuncB")];
      this.help = document.getElementById("viewer-help");
      this.line = root.querySelector("[data-viewer-line]");
      this.ruler = new window.SenolensRuler(root.querySelector("[data-ruler]"), {
        rowSpacing: Number(root.dataset.rowSpacing || 0),
        columnSpacing: Number(root.dataset.columnSpacing || 0),
      });
      this.outline = new window.SenolensOutline(root);
      this.tool = "pan";
      this.pointers = new Map();
      this.start();
      this.listen();
      this.showMap(this.map.dataset.src || "");
      this.fit();
    }

    start() {
      this.scale = 1;
      this.x = 0;
      this.y = 0;
      this.fitted = true;
      this.inverted = false;
      this.level = 0.5;
      this.window = 1;
      this.opacity = 50;
      this.mapOn = true;
      this.outline.reset();
    }

    // Size and place

    fitScale() {
      return Math.min(this.main.clientWidth / this.width, this.main.clientHeight / this.height);
    }

    fit() {
      this.fitted = true;
      this.scale = this.fitScale();
      this.centre();
    }

    centre() {
      this.x = (this.main.clientWidth - this.width * this.scale) / 2;
      this.y = (this.main.clientHeight - this.height * this.scale) / 2;
      this.draw();
    }

    actual() {
      this.fitted = false;
      this.scale = 1 / (window.devicePixelRatio || 1);
      this.centre();
    }

    // Enlarges so that the image point under the pointer stays where it is.
    zoom(factor, point = { x: this.main.clientWidth / 2, y: this.main.clientHeight / 2 }) {
      const smallest = Math.min(this.fitScale(), 1) / 2;
      const scale = limited(this.scale * factor, smallest, LARGEST);
      this.x = point.x - ((point.x - this.x) * scale) / this.scale;
      this.y = point.y - ((point.y - this.y) * scale) / this.scale;
      this.scale = scale;
      this.fitted = false;
      this.draw();
    }

    move(dx, dy) {
      const margin = 40;
      this.x = limited(this.x + dx, margin - this.width * this.scale, this.main.clientWidth - margin);
      this.y = limited(this.y + dy, margin - this.height * this.scale, this.main.clientHeight - margin);
      this.fitted = false;
      this.draw();
    }

    // Grey: out = (in - (level - window / 2)) / window, and its mirror image when inverted.

    setWindow(level, width) {
      this.level = limited(level, 0, 1);
      this.window = limited(width, NARROWEST, WIDEST);
      this.draw();
    }

    get untouched() {
      return !this.inverted && this.level === 0.5 && this.window === 1;
    }

    drawGrey() {
      let slope = 1 / this.window;
      let intercept = 0.5 - this.level / this.window;
      if (this.inverted) {
        slope = -slope;
        intercept = 1 - intercept;
      }
      for (const channel of this.functions) {
        channel.setAttribute("slope", slope);
        channel.setAttribute("intercept", intercept);
      }
      for (const base of this.bases) {
        base.style.filter = this.untouched ? "" : "url(#viewer-window)";
      }
    }

    // The map

    get hasMap() {
      return Boolean(this.map.getAttribute("src"));
    }

    showMap(address) {
      const controls = this.root.querySelector("[data-map-controls]");
      for (const control of controls.querySelectorAll("button, input")) {
        control.disabled = !address;
      }
      controls.toggleAttribute("data-absent", !address);
      if (address && this.map.getAttribute("src") !== address) {
        this.map.src = address;
      }
      this.draw();
    }

    setOpacity(percent) {
      this.opacity = limited(percent, 0, 100);
      this.mapOn = true;
      this.draw();
    }

    toggleMap() {
      this.mapOn = !this.mapOn;
      this.draw();
    }

    // The outline and the marks

    showLesion(told) {
      this.outline.show(told);
      this.draw();
    }

    ofOutline(deed) {
      deed(this.outline);
      this.draw();
    }

    side() {
      this.plain.hidden = !this.plain.hidden;
      const original = this.plain.querySelector("[data-base]");
      if (!original.src) {
        original.src = this.main.querySelector("[data-base]").src;
      }
      this.root.querySelector("[data-panes]").classList.toggle("two", !this.plain.hidden);
      this.fit();
    }

    reset() {
      this.start();
      this.ruler.clear();
      if (!this.plain.hidden) {
        this.side();
      }
      this.fit();
    }

    setTool(tool) {
      if (tool === "ruler" && !this.ruler.known) {
        return;
      }
      if (tool === "ruler" && this.tool === "ruler") {
        this.ruler.clear();
      }
      this.tool = tool;
      this.draw();
    }

    // Drawing: everything seen follows from the fields.

    draw() {
      for (const sheet of this.sheets) {
        sheet.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
        sheet.classList.toggle("coarse", this.scale * (window.devicePixelRatio || 1) >= 4);
      }
      this.drawGrey();
      const seen = this.hasMap && this.mapOn;
      this.map.hidden = !seen;
      this.map.style.opacity = this.opacity / 100;
      this.slider.value = this.opacity;
      this.root.querySelector("[data-opacity-words]").textContent = this.mapOn ? `${this.opacity} %` : "off";
      const words = !this.hasMap ? "Original" : seen ? `With map, ${this.opacity} %` : "Map off";
      this.root.querySelector("[data-main-words]").textContent = words;
      const percent = Math.round(this.scale * (window.devicePixelRatio || 1) * 100);
      this.root.querySelector("[data-zoom]").textContent = `${percent} %`;
      this.root.querySelector("[data-window]").textContent =
        `W ${Math.round(this.window * 255)} L ${Math.round(this.level * 255)}${this.inverted ? ", inverted" : ""}`;
      for (const button of this.root.querySelectorAll("button[data-tool]")) {
        button.setAttribute("aria-pressed", String(button.dataset.tool === this.tool));
      }
      this.press("invert", this.inverted);
      this.press("side", !this.plain.hidden);
      this.press("map", seen);
      this.main.dataset.tool = this.tool;
      this.outline.draw(this);
      this.ruler.draw((point) => ({ x: point.x * this.scale + this.x, y: point.y * this.scale + this.y }));
    }

    press(act, pressed) {
      this.root.querySelector(`[data-act="${act}"]`).setAttribute("aria-pressed", String(pressed));
    }

    // Hands

    point(event) {
      const frame = event.currentTarget.getBoundingClientRect();
      return { x: event.clientX - frame.left, y: event.clientY - frame.top };
    }

    onImage(point) {
      return {
        x: limited((point.x - this.x) / this.scale, 0, this.width),
        y: limited((point.y - this.y) / this.scale, 0, this.height),
      };
    }

    pressed(event) {
      event.currentTarget.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
      this.gesture = event.button === 2 ? "window" : event.button === 1 ? "pan" : this.tool;
      if (this.gesture === "ruler" && this.pointers.size === 1) {
        this.ruler.start(this.onImage(this.point(event)));
        this.draw();
      }
    }

    dragged(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) {
        return;
      }
      const now = { x: event.clientX, y: event.clientY };
      if (this.pointers.size === 2) {
        this.pinched(event, before, now);
      } else if (this.gesture === "window") {
        const whole = Math.max(this.main.clientWidth, 200);
        this.setWindow(this.level + (now.y - before.y) / whole, this.window + (now.x - before.x) / whole);
      } else if (this.gesture === "ruler") {
        this.ruler.move(this.onImage(this.point(event)));
        this.draw();
      } else {
        this.move(now.x - before.x, now.y - before.y);
      }
      this.pointers.set(event.pointerId, now);
    }

    pinched(event, before, now) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const far = Math.hypot(now.x - other.x, now.y - other.y);
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const frame = event.currentTarget.getBoundingClientRect();
      const middle = { x: (now.x + other.x) / 2 - frame.left, y: (now.y + other.y) / 2 - frame.top };
      this.move((now.x - before.x) / 2, (now.y - before.y) / 2);
      if (was > 0) {
        this.zoom(far / was, middle);
      }
    }

    released(event) {
      this.pointers.delete(event.pointerId);
      if (this.gesture === "ruler" && this.ruler.words) {
        this.line.textContent = `Measured ${this.ruler.words}.`;
      }
    }

    listen() {
      for (const pane of [this.main, this.plain]) {
        pane.addEventListener("pointerdown", (event) => this.pressed(event));
        pane.addEventListener("pointermove", (event) => this.dragged(event));
        pane.addEventListener("pointerup", (event) => this.released(event));
        pane.addEventListener("pointercancel", (event) => this.released(event));
        pane.addEventListener("contextmenu", (event) => event.preventDefault());
        pane.addEventListener("wheel", (event) => {
          event.preventDefault();
          this.zoom(Math.exp(-limited(event.deltaY, -150, 150) / 400), this.point(event));
        }, { passive: false });
      }
      this.root.addEventListener("click", (event) => {
        const button = event.target.closest("button[data-key]");
        if (button) {
          this.act(button.dataset.key);
        }
      });
      this.slider.addEventListener("input", () => this.setOpacity(Number(this.slider.value)));
      this.outline.slider.addEventListener("input", () =>
        this.ofOutline((outline) => outline.setOpacity(Number(outline.slider.value))));
      document.addEventListener("keydown", (event) => this.key(event));
      new ResizeObserver(() => (this.fitted ? this.fit() : this.draw())).observe(this.main);
    }

    key(event) {
      const typing = event.target.closest("input:not([type=range]), textarea, select, [contenteditable]");
      if (typing || event.ctrlKey || event.metaKey || event.altKey || this.help.open) {
        return;
      }
      const arrows = event.key.startsWith("Arrow");
      if (arrows && !this.main.contains(event.target)) {
        return; // Elsewhere the arrows scroll the page and move the slider.
      }
      if (this.act(event.key.length === 1 ? event.key.toLowerCase() : event.key)) {
        event.preventDefault();
      }
    }

    // One table for keys and buttons; true when the key is one of the viewer's.
    act(key) {
      const deeds = {
        f: () => this.fit(),
        1: () => this.actual(),
        "+": () => this.zoom(ZOOM_STEP),
        "=": () => this.zoom(ZOOM_STEP),
        "-": () => this.zoom(1 / ZOOM_STEP),
        ArrowLeft: () => this.move(-MOVE_STEP, 0),
        ArrowRight: () => this.move(MOVE_STEP, 0),
        ArrowUp: () => this.move(0, -MOVE_STEP),
        ArrowDown: () => this.move(0, MOVE_STEP),
        p: () => this.setTool("pan"),
        w: () => this.setTool("window"),
        r: () => this.setTool("ruler"),
        "<": () => this.setWindow(this.level - WINDOW_STEP, this.window),
        ">": () => this.setWindow(this.level + WINDOW_STEP, this.window),
        "(": () => this.setWindow(this.level, this.window - WINDOW_STEP),
        ")": () => this.setWindow(this.level, this.window + WINDOW_STEP),
        i: () => {
          this.inverted = !this.inverted;
          this.draw();
        },
        m: () => this.hasMap && this.toggleMap(),
        "[": () => this.hasMap && this.setOpacity(this.opacity - OPACITY_STEP),
        "]": () => this.hasMap && this.setOpacity(this.opacity + OPACITY_STEP),
        o: () => this.outline.hasOutline && this.ofOutline((outline) => outline.toggle()),
        k: () => this.outline.hasMarks && this.ofOutline((outline) => outline.toggleMarks()),
        "{": () => this.ofOutline((outline) => outline.fainter()),
        "}": () => this.ofOutline((outline) => outline.stronger()),
        s: () => this.side(),
        0: () => this.reset(),
        "?": () => this.help.showModal(),
      };
      const deed = deeds[key];
      if (deed) {
        deed();
        return true;
      }
      const link = document.querySelector(`[data-key-link="${CSS.escape(key)}"]`);
      if (link) {
        link.click();
      }
      return Boolean(link);
    }
  }

  const root = document.getElementById("viewer");
  if (!root) {
    return;
  }
  const viewer = new Viewer(root);
  viewer.showLesion(document.getElementById("analysis-panel").dataset);

  // The panel renews itself while the analysis runs; the map, the outline and a spoken line follow it.
  const announcement = document.getElementById("analysis-announcement");
  document.addEventListener("htmx:afterSwap", () => {
    const panel = document.getElementById("analysis-panel");
    viewer.showMap(panel.dataset.mapUrl || "");
    viewer.showLesion(panel.dataset);
    if (announcement.textContent !== panel.dataset.stateWords) {
      announcement.textContent = panel.dataset.stateWords;
    }
  });
})();
