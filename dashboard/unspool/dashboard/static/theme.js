// Sets the colour scheme before the page is painted, so that it does not flash.
{
  const chosen = localStorage.getItem("unspool.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
