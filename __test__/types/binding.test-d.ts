import { expectTypeOf, it } from 'vitest'

import type * as Generated from '../../binding.cjs'
import type { Binding, BindingConfig, BindingDatabase, BindingStatus } from '../../js/binding.js'

it('describes the addon as it is', () => {
  expectTypeOf<typeof Generated>().toExtend<Pick<Binding, 'suggest'>>()
  expectTypeOf<keyof Generated.BindingChannel>().toEqualTypeOf<keyof InstanceType<Binding['BindingChannel']>>()
  expectTypeOf<keyof Generated.BindingDatabase>().toEqualTypeOf<keyof BindingDatabase>()
  expectTypeOf<keyof Generated.BindingConfig>().toEqualTypeOf<keyof BindingConfig>()
  expectTypeOf<keyof Generated.BindingStatus>().toEqualTypeOf<keyof BindingStatus>()
})
