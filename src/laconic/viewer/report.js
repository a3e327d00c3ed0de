"use strict";
// State: which photo, which quality, what stands left and right, and the spot of the closer look (0..1 each way).
(() => {
  const scenes = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const CROP = 64; // pixels a side of the closer look
  const state = { scene: 0, level: 0, left: "original", right: "", x: 0.5, y: 0.5 };
  if (scenes.length === 0) return;
  state.level = Math.min(1, scenes[0].levels.length - 1);
  state.right = scenes[0].levels[state.level].renditions[0].codec;

  const number = new Intl.NumberFormat("en");
  const scene = () => scenes[state.scene];
  const level = () => scene().levels[state.level];
  const views = () => [
    { codec: "original", url: scene().original, size: scene().size, bpp: scene().bpp },
    ...level().renditions,
  ];
  const view = (codec) => views().find((one) => one.codec === codec) ?? views()[0];

  const figures = (one) => {
    const words = [`${number.format(one.size)} bytes`, `${one.bpp.toFixed(3)} bits per pixel`];
    if (one.psnr !== undefined) words.push(`${one.psnr.toFixed(2)} dB`);
    return words;
  };
  const element = (name, text, parent) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    parent?.append(made);
    return made;
  };
  const caption = (target, one) => {
    target.replaceChildren();
    element("strong", one.codec, target);
    target.append(` · ${figures(one).join(" · ")}`);
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

  const options = (select, chosen) => {
    const codecs = views().map((one) => one.codec);
    if ([...select.options].map((option) => option.value).join() !== codecs.join()) {
      select.replaceChildren(...codecs.map((codec) => new Option(codec, codec)));
    }
    select.value = view(chosen).codec;
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
    const left = Math.round(state.x * (scene().width - CROP));
    const top = Math.round(state.y * (scene().height - CROP));
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
    const spot = document.querySelector(".spot");
    spot.style.left = `${(100 * left) / scene().width}%`;
    spot.style.top = `${(100 * top) / scene().height}%`;
    spot.style.width = `${(100 * CROP) / scene().width}%`;
    spot.style.height = `${(100 * CROP) / scene().height}%`;
  };

  const show = () => {
    buttons(document.querySelector(".photos"), scenes, state.scene, (k) => { state.scene = k; }, (button, one) => {
      const image = element("img", "", button);
      image.src = one.original;
      image.alt = one.name;
    });
    buttons(at("levels"), scene().levels, state.level, (k) => { state.level = k; }, (button, one) => {
      button.textContent = one.label;
    });
    options(at("left"), state.left);
    options(at("right"), state.right);
    const [left, right] = [view(state.left), view(state.right)];
    const stage = at("stage");
    stage.style.aspectRatio = `${scene().width} / ${scene().height}`;
    // At most twice the picture's own size, and never higher than the window.
    stage.style.maxWidth = `min(${2 * scene().width}px, 100%, ${(80 * scene().width) / scene().height}vh)`;
    at("under").src = left.url;
    at("over").src = right.url;
    at("under").alt = `${scene().name}: ${left.codec}`;
    at("over").alt = `${scene().name}: ${right.codec}`;
    caption(at("caption-left"), left);
    caption(at("caption-right"), right);
    closer();
  };

  const clamp = (value) => Math.min(1, Math.max(0, value));
  const move = (dx, dy) => {
    state.x = clamp(state.x + (dx * CROP) / 4 / (scene().width - CROP));
    state.y = clamp(state.y + (dy * CROP) / 4 / (scene().height - CROP));
    closer();
  };

  at("slider").addEventListener("input", (event) => {
    at("stage").style.setProperty("--at", `${event.target.value}%`);
  });
  at("left").addEventListener("change", (event) => { state.left = event.target.value; show(); });
  at("right").addEventListener("change", (event) => { state.right = event.target.value; show(); });
  at("stage").addEventListener("pointermove", (event) => {
    const box = at("stage").getBoundingClientRect();
    const [width, height] = [scene().width, scene().height];
    state.x = clamp((((event.clientX - box.left) / box.width) * width - CROP / 2) / (width - CROP));
    state.y = clamp((((event.clientY - box.top) / box.height) * height - CROP / 2) / (height - CROP));
    closer();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    const key = event.key.toLowerCase();
    const steps = { w: [0, -1], a: [-1, 0], s: [0, 1], d: [1, 0] };
    if (key in steps) move(...steps[key]);
    else if (key === "n" || key === "p") {
      state.scene = (state.scene + (key === "n" ? 1 : scenes.length - 1)) % scenes.length;
      show();
    } else if (/^[1-9]$/.test(key) && Number(key) <= scene().levels.length) {
      state.level = Number(key) - 1;
      show();
    }
  });
  at("viewer").hidden = false;
  show();
})();
