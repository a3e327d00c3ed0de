"use strict";
// The picture browser. State: which photo, which quality, the three pictures side by side and the lines between them
// (percent), the part in view (x, y in stage pixels, zoom), the spot of the closer look (0..1 each way), the map of bits.
(() => {
  const scenes = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  if (scenes.length === 0) return;
  const CROP = 64; // pixels a side of the closer look
  const FARTHEST = 32;
  const GRIP = 26; // pixels around a line within which a drag moves it in a picture that is zoomed into
  const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const stage = at("stage");
  const panes = [...stage.querySelectorAll(".pane img")];
  const sliders = [...stage.querySelectorAll("input")];
  const captions = [...document.querySelectorAll(".captions > div")];
  const selects = captions.map((one) => one.querySelector("select"));
  const state = { scene: 0, level: 0, codecs: ["original"], lines: [33.5, 66.5], x: 0, y: 0, zoom: 1, spot: [0.5, 0.5], bits: "" };
  state.level = Math.min(1, scenes[0].levels.length - 1);
  // laconic in the middle, and at its right the strongest of the others.
  const [own, ...others] = scenes[0].levels[state.level].renditions;
  state.codecs.push(own.codec, others.reduce((best, one) => (one.psnr > best.psnr ? one : best), others[0] ?? own).codec);

  const number = new Intl.NumberFormat("en");
  const clamp = (value, low = 0, high = 1) => Math.min(high, Math.max(low, value));
  const scene = () => scenes[state.scene];
  const level = () => scene().levels[state.level];
  const views = () => [
    { codec: "original", url: scene().original, size: scene().size, bpp: scene().bpp },
    ...level().renditions,
  ];
  const view = (codec) => views().find((one) => one.codec === codec) ?? views()[0];

  const figures = (one) => {
    const words = [`${number.format(one.size)} bytes`, `${one.bpp.toFixed(3)} bits per pixel`];
    if (one.psnr !== undefined) words.push(`${one.psnr.toFixed(2)}\u00a0dB`);
    return words;
  };
  const element = (name, text, parent) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    parent?.append(made);
    return made;
  };

  const buttons = (parent, list, pressed, pick, fill) => {
    if (parent.childElementCount !== list.length) {
      parent.replaceChildren(...list.map((item, k) => {
        const button = document.createElement("button");
        button.type = "button";
        fill(button, item);
        button.addEventListener("click", () => { pick(k); show(); });
        return button;
      }));
    }
    [...parent.children].forEach((button, k) => button.setAttribute("aria-pressed", String(k === pressed)));
  };
  const options = (select, list, chosen) => {
    if ([...select.options].map((option) => option.value).join("\n") !== list.map(([value]) => value).join("\n")) {
      select.replaceChildren(...list.map(([value, text]) => new Option(text, value)));
    }
    select.value = chosen;
  };

  // Decoded pictures by address; the closer look draws from them.
  const pictures = new Map();
  const picture = (url) => {
    if (!pictures.has(url)) {
      const image = new Image();
      image.src = url;
      pictures.set(url, image);
    }
    return pictures.get(url);
  };

  const closer = () => {
    const list = views();
    const box = at("closer");
    if (box.childElementCount !== list.length) {
      box.replaceChildren(...list.map(() => {
        const figure = document.createElement("figure");
        const canvas = element("canvas", "", figure);
        canvas.width = canvas.height = CROP;
        element("figcaption", "", figure);
        return figure;
      }));
    }
    const left = Math.round(state.spot[0] * (scene().width - CROP));
    const top = Math.round(state.spot[1] * (scene().height - CROP));
    list.forEach((one, k) => {
      const [canvas, words] = box.children[k].children;
      words.replaceChildren();
      element("strong", one.codec, words);
      words.append(figures(one).filter((_, n) => n !== 1).join(" · "));
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${one.codec}, enlarged`);
      const image = picture(one.url);
      image.decode().then(() => {
        if (view(one.codec).url === one.url) canvas.getContext("2d").drawImage(image, -left, -top);
      }).catch(() => { words.append(" (this browser cannot show it)"); });
    });
    mark();
  };
  // The square of the closer look, at its place in the stage; its rim stays thin at any zoom.
  const mark = () => {
    const scale = (state.zoom * stage.clientWidth) / scene().width;
    const spot = stage.querySelector(".spot");
    spot.style.left = `${state.x + Math.round(state.spot[0] * (scene().width - CROP)) * scale}px`;
    spot.style.top = `${state.y + Math.round(state.spot[1] * (scene().height - CROP)) * scale}px`;
    spot.style.width = spot.style.height = `${CROP * scale}px`;
  };

  // Where the bits went: bytes of squares, in all groups of resolution or in one, as colors over the picture.
  const color = (share) => {
    const place = clamp(share) * (RAMP.length - 1);
    const k = Math.min(Math.floor(place), RAMP.length - 2);
    return RAMP[k].map((value, c) => Math.round(value + (place - k) * (RAMP[k + 1][c] - value)));
  };
  const heat = () => {
    const spent = level().spent;
    at("bits-choice").hidden = at("spent").hidden = !spent;
    const names = spent ? [["", "off"], ["all", "all"], ...spent.groups.map((group, k) => [String(k), group.name])] : [];
    if (!names.some(([value]) => value === state.bits)) state.bits = "";
    if (spent) options(at("bits"), names, state.bits);
    const shown = Boolean(spent) && state.bits !== "";
    at("heat").hidden = !shown;
    stage.classList.toggle("bits", shown);
    if (!spent) return;
    const box = at("spent");
    box.replaceChildren();
    const bar = element("div", "", box);
    bar.className = "parts";
    const key = element("p", "", box);
    key.className = "key";
    const sum = spent.parts.reduce((total, [, size]) => total + size, 0);
    spent.parts.forEach(([name, size], k) => {
      const paint = `rgb(${color(0.12 + (0.8 * k) / Math.max(1, spent.parts.length - 1))})`;
      const part = element("i", "", bar);
      part.style.background = paint;
      part.style.flexGrow = size;
      const words = element("span", "", key);
      element("i", "", words).style.background = paint;
      words.append(`${name}: ${number.format(size)} bytes, ${((100 * size) / sum).toFixed(1)} %`);
    });
    if (!shown) return;
    const groups = state.bits === "all" ? spent.groups : [spent.groups[Number(state.bits)]];
    const { columns, rows, side } = spent;
    const area = (row, column) =>
      Math.min(side, scene().width - column * side) * Math.min(side, scene().height - row * side);
    const rates = Array.from({ length: rows * columns }, (_, k) =>
      (8 * groups.reduce((total, group) => total + group.bytes[k], 0)) / area(Math.floor(k / columns), k % columns));
    const most = Math.max(...rates, 1e-9);
    const canvas = at("heat");
    [canvas.width, canvas.height] = [columns, rows];
    canvas.style.width = `${(100 * columns * side) / scene().width}%`;
    canvas.style.height = `${(100 * rows * side) / scene().height}%`;
    const context = canvas.getContext("2d");
    const data = context.createImageData(columns, rows);
    rates.forEach((rate, k) => data.data.set([...color(rate / most), 255], 4 * k));
    context.putImageData(data, 0, 0);
    const words = element("p", "", box);
    words.append("0");
    const ramp = element("span", "", words);
    ramp.className = "ramp";
    ramp.style.background = `linear-gradient(90deg, ${RAMP.map((one) => `rgb(${one})`).join()})`;
    words.append(`${most.toFixed(2)} bits per pixel, in squares of ${side} pixels`);
  };

  // Zoom 1 shows the whole picture; x and y keep the picture over the whole stage.
  const place = () => {
    const { clientWidth: width, clientHeight: height } = stage;
    state.x = clamp(state.x, width * (1 - state.zoom), 0);
    state.y = clamp(state.y, height * (1 - state.zoom), 0);
    const scale = (state.zoom * width) / scene().width;
    stage.style.setProperty("--x", `${state.x}px`);
    stage.style.setProperty("--y", `${state.y}px`);
    stage.style.setProperty("--zoom", state.zoom);
    stage.classList.toggle("zoomed", state.zoom > 1);
    stage.classList.toggle("pixels", scale >= 2);
    at("zoom").textContent = `${Math.round(100 * scale)} %`;
    mark();
  };
  const zoom = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const next = clamp(state.zoom * factor, 1, FARTHEST);
    state.x = x - ((x - state.x) * next) / state.zoom;
    state.y = y - ((y - state.y) * next) / state.zoom;
    state.zoom = next;
    place();
  };
  const setLine = (k, value) => {
    state.lines[k] = clamp(value, k === 0 ? 0 : state.lines[0], k === 0 ? state.lines[1] : 100);
    stage.style.setProperty(k === 0 ? "--first" : "--second", `${state.lines[k]}%`);
    sliders[k].value = state.lines[k];
  };

  const show = () => {
    buttons(document.querySelector(".photos"), scenes, state.scene, (k) => { state.scene = k; state.zoom = 1; }, (button, one) => {
      const image = element("img", "", button);
      image.src = one.original;
      image.alt = image.title = one.name;
    });
    state.level = Math.min(state.level, scene().levels.length - 1);
    buttons(at("levels"), scene().levels, state.level, (k) => { state.level = k; }, () => {});
    [...at("levels").children].forEach((button, k) => { button.textContent = scene().levels[k].label; });
    stage.style.aspectRatio = `${scene().width} / ${scene().height}`;
    // At most twice the picture's own size, and never higher than the window.
    const widest = `min(${2 * scene().width}px, 100%, ${(80 * scene().width) / scene().height}vh)`;
    for (const one of [stage, stage.previousElementSibling, at("spent")]) one.style.maxWidth = widest;
    state.codecs.forEach((codec, k) => {
      const one = view(codec);
      options(selects[k], views().map((other) => [other.codec, other.codec]), one.codec);
      panes[k].src = one.url;
      panes[k].alt = `${scene().name}: ${one.codec}`;
      captions[k].querySelector("p").textContent = figures(one).join(" · ");
    });
    heat();
    place();
    closer();
  };

  const move = (dx, dy) => {
    state.spot[0] = clamp(state.spot[0] + (dx * CROP) / 4 / (scene().width - CROP));
    state.spot[1] = clamp(state.spot[1] + (dy * CROP) / 4 / (scene().height - CROP));
    closer();
  };

  selects.forEach((select, k) => select.addEventListener("change", () => { state.codecs[k] = select.value; show(); }));
  sliders.forEach((slider, k) => slider.addEventListener("input", () => setLine(k, Number(slider.value))));
  at("bits").addEventListener("change", (event) => { state.bits = event.target.value; heat(); });
  at("zoom-in").addEventListener("click", () => zoom(1.5));
  at("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  at("zoom-fit").addEventListener("click", () => zoom(0));
  addEventListener("resize", place);

  // One finger or the mouse moves a line or the picture; two fingers zoom.
  const fingers = new Map();
  let drag = null;
  const within = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  stage.addEventListener("pointerdown", (event) => {
    const [x, y] = within(event);
    fingers.set(event.pointerId, [x, y]);
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("active", "held");
    const far = state.lines.map((line) => Math.abs((line / 100) * stage.clientWidth - x));
    // Of two lines at the same place the one moves that can.
    const near = far[0] === far[1] ? Number(x > (state.lines[0] / 100) * stage.clientWidth) : Number(far[1] < far[0]);
    drag = state.zoom > 1 && far[near] > GRIP ? "picture" : near;
    if (drag !== "picture") setLine(drag, (100 * x) / stage.clientWidth);
  });
  stage.addEventListener("pointermove", (event) => {
    const [x, y] = within(event);
    const last = fingers.get(event.pointerId);
    if (last && fingers.size === 2) {
      const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, where]) => where);
      const spread = (a) => Math.max(20, Math.hypot(a[0] - other[0], a[1] - other[1]));
      zoom(spread([x, y]) / spread(last), (x + other[0]) / 2, (y + other[1]) / 2);
    } else if (last && drag === "picture") {
      state.x += x - last[0];
      state.y += y - last[1];
      place();
    } else if (last) {
      setLine(drag, (100 * x) / stage.clientWidth);
    }
    if (last) fingers.set(event.pointerId, [x, y]);
    const { width, height } = scene();
    const scale = (state.zoom * stage.clientWidth) / width;
    state.spot = [
      clamp(((x - state.x) / scale - CROP / 2) / (width - CROP)),
      clamp(((y - state.y) / scale - CROP / 2) / (height - CROP)),
    ];
    closer();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      fingers.delete(event.pointerId);
      stage.classList.remove("held");
    });
  }
  // The wheel scrolls the page until a click into the picture has asked for more.
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !stage.classList.contains("active")) return;
    event.preventDefault();
    zoom(2 ** (-event.deltaY / 240), ...within(event));
  }, { passive: false });
  document.addEventListener("pointerdown", (event) => {
    if (!stage.contains(event.target)) stage.classList.remove("active");
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    const key = event.key.toLowerCase();
    const steps = { w: [0, -1], a: [-1, 0], s: [0, 1], d: [1, 0] };
    const zooms = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 0 };
    if (key in steps) move(...steps[key]);
    else if (key in zooms) zoom(zooms[key]);
    else if (key === "b" && level().spent) {
      state.bits = state.bits === "" ? "all" : "";
      heat();
    } else if (key === "n" || key === "p") {
      state.scene = (state.scene + (key === "n" ? 1 : scenes.length - 1)) % scenes.length;
      state.zoom = 1;
      show();
    } else if (/^[1-9]$/.test(key) && Number(key) <= scene().levels.length) {
      state.level = Number(key) - 1;
      show();
    }
  });
  state.lines.forEach((line, k) => setLine(k, line));
  at("browser").hidden = at("viewer").hidden = false;
  show();
})();
