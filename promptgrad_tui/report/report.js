const filters = document.getElementById("filters");
if (filters) {
  const rows = [...document.querySelectorAll("#changes tbody tr")];
  const shown = document.getElementById("shown");
  const show = () => {
    const wanted = filters.querySelector("input:checked").value;
    let count = 0;
    for (const row of rows) {
      row.hidden = wanted !== "all" && row.dataset.change !== wanted;
      count += !row.hidden;
    }
    shown.textContent = `${count} of ${rows.length} examples`;
  };
  filters.addEventListener("change", show);
  filters.hidden = false;
  show();
}
