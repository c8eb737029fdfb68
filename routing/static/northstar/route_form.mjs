// Shows the config fields of the chosen backend and kind only. Without it all are shown, and the server reads the right ones.

const backend = document.getElementById("id_backend_type");

if (backend) {
  const kind = document.getElementById("id_resource_kind");
  const primitives = JSON.parse(backend.dataset.primitives);
  const groups = document.querySelectorAll("fieldset.northstar-config");

  const show = () => {
    const primitive = primitives[kind ? kind.value : backend.dataset.kind];
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
