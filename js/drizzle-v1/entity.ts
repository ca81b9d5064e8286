import { entityKind } from 'drizzle-orm/entity'

/** Gives a class the name by which drizzle's own `is` and `instanceof` know it; without one of its own they take it for its parent. */
export function nameEntity(type: object, name: string): void {
  Object.defineProperty(type, entityKind, { value: name })
}
