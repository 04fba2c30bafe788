/* The browser side of econsat.maps. Python sends one JSON object a layer; nothing here builds code from text.
 * Every string of that object has been through safe_text(), so it is harmless as HTML. */
var econsat = (function () {
  "use strict";

  // A line is [x0, y0, dx, dy, dx, dy, ...] in units of `unit` degrees.
  function line(steps, unit) {
    var out = [], x = 0, y = 0;
    for (var i = 0; i < steps.length; i += 2) {
      x += steps[i];
      y += steps[i + 1];
      out.push([y * unit, x * unit]);
    }
    return out;
  }

  function shape(nested, unit) {
    return typeof nested[0] === "number" ? line(nested, unit) : nested.map(function (n) { return shape(n, unit); });
  }

  function el(tag, name, html) {
    var e = document.createElement(tag);
    if (name) e.className = name;
    if (html !== undefined) e.innerHTML = html;
    return e;
  }

  // The first cell is the heading, the others are rows: label, value.
  function card(labels, cells) {
    var box = el("div", "econsat-card");
    var table = el("table");
    cells.forEach(function (cell, i) {
      if (labels[i] === null) {
        box.appendChild(el("div", "econsat-card-title", cell));
        return;
      }
      var row = el("tr");
      row.appendChild(el("th", "", labels[i]));
      row.appendChild(el("td", "", cell));
      table.appendChild(row);
    });
    if (table.firstChild) box.appendChild(table);
    return box;
  }

  function talk(layer, data, feature) {
    if (feature.t) layer.bindTooltip(function () { return card(data.tooltip, feature.t); }, { sticky: true, opacity: 1, className: "econsat-tip" });
    if (feature.p) layer.bindPopup(function () { return card(data.popup, feature.p); }, { maxWidth: 320 });
    layer.on("popupopen", function () { layer.closeTooltip(); });
  }

  function basemap(map, data) {
    return L.polygon(shape(data.shapes, data.unit), Object.assign({ pane: data.pane, interactive: false, className: "econsat-land" }, data.style));
  }

  function regions(map, data) {
    var group = L.featureGroup(), front = [];
    data.features.forEach(function (f) {
      var style = Object.assign({}, data.style);
      if (f.k !== undefined) style.fillColor = data.palette[f.k];
      if (f.o) { style.fill = false; }
      var made = (f.o ? L.polyline : L.polygon)(shape(f.g, data.unit), style);
      talk(made, data, f);
      if (f.h) {
        // A pale line under the dark one shows on any fill.
        [data.halo, data.highlight].forEach(function (look) {
          front.push(L.polygon(shape(f.g, data.unit), Object.assign({ interactive: false, fill: false }, look)));
        });
      }
      if (f.t || f.p) {
        made.on("mouseover", function () { made.setStyle(data.hover); made.bringToFront(); });
        made.on("mouseout", function () { made.setStyle(style); front.forEach(function (m) { m.bringToFront(); }); });
      }
      group.addLayer(made);
    });
    front.forEach(function (m) { group.addLayer(m); });
    return group;
  }

  function points(map, data) {
    var group = L.featureGroup();
    // Thousands of SVG nodes make a browser crawl.
    var renderer = data.features.length > 2000 ? L.canvas({ pane: data.pane }) : undefined;
    data.features.forEach(function (f) {
      var style = Object.assign({ pane: data.pane, radius: f.r }, data.style);
      if (renderer) style.renderer = renderer;
      if (f.k !== undefined) style.fillColor = data.palette[f.k];
      var made = L.circleMarker([f.y, f.x], style);
      talk(made, data, f);
      group.addLayer(made);
    });
    return group;
  }

  // Enlarged, a picture shows its pixels; reduced, it is smoothed.
  function raster(map, data) {
    var image = L.imageOverlay(data.url, data.bounds, { opacity: data.opacity, alt: data.alt, className: "econsat-image" });
    function sharpen() {
      var e = image.getElement();
      if (!e) return;
      var corners = image.getBounds();
      var wide = map.latLngToLayerPoint(corners.getSouthEast()).x - map.latLngToLayerPoint(corners.getSouthWest()).x;
      e.classList.toggle("econsat-pixels", wide > 1.5 * data.columns);
    }
    map.on("zoomend", sharpen);
    image.on("add load", sharpen);
    return image;
  }

  function legendBlock(legend) {
    var box = el("div", "econsat-legend-block");
    var title = el("div", "econsat-legend-title", legend.title);
    if (legend.unit) title.appendChild(el("span", "econsat-unit", legend.unit));
    box.appendChild(title);
    if (legend.ramp.length) {
      var canvas = el("canvas", "econsat-ramp");
      canvas.width = legend.ramp.length;
      canvas.height = 1;
      var pen = canvas.getContext("2d");
      legend.ramp.forEach(function (c, i) { pen.fillStyle = c; pen.fillRect(i, 0, 1, 1); });
      box.appendChild(canvas);
      var axis = el("div", "econsat-ticks");
      legend.ticks.forEach(function (t) {
        var tick = el("span", "", t[1]);
        tick.style.left = (100 * t[0]).toFixed(2) + "%";
        axis.appendChild(tick);
      });
      box.appendChild(axis);
    }
    legend.entries.forEach(function (entry) {
      var row = el("div", "econsat-row");
      var mark = el("i", "econsat-swatch econsat-" + entry.shape);
      if (entry.shape === "hatch") mark.classList.add("econsat-hatch");
      else if (entry.shape === "circle") {
        mark.style.width = mark.style.height = 2 * entry.radius + "px";
        mark.style.background = entry.color;
      } else if (entry.shape === "outline") mark.style.borderColor = entry.color;
      else mark.style.background = entry.color;
      row.appendChild(mark);
      row.appendChild(el("span", "", entry.label));
      box.appendChild(row);
    });
    legend.notes.forEach(function (note) { box.appendChild(el("div", "econsat-small", note)); });
    return box;
  }

  function corner(position, name) {
    var control = L.control({ position: position });
    control.onAdd = function () {
      var box = el("div", name);
      L.DomEvent.disableClickPropagation(box);
      L.DomEvent.disableScrollPropagation(box);
      return box;
    };
    return control;
  }

  // A polygon without a value is hatched; the pattern must be in the page before a path can use it.
  function hatch(map, ink, paper) {
    var ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg");
    svg.setAttribute("width", 0);
    svg.setAttribute("height", 0);
    svg.setAttribute("aria-hidden", "true");
    svg.style.position = "absolute";
    var pattern = document.createElementNS(ns, "pattern");
    [["id", "econsat-hatch"], ["width", 6], ["height", 6], ["patternUnits", "userSpaceOnUse"], ["patternTransform", "rotate(45)"]]
      .forEach(function (a) { pattern.setAttribute(a[0], a[1]); });
    [[0, 6, paper], [0, 1.2, ink]].forEach(function (band) {
      var rect = document.createElementNS(ns, "rect");
      rect.setAttribute("x", band[0]);
      rect.setAttribute("width", band[1]);
      rect.setAttribute("height", 6);
      rect.setAttribute("fill", band[2]);
      pattern.appendChild(rect);
    });
    svg.appendChild(pattern);
    map.getContainer().appendChild(svg);
  }

  function start(map, data) {
    map.getContainer().style.background = data.sea;
    map.getContainer().setAttribute("aria-label", data.alt);
    map.attributionControl.setPrefix("Leaflet");
    hatch(map, data.hatch[0], data.hatch[1]);
    data.panes.forEach(function (p) {
      var pane = map.createPane(p[0]);
      pane.style.zIndex = p[1];
      if (!p[2]) pane.style.pointerEvents = "none";
    });
    if (data.title) {
      var title = corner("topleft", "econsat-title").addTo(map).getContainer();
      title.innerHTML = data.title;
    }
    data.notes.forEach(function (note) {
      var box = corner(note.kind === "warning" ? "topleft" : "bottomleft", "econsat-note econsat-" + note.kind).addTo(map).getContainer();
      box.innerHTML = note.text;
    });
    L.control.zoom({ position: "topleft" }).addTo(map);
    var bar = L.control.scale({ imperial: false, maxWidth: 120 }).addTo(map).getContainer();
    // On a small-scale Mercator map one bar is wrong nearly everywhere.
    function fade() { bar.style.display = map.getZoom() < 5 ? "none" : ""; }
    map.on("zoomend", fade);
    fade();
  }

  function legends(map, pairs) {
    var blocks = pairs.map(function (pair) { return [legendBlock(pair[0]), pair[1]]; });
    var box = corner("bottomright", "econsat-legend").addTo(map).getContainer();
    function refresh() {
      blocks.forEach(function (pair) { pair[0].style.display = map.hasLayer(pair[1]) ? "" : "none"; });
      box.style.display = blocks.some(function (pair) { return map.hasLayer(pair[1]); }) ? "" : "none";
      box.style.maxHeight = Math.max(80, map.getSize().y - 110) + "px";
    }
    blocks.forEach(function (pair) { box.appendChild(pair[0]); });
    map.on("layeradd layerremove resize", refresh);
    refresh();
    return box;
  }

  function finish(map, data) {
    if (data.control) {
      var control = L.control.layers(null, null, { collapsed: data.control.length > 6 });
      data.control.forEach(function (pair) { control.addOverlay(pair[1], pair[0]); });
      control.addTo(map);
    }
    var legend = data.legends.length ? legends(map, data.legends) : null;
    var b = data.bounds;
    // A map without a size (printed, folded away) has no zoom that fits: wait until it is shown.
    function fit() {
      var size = map.getSize();
      if (size.x < 20 || size.y < 20) {
        map.once("resize", fit);
        return;
      }
      // Where there is room, what the map is about keeps clear of the legend.
      var right = legend && size.x >= 600 ? legend.offsetWidth + 16 : 6;
      map.fitBounds([[b[1], b[0]], [b[3], b[2]]], { paddingTopLeft: [6, 6], paddingBottomRight: [right, 6], animate: false });
      map.setMinZoom(Math.max(0, map.getZoom() - 1.5));
    }
    if (b) fit();
  }

  return { basemap: basemap, regions: regions, points: points, raster: raster, start: start, finish: finish };
})();
