import { open } from 'sluice'
import { exercise } from './exercise.mjs'

await exercise(open, process.argv[2])
