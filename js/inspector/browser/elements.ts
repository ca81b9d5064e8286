/** What can be put into an element: text is never read as HTML. */
export type Content = Node | string

/** Makes an element with attributes and what it holds. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: { readonly [name: string]: string | undefined } = {},
  ...content: readonly Content[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(key, value)
  }
  made.append(...content)
  return made
}

/** Finds an element of the page by its id. */
export function byId<Kind extends HTMLElement>(id: string): Kind {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`BUG: the page has no #${id}`)
  return found as Kind
}

/** Writes a text where it is not there yet: what does not change is not laid out again. */
export function write(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text
}
