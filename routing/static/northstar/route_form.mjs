// Offers the backends that serve the chosen kind, and shows the config fields of the chosen one only.
// Without it all are shown, and the server reads the right ones.

const backend = document.getElementById("id_backend_type");

if (backend) {
  const kind = document.getElementById("id_resource_kind");
  const primitives = JSON.parse(backend.dataset.primitives);
  const serves = JSON.parse(backend.dataset.serves);
  const groups = document.querySelectorAll("fieldset.northstar-config");

  const show = () => {
    const primitive = primitives[kind ? kind.value : backend.dataset.kind];
    for (const option of backend.options) {
      option.disabled = Boolean(option.value) && !option.selected && !serves[option.value].includes(primitive);
    }
    for (const group of groups) {
      const chosen =
        group.classList.contains(`backend-${backend.value}`) && group.classList.contains(`primitive-${primitive}`);
      group.hidden = !chosen && !group.querySelector(".errorlist");
    }
  };

  backend.addEventListener("change", show);
  kind?.addEventListener("change", show);
  show();
}
