// "/" goes to the search box, from anywhere on the page where nobody is typing.
export default function ({ data }) {
  const listen = event => {
    const at = event.composedPath()[0]
    const typing = at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName ?? "")
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return
    const box = document.querySelector(`input[aria-label="${data.label}"]`)
    if (!box) return
    event.preventDefault()
    box.focus()
    box.select()
  }
  document.addEventListener("keydown", listen)
  return () => document.removeEventListener("keydown", listen)
}
