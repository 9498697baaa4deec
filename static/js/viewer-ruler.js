// Measures between two points of an image whose pixel spacing is known. Points are kept in image pixels, so a
// measurement stays on its place when the image is moved or enlarged.
(function () {
  "use strict";

  class Ruler {
    constructor(svg, { rowSpacing, columnSpacing }) {
      this.svg = svg;
      this.line = svg.querySelector("line");
      this.ends = [...svg.querySelectorAll("circle")];
      this.text = svg.querySelector("text");
      this.rowSpacing = rowSpacing;
      this.columnSpacing = columnSpacing;
      this.from = null;
      this.to = null;
    }

    get known() {
      return this.rowSpacing > 0 && this.columnSpacing > 0;
    }

    start(point) {
      this.from = point;
      this.to = point;
    }

    move(point) {
      this.to = point;
    }

    clear() {
      this.from = null;
      this.to = null;
    }

    get millimetres() {
      return Math.hypot((this.to.x - this.from.x) * this.columnSpacing, (this.to.y - this.from.y) * this.rowSpacing);
    }

    get words() {
      return this.from ? `${this.millimetres.toFixed(1)} mm` : "";
    }

    // Draws in the pane's own pixels; toPane turns image pixels into them.
    draw(toPane) {
      this.svg.toggleAttribute("hidden", this.from === null);
      if (this.from === null) {
        return;
      }
      const start = toPane(this.from);
      const end = toPane(this.to);
      for (const [name, value] of [["x1", start.x], ["y1", start.y], ["x2", end.x], ["y2", end.y]]) {
        this.line.setAttribute(name, value);
      }
      [start, end].forEach((point, place) => {
        this.ends[place].setAttribute("cx", point.x);
        this.ends[place].setAttribute("cy", point.y);
      });
      this.text.setAttribute("x", end.x + 10);
      this.text.setAttribute("y", end.y - 10);
      this.text.textContent = this.words;
    }
  }

  window.SenolensRuler = Ruler;
})();
