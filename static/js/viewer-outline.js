// The outline of the lesion and the marks of a detector, drawn over the image. Points are kept in image pixels and drawn
// in the pane's own, so that a line stays as thin as a line when the image is enlarged.
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const FULL = 90;
  const STEP = 10;
  const LABEL_GAP = 6;

  function made(name, attributes, parent) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) {
      element.setAttribute(key, value);
    }
    parent.append(element);
    return element;
  }

  class Outline {
    constructor(root) {
      this.svg = root.querySelector("[data-outline-layer]");
      this.shape = this.svg.querySelector("[data-outline-shape]");
      this.markGroup = this.svg.querySelector("[data-mark-shapes]");
      this.controls = root.querySelector("[data-lesion-controls]");
      this.slider = this.controls.querySelector("[data-outline-opacity]");
      this.words = this.controls.querySelector("[data-outline-words]");
      this.polygons = [];
      this.marks = [];
      this.reset();
    }

    reset() {
      this.on = true;
      this.marksOn = true;
      this.opacity = FULL;
    }

    get hasOutline() {
      return this.polygons.length > 0;
    }

    get hasMarks() {
      return this.marks.length > 0;
    }

    // What the panel says; nothing of it while the analysis has no result.
    show({ outline, marks }) {
      this.polygons = JSON.parse(outline || "[]");
      this.marks = JSON.parse(marks || "[]");
      this.controls.hidden = !this.hasOutline && !this.hasMarks;
      this.button("outline").hidden = !this.hasOutline;
      this.button("marks").hidden = !this.hasMarks;
      // A point names a pixel; its middle is half a pixel further.
      const path = (points) => `M${points.map(([x, y]) => `${x + 0.5} ${y + 0.5}`).join("L")}Z`;
      const d = this.polygons.map(path).join("");
      for (const line of this.shape.children) {
        line.setAttribute("d", d);
      }
      this.markGroup.replaceChildren();
      this.drawn = this.marks.map((mark, place) => ({
        mark,
        halo: made("circle", { class: "halo" }, this.markGroup),
        ring: made("circle", {}, this.markGroup),
        number: made("text", {}, this.markGroup),
        name: String(place + 1),
      }));
    }

    button(act) {
      return this.controls.querySelector(`[data-act="${act}"]`);
    }

    toggle() {
      this.on = !this.on;
    }

    toggleMarks() {
      this.marksOn = !this.marksOn;
    }

    setOpacity(percent) {
      this.opacity = Math.min(Math.max(percent, 0), 100);
      this.on = true;
      this.marksOn = true;
    }

    fainter() {
      this.setOpacity(this.opacity - STEP);
    }

    stronger() {
      this.setOpacity(this.opacity + STEP);
    }

    draw({ x, y, scale }) {
      const outlined = this.hasOutline && this.on;
      const marked = this.hasMarks && this.marksOn;
      this.svg.toggleAttribute("hidden", !outlined && !marked);
      this.svg.style.opacity = this.opacity / 100;
      this.shape.toggleAttribute("hidden", !outlined);
      this.markGroup.toggleAttribute("hidden", !marked);
      this.shape.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
      for (const { mark, halo, ring, number, name } of this.drawn || []) {
        const place = { cx: mark.column * scale + x, cy: mark.row * scale + y, r: mark.radius * scale };
        for (const circle of [halo, ring]) {
          for (const [key, value] of Object.entries(place)) {
            circle.setAttribute(key, value);
          }
        }
        number.textContent = name;
        number.setAttribute("x", place.cx + place.r * Math.SQRT1_2 + LABEL_GAP);
        number.setAttribute("y", place.cy - place.r * Math.SQRT1_2 - LABEL_GAP);
      }
      this.button("outline").setAttribute("aria-pressed", String(outlined));
      this.button("marks").setAttribute("aria-pressed", String(marked));
      this.slider.value = this.opacity;
      this.words.textContent = outlined || marked ? `${this.opacity} %` : "off";
    }
  }

  window.SenolensOutline = Outline;
})();
