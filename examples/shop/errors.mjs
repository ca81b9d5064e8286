/** Says why the shop refuses something: `EMAIL_TAKEN`, `OUT_OF_STOCK`, `NO_SUCH_CUSTOMER` or `NO_SUCH_PRODUCT`. */
export class ShopError extends Error {
  constructor(code, message, options) {
    super(message, options)
    this.name = 'ShopError'
    this.code = code
  }
}
