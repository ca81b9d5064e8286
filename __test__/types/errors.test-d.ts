import { expectTypeOf, it } from 'vitest'
import { isSluiceError, SluiceError, SqliteError, type SluiceErrorCode, type SqliteErrorCode } from 'sluice'

it('narrows an error of SQLite to its fields', () => {
  const describe = (error: unknown): void => {
    if (!(error instanceof SqliteError)) return
    expectTypeOf(error.code).toEqualTypeOf<SqliteErrorCode>()
    expectTypeOf(error.errno).toEqualTypeOf<number>()
    expectTypeOf(error.extendedCode).toEqualTypeOf<number>()
    expectTypeOf(error.offset).toEqualTypeOf<number | undefined>()
    expectTypeOf(error.sql).toEqualTypeOf<string | undefined>()
    expectTypeOf(error.constraint).toEqualTypeOf<string | undefined>()
  }
  expectTypeOf(describe).toBeFunction()
})

it('narrows any error of the driver, by class or by function', () => {
  const describe = (error: unknown): void => {
    if (error instanceof SluiceError) expectTypeOf(error.code).toEqualTypeOf<SluiceErrorCode | SqliteErrorCode>()
    if (isSluiceError(error)) expectTypeOf(error).toEqualTypeOf<SluiceError>()
  }
  expectTypeOf(describe).toBeFunction()
})

it('knows every code of the driver', () => {
  expectTypeOf<'ERR_SLUICE_CLOSED'>().toExtend<SluiceErrorCode>()
  expectTypeOf<'ERR_SLUICE_CLOSE'>().not.toExtend<SluiceErrorCode>()
  expectTypeOf<'SQLITE_CONSTRAINT_UNIQUE'>().toExtend<SqliteErrorCode>()
})

it('is an Error', () => {
  expectTypeOf<SqliteError>().toExtend<SluiceError>()
  expectTypeOf<SluiceError>().toExtend<Error>()
})
