/** Returns what kind of thing `value` is, with its article, for messages. Never the value itself. */
export function kindOf(value: unknown): string {
  switch (typeof value) {
    case 'object':
      return value === null ? 'null' : objectKind(value)
    case 'undefined':
      return 'undefined'
    case 'number':
      return Number.isNaN(value) ? 'NaN' : 'a number'
    case 'bigint':
    case 'boolean':
    case 'function':
    case 'string':
    case 'symbol':
      return `a ${typeof value}`
  }
}

function objectKind(value: object): string {
  if (Array.isArray(value)) return 'an array'
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1)
  if (tag === 'Number' || tag === 'String' || tag === 'Boolean' || tag === 'BigInt' || tag === 'Symbol') return `a boxed ${tag}`
  if (tag !== 'Object') return withArticle(tag)
  const name = className(value)
  return name === undefined ? 'an object' : `an instance of ${name}`
}

/** Returns the name of the class that `value` is an instance of, unless it is a plain object. */
function className(value: object): string | undefined {
  if (isPlainObject(value)) return undefined
  const maker: unknown = Reflect.get(value, 'constructor')
  return typeof maker === 'function' && maker.name !== '' ? maker.name : 'a nameless class'
}

function withArticle(name: string): string {
  return /^[AEIO]/u.test(name) ? `an ${name}` : `a ${name}`
}

/** Tells whether `value` is an object literal or the like: from this realm or another, with or without a prototype. */
export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  // The `Object.prototype` of another realm.
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
}
