// The back office's one script: a keyboard palette, and a route form that shows the chosen backend's fields only.
// Every page works without it.

// The palette: Ctrl+K, Cmd+K or / opens it; arrows choose, Enter goes, Escape closes. ------------------------------------------

const palette = document.getElementById("palette");

if (palette) {
  const button = document.getElementById("jump");
  const input = palette.querySelector("input");
  const list = palette.querySelector("ul");
  const empty = palette.querySelector("[role=status]");
  let chosen = 0;
  let waiting = null;
  let asked = null;

  const choose = (index) => {
    const options = list.children;
    chosen = options.length ? (index + options.length) % options.length : 0;
    for (const [number, option] of [...options].entries()) {
      option.setAttribute("aria-selected", String(number === chosen));
    }
    const option = options[chosen];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  };

  const go = (option) => {
    if (option) window.location.assign(option.dataset.url);
  };

  const show = (items) => {
    list.replaceChildren(
      ...items.map((item, number) => {
        const option = document.createElement("li");
        option.id = `palette-${number}`;
        option.role = "option";
        option.dataset.url = item.url;
        const hint = document.createElement("small");
        hint.textContent = item.hint;
        option.append(item.label, hint);
        return option;
      }),
    );
    empty.textContent = items.length ? "" : "Nothing fits. Try a tenant, an environment, a kind or a backend.";
    choose(0);
  };

  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const address = `${palette.dataset.url}?q=${encodeURIComponent(input.value)}`;
      const response = await fetch(address, { signal: asked.signal, headers: { Accept: "application/json" } });
      if (!response.ok || response.redirected) throw new TypeError(response.statusText);
      show((await response.json()).items);
    } catch (error) {
      if (error.name === "AbortError") return;
      list.replaceChildren();
      empty.textContent = "The server does not answer. Reload the page; you may have to log in again.";
    }
  };

  const open = () => {
    if (palette.open) return;
    palette.showModal();
    input.select();
    ask();
  };

  const typing = (target) => target.closest("input, textarea, select, [contenteditable]");

  button.hidden = false;
  button.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    const shortcut = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
    const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target);
    if (shortcut || slash) {
      event.preventDefault();
      open();
    }
  });
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 120);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") go(list.children[chosen]);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => go(event.target.closest("li")));
  palette.addEventListener("click", (event) => {
    if (event.target === palette) palette.close();
  });
}

// The route form: offers the backends that serve the chosen kind, and shows the config fields of the chosen one only. ----------
// Without this all are shown, and the server reads the right ones.

const backend = document.getElementById("id_backend_type");

if (backend?.dataset.primitives) {
  const kind = document.getElementById("id_resource_kind");
  const primitives = JSON.parse(backend.dataset.primitives);
  const serves = JSON.parse(backend.dataset.serves);
  const groups = document.querySelectorAll("fieldset.northstar-config");

  const show = (changed) => {
    const primitive = primitives[kind ? kind.value : backend.dataset.kind];
    for (const option of backend.options) {
      option.disabled = Boolean(option.value) && !option.selected && !serves[option.value].includes(primitive);
    }
    for (const group of groups) {
      const chosen =
        group.classList.contains(`backend-${backend.value}`) && group.classList.contains(`primitive-${primitive}`);
      group.hidden = !chosen && (changed || !group.querySelector(".errorlist"));
    }
  };

  backend.addEventListener("change", () => show(true));
  kind?.addEventListener("change", () => show(true));
  show(false);
}
